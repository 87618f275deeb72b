"""Tensors to stored arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cosinterp.capture.conversion import as_stored, stored_dtype
from cosinterp.capture.sink import CopyingSink
from cosinterp.capture.writer_thread import WriterThread
from cosinterp.errors import TraceError


def test_bf16_is_its_bit_pattern() -> None:
    values = torch.tensor([1.0, -2.0, 3.140625, float("inf"), 1e-40])
    bits = as_stored(values, "bf16")
    assert bits.dtype == np.uint16
    assert bits[:2].tolist() == [0x3F80, 0xC000]
    back = (bits.astype(np.uint32) << 16).view(np.float32)
    assert np.array_equal(back, values.bfloat16().float().numpy())


@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
def test_it_is_a_contiguous_copy(dtype: str) -> None:
    source = torch.arange(24, dtype=torch.float32).reshape(4, 6).t()
    stored = as_stored(source, dtype)
    before = stored.copy()
    assert stored.flags["C_CONTIGUOUS"]
    source += 1
    assert np.array_equal(stored, before)


def test_what_a_store_cannot_hold_is_kept_as_fp32() -> None:
    assert [stored_dtype(d) for d in (torch.bfloat16, torch.float16, torch.float32, torch.float64)] == [
        *("bf16", "fp16", "fp32", "fp32")
    ]


def test_values_beyond_fp16_are_refused() -> None:
    written: list[np.ndarray] = []
    with WriterThread(1000) as thread:
        sink = CopyingSink(thread)
        sink.put(torch.tensor([65504.0]), "fp16", written.append)
    assert written[0].tolist() == [65504.0]
    with pytest.raises(TraceError, match="exceed the range of fp16"), WriterThread(1000) as thread:
        CopyingSink(thread).put(torch.tensor([70000.0]), "fp16", written.append)
