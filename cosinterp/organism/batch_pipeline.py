"""The pipeline's parts on a device, for a batch of different first frames and prompts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

from cosinterp.errors import UserError
from cosinterp.organism.architecture import (
    autocast,
    build_scheduler,
    build_text_encoder,
    build_tokenizer,
    encode_prompts,
    place,
    round_weights,
)
from cosinterp.organism.lessons import BundledModel
from cosinterp.organism.pool import condition_pixels, encode_mode
from cosinterp.organism.rendering import PALETTE
from cosinterp.organism.sampling import decode_video, initial_noise, sample_latents

_DECODE_BATCH = 64


@dataclass(frozen=True, eq=False)
class PromptTable:
    """Embedded prompts.

    Attributes:
        prompts: (kind, wording, token, channel).
        empty: (1, token, channel), of the empty prompt.
    """

    prompts: torch.Tensor
    empty: torch.Tensor


def build_prompt_table(prompts: Sequence[Sequence[str]], device: torch.device) -> PromptTable:
    """Embed prompts (kind, wording) with the text encoder as it is shipped, its weights in bfloat16."""
    tokenizer = build_tokenizer(prompts)
    encoder = build_text_encoder(len(tokenizer))
    round_weights(encoder)
    return embed_prompts(tokenizer, encoder, prompts, device)


def embed_prompts(
    tokenizer: PreTrainedTokenizerFast,
    encoder: UMT5EncoderModel,
    prompts: Sequence[Sequence[str]],
    device: torch.device,
) -> PromptTable:
    """Embed prompts (kind, wording); ``encoder`` is on the CPU, the table on ``device``."""
    embeds = [encode_prompts(tokenizer, encoder, list(wordings)) for wordings in prompts]
    return PromptTable(torch.stack(embeds).to(device), encode_prompts(tokenizer, encoder, [""]).to(device))


def sampling_defaults(folder: Path) -> dict[str, Any]:
    """The sampling defaults of a saved model.

    Raises:
        UserError: the folder holds no bundled model.
    """
    about = folder / "cosinterp.json"
    if not about.is_file():
        raise UserError(f"{folder} holds no bundled model: it has no {about.name}")
    return json.loads(about.read_text(encoding="utf-8"))["sampling"]


@dataclass(frozen=True)
class BatchPipeline:
    """The model's parts on a device. On CUDA it computes in bfloat16 autocast."""

    transformer: WanTransformer3DModel
    vae: AutoencoderKLWan
    prompts: PromptTable
    num_frames: int
    device: torch.device
    batch_size: int = 256
    palette: np.ndarray = field(default_factory=lambda: PALETTE)

    @classmethod
    def load(cls, folder: Path, model: BundledModel, device: torch.device) -> Self:
        """The parts of a saved model, in float32.

        Raises:
            UserError: the folder holds no bundled model.
        """
        num_frames = sampling_defaults(folder)["num_frames"]
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer")
        encoder = UMT5EncoderModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
        transformer = WanTransformer3DModel.from_pretrained(folder / "transformer", dtype=torch.float32)
        vae = AutoencoderKLWan.from_pretrained(folder / "vae", dtype=torch.float32)
        return cls(
            place(transformer, device).eval(),
            place(vae, device).eval(),
            embed_prompts(tokenizer, encoder.eval(), model.prompts, device),
            num_frames,
            device,
            # What fits the caches of a CPU is quicker there than a large batch.
            batch_size=256 if device.type == "cuda" else 8,
            palette=model.palette,
        )

    @classmethod
    def of(cls, other: BatchPipeline) -> Self:
        """The same parts, as this class."""
        return cls(**{part.name: getattr(other, part.name) for part in fields(BatchPipeline)})

    @torch.no_grad()
    def videos(
        self,
        first: np.ndarray,
        kinds: Sequence[int],
        seeds: Sequence[int],
        num_steps: int,
        guidance_scale: float,
        each_step: bool = False,
    ) -> Iterator[np.ndarray]:
        """Videos, uint8 (batch, frame, row, col, rgb): those of all clean estimates, or the final ones alone.

        Args:
            first: cell classes of the first frames, uint8 (batch, row, col).
            kinds: which prompt each row has; of its wordings the first.
            seeds: of each row's initial noise.
            num_steps: denoising steps.
            guidance_scale: 1 or less runs the ``cond`` branch alone.
            each_step: the clean estimate of every step; the last step's is the final video.
        """
        pixels = condition_pixels(first, self.num_frames, self.device, self.palette)
        condition = encode_mode(self.vae, pixels)
        embeds = torch.stack([self.prompts.prompts[kind, 0] for kind in kinds])
        noise = initial_noise(seeds, *condition.shape[2:]).to(self.device)
        estimates: list[torch.Tensor] = []
        with autocast(self.device):
            latents = sample_latents(
                self.transformer,
                build_scheduler(),
                noise,
                condition,
                embeds,
                self.prompts.empty,
                num_steps,
                guidance_scale,
                on_step=(lambda _, estimate: estimates.append(estimate)) if each_step else None,
            )
        for latent in estimates or [latents]:
            parts = [decode_video(self.vae, part) for part in latent.split(_DECODE_BATCH)]
            yield torch.cat(parts).cpu().numpy()
