"""The dtypes of a store, and fp8 against its definition."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some_numpy

from cosinterp.capture.conversion import quantised, stored_dtype

CODES = np.arange(128)
# e4m3: exponent 0 is for numbers without the hidden one.
MAGNITUDES = np.where(
    CODES >> 3 == 0,
    (CODES & 7) / 8 * 2.0**-6,
    (1 + (CODES & 7) / 8) * 2.0 ** ((CODES >> 3) - 7.0),
)[:120]
"""What the codes below exponent 15 are worth."""


def decoded(codes: np.ndarray) -> np.ndarray:
    return np.where(codes & 0x80, -1.0, 1.0) * MAGNITUDES[codes & 0x7F]


def test_what_a_store_cannot_hold_is_kept_as_fp32() -> None:
    assert [stored_dtype(d) for d in (torch.bfloat16, torch.float16, torch.float32, torch.float64)] == [
        *("bf16", "fp16", "fp32", "fp32")
    ]


@settings(deadline=None)
@given(
    some_numpy.arrays(
        np.float32,
        (2, 4, 3),
        elements=st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([0.0, 1.0]),
    )
)
def test_a_quantised_value_is_the_nearest_there_is(values: np.ndarray) -> None:
    codes, factors = (part.numpy() for part in quantised(torch.from_numpy(values), 2))
    assert codes.shape == values.shape
    assert factors.shape == (2, 2)
    scale = np.repeat(factors, 2, axis=1)[..., None].astype(np.float64)
    scaled = values / scale
    nearest = np.abs(np.abs(scaled)[..., None] - MAGNITUDES).min(-1)
    # The division is rounded to float32 before the code is chosen.
    assert np.all(np.abs(decoded(codes) - scaled) <= nearest + 2.0**-23 * np.abs(scaled))
    largest = np.abs(values).reshape(2, 2, -1).max(-1)
    np.testing.assert_allclose(factors[largest > 1e-30], largest[largest > 1e-30] / 240, rtol=1e-6)
    assert np.all(factors[largest == 0] == 1)


def test_the_largest_of_a_chunk_gets_the_largest_code() -> None:
    values = torch.tensor([[[3.0, -0.1], [0.0, 7.5]]])
    codes, factors = quantised(values, 1)
    assert decoded(codes.numpy())[0, 0, 0] == decoded(codes.numpy())[0, 1, 1] == 240
    np.testing.assert_allclose(factors.numpy(), [[3.0 / 240, 7.5 / 240]], rtol=1e-7)


def test_what_is_not_finite_marks_its_whole_chunk() -> None:
    values = torch.ones(1, 4, 2)
    values[0, 1, 0] = torch.inf
    values[0, 3, 1] = torch.nan
    _, factors = quantised(values, 1)
    assert torch.isnan(factors)[0].tolist() == [False, True, False, True]
