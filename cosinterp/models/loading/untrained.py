"""The same model before it was trained: denoisers with weights drawn anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from cosinterp.errors import ModelError
from stores.layout import MAX_SEED


def check_untrained(seed: int | None, quantize: str | None, lora: object) -> None:
    """Refuse what an untrained denoiser cannot be.

    Raises:
        ModelError: says what.
    """
    if seed is None:
        return
    if not 0 <= seed <= MAX_SEED:
        raise ModelError(f"untrained: a seed is a whole number from 0 to 2**63 - 1, not {seed}")
    if quantize is not None or lora is not None:
        raise ModelError("an untrained denoiser has weights of its own: leave out the LoRA and quantization")


def draw_anew(pipeline: Any, experts: Sequence[str], seed: int) -> None:
    """Give each denoiser the weights that its class begins training with, drawn with ``seed``.

    All else keeps its weights: the text encoder and the VAE are not what is asked about. Experts have the
    seeds ``seed``, ``seed + 1``.
    """
    for number, name in enumerate(experts):
        denoiser = getattr(pipeline, name)
        with torch.random.fork_rng(devices=[]), _default_dtype(denoiser.dtype):
            torch.manual_seed(seed + number)
            fresh = type(denoiser).from_config(denoiser.config)
        denoiser.load_state_dict(fresh.state_dict())


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
