"""From tensors to the arrays that a run file holds."""

from __future__ import annotations

import numpy as np
import torch

TORCH_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
ITEM_BYTES = {"bf16": 2, "fp16": 2, "fp32": 4}


def stored_dtype(dtype: torch.dtype) -> str:
    """The name of a tensor dtype in a store; what a store cannot hold is kept as fp32."""
    return next((name for name, known in TORCH_DTYPES.items() if known == dtype), "fp32")


def as_stored(tensor: torch.Tensor, dtype: str) -> np.ndarray:
    """A copy of ``tensor`` in host memory in a store's dtype: contiguous, bf16 as its uint16 bit pattern.

    Always a copy, because the model may go on to change its tensor in place. It is converted where it is,
    which makes the way from a GPU shorter; the copy is complete when this returns.
    """
    wanted = TORCH_DTYPES[dtype]
    tensor = tensor.detach()
    if tensor.device.type == "cpu":
        copy = torch.empty(tensor.shape, dtype=wanted)
        copy.copy_(tensor)
    else:
        copy = tensor.to(wanted).cpu().contiguous()
    return (copy.view(torch.uint16) if dtype == "bf16" else copy).numpy()
