"""How the pipelines of Cosmos end: they decode, and let their guardrail see the video.

NVIDIA's licence forbids to run Cosmos without the guardrail, so nothing is decoded without it here either.
"""

from __future__ import annotations

import copy
import sys
from types import ModuleType
from typing import Any

import numpy as np
import torch
from diffusers.models.transformers import transformer_cosmos
from diffusers.utils.torch_utils import get_module_execution_device

from cosinterp.errors import ModelError, SampleError, TraceError

# Where others multiply by the deviation: dividing by its inverse keeps the decoded video equal bit for bit.
_DIVIDING = ("Cosmos2TextToImagePipeline", "Cosmos2_5_PredictBasePipeline")
# It lets no other checker than NVIDIA's own see its video.
_PARTICULAR = "Cosmos2_5_PredictBasePipeline"


def missing_packages(pipeline: Any) -> tuple[str, ...]:
    """Packages that the pipeline needs to run, and that diffusers did not find."""
    missing = []
    if pipeline.transformer.config.concat_padding_mask and not hasattr(transformer_cosmos, "transforms"):
        missing.append("torchvision")
    if (
        not _is_checker(pipeline.safety_checker)
        and _guardrail(pipeline).__module__ == _home(pipeline).__name__
    ):
        missing.append("cosmos_guardrail")
    return tuple(missing)


def prepare(pipeline: Any) -> None:
    """Let the guardrail say by an error what it does not let pass: the pipeline's own errors do not."""
    if _is_checker(pipeline.safety_checker):
        pipeline.safety_checker = _outspoken(pipeline.safety_checker)


@torch.no_grad()
def decode(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
    """Decode latents as the pipeline does, its guardrail included; as `decode_standardised`.

    Raises:
        ModelError: the guardrail is needed, and not installed.
        TraceError: the guardrail does not let the video pass.
    """
    vae = pipeline.vae
    scaled = _on_scale_of_vae(pipeline, latents.to(get_module_execution_device(vae)).float())
    video = vae.decode(scaled.to(vae.dtype), return_dict=False)[0]
    frames = pipeline.video_processor.postprocess_video(video, output_type="np")
    return _checked(pipeline, frames)


def _on_scale_of_vae(pipeline: Any, latents: torch.Tensor) -> torch.Tensor:
    """The VAE of Cosmos 1 has a mean and a deviation for each channel and frame, or none at all; that of the
    others, Wan's, for each channel."""
    vae, sigma_data = pipeline.vae.config, pipeline.scheduler.config.get("sigma_data", 1.0)
    if vae.latents_mean is None:
        return latents / sigma_data
    mean, std = (
        torch.tensor(numbers).view(1, latents.shape[1], -1, 1, 1)[:, :, : latents.shape[2]].to(latents)
        for numbers in (vae.latents_mean, vae.latents_std)
    )
    scaled = latents / (1.0 / std) if type(pipeline).__name__ in _DIVIDING else latents * std
    return scaled / sigma_data + mean


def _checked(pipeline: Any, frames: np.ndarray) -> np.ndarray:
    """What the guardrail makes of videos, such as with faces that it blurs; it sees eight bits a colour."""
    if not _is_checker(pipeline.safety_checker):
        # Of a pipeline that was made to decode only.
        try:
            pipeline.safety_checker = _outspoken(_guardrail(pipeline)())
        except ImportError as error:
            raise ModelError(
                "Cosmos shows no video without its guardrail: pip install cosmos_guardrail"
            ) from error
    checker = pipeline.safety_checker
    if type(pipeline).__name__ == _PARTICULAR and not isinstance(checker, _guardrail(pipeline)):
        return frames
    checker.to(get_module_execution_device(pipeline.vae))
    checked = [checker.check_video_safety(video) for video in (frames * 255).astype(np.uint8)]
    checker.to("cpu")
    return np.stack(checked).astype(np.float32) / 255


def _outspoken(checker: Any) -> Any:
    """The same safety checker, which raises a `UserError` at what it does not let pass."""
    own = copy.copy(checker)

    def check_text_safety(prompt: str) -> bool:
        if not checker.check_text_safety(prompt):
            raise SampleError(f'the guardrail of Cosmos does not let this prompt pass: "{prompt}"')
        return True

    def check_video_safety(frames: np.ndarray) -> np.ndarray:
        checked = checker.check_video_safety(frames)
        if checked is None:
            raise TraceError("the guardrail of Cosmos does not let this video pass")
        return checked

    own.check_text_safety, own.check_video_safety = check_text_safety, check_video_safety
    return own


def _is_checker(component: Any) -> bool:
    """Whether it is a safety checker, and not what stands in its place in a pipeline without its weights."""
    return hasattr(component, "check_video_safety")


def _guardrail(pipeline: Any) -> type:
    """NVIDIA's safety checker, or what diffusers has in its place where it is not installed."""
    return _home(pipeline).CosmosSafetyChecker


def _home(pipeline: Any) -> ModuleType:
    return sys.modules[type(pipeline).__module__]
