"""What a run says of itself: all that is needed to repeat it."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from cosinterp import __version__
from cosinterp.models.model import Model
from cosinterp.planning.plan import PlannedSample, TracePlan, scheduler_config
from cosinterp.samples.hashes import image_sha256, videos_sha256

if TYPE_CHECKING:
    import torch

_PACKAGES = ("torch", "diffusers", "transformers", "nnsight", "h5py")


def run_attrs(
    model: Model, plan: TracePlan, planned: PlannedSample, batch_seeds: tuple[int, ...]
) -> dict[str, Any]:
    """Everything that is needed to repeat a run, JSON-able."""
    sample, settings = planned.sample, planned.settings
    return {
        "model": plan.settings.model,
        "capture": plan.settings.capture,
        "batch_seeds": list(batch_seeds),
        "prompt": sample.prompt,
        "sampling": settings,
        "scheduler": {
            "class": type(model.pipeline.scheduler).__name__,
            "config": scheduler_config(model.pipeline.scheduler),
        },
        "prediction_type": model.anatomy.prediction_type,
        "noise_device": "cpu",
        "image_sha256": image_sha256(sample),
        "videos_sha256": videos_sha256(sample),
        "metadata": sample.metadata,
        "versions": versions(),
        "platform": platform.platform(),
        "device": device_name(model.device),
        "offload": model.offload,
    }


def versions() -> dict[str, str]:
    """The versions of everything that a run's numbers depend on."""
    packages = {name: version(name) for name in _PACKAGES}
    return {"cosinterp": __version__, "python": platform.python_version(), **packages}


def device_name(device: torch.device) -> str:
    """What a model runs on: the GPU's name, or the processor's architecture."""
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()})"
