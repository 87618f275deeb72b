"""How numbers are stored, and how they are read fast.

bfloat16 has no numpy type, but HDF5 can describe it: a 16-bit float with the sign in bit 15, the exponent in
bits 7 to 14 (bias 127) and the mantissa in bits 0 to 6. Stored so, every HDF5 tool reads it as float32. The
conversion that HDF5 does for that is slow, so our reader takes the bits as they are and widens them here: a
bfloat16 is the upper half of a float32, hence the widening is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from h5py import h5t

DTYPES = ("bf16", "fp16", "fp32")

# Bits are little-endian in the file, whatever the machine.
_MEMORY = {"bf16": np.dtype("<u2"), "fp16": np.dtype("<f2"), "fp32": np.dtype("<f4")}
_BF16_EXPONENT = np.uint16(0x7F80)
_FIELDS = {
    (2, (15, 7, 8, 0, 7), 127): "bf16",
    (2, (15, 10, 5, 0, 10), 15): "fp16",
    (4, (31, 23, 8, 0, 23), 127): "fp32",
}


def file_type(dtype: str) -> h5t.TypeFloatID:
    """The HDF5 type that ``dtype`` ("bf16", "fp16" or "fp32") is stored as.

    Raises:
        ValueError: ``dtype`` is none of these.
    """
    _check(dtype)
    if dtype == "fp32":
        return h5t.IEEE_F32LE.copy()
    if dtype == "fp16":
        return h5t.IEEE_F16LE.copy()
    bf16 = h5t.IEEE_F32LE.copy()
    # The order matters: HDF5 refuses a size that the fields do not fit into.
    bf16.set_fields(15, 7, 8, 0, 7)
    bf16.set_size(2)
    bf16.set_ebias(127)
    return bf16


def memory_type(dtype: str) -> np.dtype[Any]:
    """The numpy type that holds the bits of ``dtype``: uint16 for "bf16", else the float itself.

    Raises:
        ValueError: ``dtype`` is none of `DTYPES`.
    """
    _check(dtype)
    return _MEMORY[dtype]


def dtype_of(stored: h5t.TypeID) -> str | None:
    """Which of `DTYPES` an HDF5 type is; None if it is none of them."""
    if not isinstance(stored, h5t.TypeFloatID) or stored.get_order() != h5t.ORDER_LE:
        return None
    return _FIELDS.get((stored.get_size(), stored.get_fields(), stored.get_ebias()))


def to_float32(bits: npt.NDArray[Any], dtype: str) -> npt.NDArray[np.float32]:
    """Stored bits (as `memory_type` has them) as float32, exactly; "fp32" is returned without a copy."""
    if dtype != "bf16":
        return bits.astype(np.float32, copy=False)
    return np.left_shift(bits, 16, dtype=np.uint32).view(np.float32)


def all_finite(bits: npt.NDArray[Any], dtype: str) -> bool:
    """Whether stored bits (as `memory_type` has them) hold neither NaN nor infinity."""
    if dtype == "bf16":
        return not np.any((bits & _BF16_EXPONENT) == _BF16_EXPONENT)
    return bool(np.isfinite(bits).all())


def _check(dtype: str) -> None:
    if dtype not in DTYPES:
        raise ValueError(f"{dtype!r} is no dtype of a store; use one of {', '.join(DTYPES)}")
