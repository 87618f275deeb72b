"""How numbers are stored, and how they are read fast.

bfloat16 has no numpy type, but HDF5 can describe it: a 16-bit float with the sign in bit 15, the exponent in
bits 7 to 14 (bias 127) and the mantissa in bits 0 to 6. Stored so, every HDF5 tool reads it as float32. The
conversion that HDF5 does for that is slow, so our reader takes the bits as they are and widens them here: a
bfloat16 is the upper half of a float32, hence the widening is exact.

fp8 is e4m3: the sign in bit 7, the exponent in bits 3 to 6 (bias 7), the mantissa in bits 0 to 2. What is
stored are codes, and each chunk has a float32 factor: a number is code times factor. Codes stay within
`FP8_MAX`, so that none has the highest exponent, which formats of that name read differently: here, as in
HDF5, it is infinity or NaN. A chunk that holds a NaN or infinity has the factor NaN.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from h5py import h5t

Float32 = npt.NDArray[np.float32]

DTYPES = ("bf16", "fp16", "fp32", "fp8")
FP8_MAX = 240.0

# Bits are little-endian in the file, whatever the machine.
_MEMORY = {
    "bf16": np.dtype("<u2"),
    "fp16": np.dtype("<f2"),
    "fp32": np.dtype("<f4"),
    "fp8": np.dtype(np.uint8),
}
_BF16_EXPONENT = np.uint16(0x7F80)
_FP8_EXPONENT = np.uint8(0x78)
# (bytes, (sign, exponent, its bits, mantissa, its bits), bias), as HDF5 describes floats.
_FORMATS = {
    "bf16": (2, (15, 7, 8, 0, 7), 127),
    "fp16": (2, (15, 10, 5, 0, 10), 15),
    "fp32": (4, (31, 23, 8, 0, 23), 127),
    "fp8": (1, (7, 3, 4, 0, 3), 7),
}


def check_dtype(dtype: str) -> None:
    """Raises ValueError unless ``dtype`` is one of `DTYPES`."""
    if dtype not in DTYPES:
        raise ValueError(f"{dtype!r} is no dtype of a store; use one of {', '.join(DTYPES)}")


def file_type(dtype: str) -> h5t.TypeFloatID:
    """The HDF5 type that ``dtype`` (of `DTYPES`) is stored as.

    Raises:
        ValueError: ``dtype`` is none of these.
    """
    check_dtype(dtype)
    size, fields, bias = _FORMATS[dtype]
    stored = h5t.IEEE_F32LE.copy()
    # The order matters: HDF5 refuses a size that the fields do not fit into.
    stored.set_fields(*fields)
    stored.set_size(size)
    stored.set_ebias(bias)
    return stored


def memory_type(dtype: str) -> np.dtype[Any]:
    """The numpy type that holds the bits of ``dtype``: uint16 for "bf16", uint8 for "fp8", else the float.

    Raises:
        ValueError: ``dtype`` is none of `DTYPES`.
    """
    check_dtype(dtype)
    return _MEMORY[dtype]


def dtype_of(stored: h5t.TypeID) -> str | None:
    """Which of `DTYPES` an HDF5 type is; None if it is none of them."""
    if not isinstance(stored, h5t.TypeFloatID) or stored.get_order() != h5t.ORDER_LE:
        return None
    found = (stored.get_size(), stored.get_fields(), stored.get_ebias())
    return next((dtype for dtype, known in _FORMATS.items() if known == found), None)


def to_float32(
    bits: npt.NDArray[Any], dtype: str, out: Float32 | None = None, factor: float | np.float32 = 1.0
) -> Float32:
    """Stored bits (as `memory_type` has them) as float32, exactly.

    Args:
        out: of the same shape and contiguous, to be filled and returned; None makes an array, but returns
            ``bits`` themselves if they are float32.
        factor: what codes of fp8 are multiplied by, in float32; of no meaning to other dtypes.
    """
    if dtype == "bf16":
        target = None if out is None else out.view(np.uint32)
        return np.left_shift(bits, 16, out=target, dtype=np.uint32).view(np.float32)
    if dtype == "fp32" and out is None:
        return bits.astype(np.float32, copy=False)
    if out is None:
        out = np.empty(bits.shape, np.float32)
    if dtype == "fp32":
        np.copyto(out, bits)
    elif dtype == "fp16":
        # Looking a half up is several times faster than numpy's conversion.
        _look_up(_halves(), bits.view("<u2"), out)
    elif bits.size % 2 or bits.size < 2**16 or not bits.flags.c_contiguous:
        _look_up(_codes() * np.float32(factor), bits, out)
    else:
        # Two at a time: numpy takes longer over an index than over what it finds there.
        pairs = (_pairs() * np.float32(factor)).view(np.complex64)
        _look_up(pairs, bits.reshape(-1).view(np.uint16), out.reshape(-1).view(np.complex64))
    return out


def all_finite(bits: npt.NDArray[Any], dtype: str) -> bool:
    """Whether stored bits (as `memory_type` has them) hold neither NaN nor infinity."""
    if dtype == "bf16":
        return not np.any((bits & _BF16_EXPONENT) == _BF16_EXPONENT)
    if dtype == "fp8":
        return not np.any((bits & _FP8_EXPONENT) == _FP8_EXPONENT)
    return bool(np.isfinite(bits).all())


def are_factors(factors: Float32) -> bool:
    """Whether all of these can be factors of fp8 chunks: above 0 and finite, or NaN."""
    return bool((np.isnan(factors) | ((factors > 0) & np.isfinite(factors))).all())


def _look_up(table: npt.NDArray[Any], indices: npt.NDArray[Any], out: npt.NDArray[Any]) -> None:
    # "clip" because the default would go through a buffer; no index is out of range.
    np.take(table, indices, out=out, mode="clip")


@cache
def _halves() -> Float32:
    return np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)


@cache
def _codes() -> Float32:
    codes = np.arange(2**8)
    exponent, mantissa = (codes >> 3) & 15, codes & 7
    values = np.where(exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10))
    values = np.where(exponent == 15, np.where(mantissa == 0, np.inf, np.nan), values)
    return np.where(codes >> 7, -values, values).astype(np.float32)


@cache
def _pairs() -> Float32:
    """Of every two codes that lie side by side their two values."""
    return _codes()[np.arange(2**16, dtype=np.uint16).view(np.uint8)]
