"""The dtypes of a store, and tensors in them."""

from __future__ import annotations

import torch

from stores.dtypes import FP8_MAX

# What a store's dtypes are in memory: fp8 as codes, each chunk of them with a factor (see `quantised`).
TORCH_DTYPES = {
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp32": torch.float32,
    "uint8": torch.uint8,
}


def stored_dtype(dtype: torch.dtype) -> str:
    """The name of a tensor dtype in a store; what a store cannot hold is kept as fp32."""
    names = {torch.bfloat16: "bf16", torch.float16: "fp16"}
    return names.get(dtype, "fp32")


def quantised(tensor: torch.Tensor, group: int) -> tuple[torch.Tensor, torch.Tensor]:
    """``tensor`` (batch, length, ...) in fp8 (e4m3), a factor for each ``group`` entries of ``length``.

    Returns:
        codes: uint8, as ``tensor``. Value = code * factor, rounded to the nearest, ties to even.
        factors: float32 (batch, length / group): the largest magnitude / 240; 1 where all are 0, NaN where
            one is not finite, so that no infinity is turned into a number unseen.
    """
    values = tensor.unflatten(1, (-1, group)).float()
    inner = tuple(range(2, values.ndim))
    largest = values.abs().amax(inner)
    factors = largest / FP8_MAX
    factors = torch.where(factors > 0, factors, torch.ones_like(factors))
    factors = torch.where(torch.isfinite(largest), factors, torch.full_like(factors, torch.nan))
    scaled = values / factors.view(*factors.shape, *(1 for _ in inner))
    codes = scaled.clamp_(-FP8_MAX, FP8_MAX).to(torch.float8_e4m3fn).view(torch.uint8)
    return codes.reshape(tensor.shape), factors
