"""bfloat16 as an HDF5 float: exact, and readable by anything that reads HDF5."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from h5py import h5t
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stores import dtypes
from stores.guarded_file import GuardedFile
from stores.slabs.descriptor import Descriptor
from stores.slabs.layout import SlabLayout
from stores.slabs.reader import SlabReader
from stores.slabs.writer import SlabWriter
from tests.unit.stores.making import widen

EVERY_PATTERN = np.arange(2**16, dtype=np.uint16)
EVERY_CODE = np.arange(2**8, dtype=np.uint8)


def same_floats(left: np.ndarray, right: np.ndarray) -> bool:
    """Equal, a NaN only to a NaN, and -0 not to +0."""
    numbers = ~np.isnan(left)
    same_signs = np.signbit(left[numbers]) == np.signbit(right[numbers])
    return bool(np.array_equal(left, right, equal_nan=True) and same_signs.all())


def write(path: Path, slab: np.ndarray, dtype: str) -> None:
    with path.open("w+b") as target:
        guarded = GuardedFile(target.fileno())
        with h5py.File(guarded, "w") as file:
            writer = SlabWriter(file, guarded, "x", (), SlabLayout(slab.shape, dtype), ())
            writer.write((), slab, np.ones(1, np.float32) if dtype == "fp8" else None)
            writer.finish()


def read(path: Path) -> np.ndarray:
    descriptor = Descriptor(path)
    with h5py.File(path) as file:
        factors = file.get("factors/x")
        return SlabReader(file["x"], file["checksums/x"], descriptor, 0, factors).read(())


def test_every_bfloat16_widens_to_the_number_it_is_by_definition() -> None:
    wide = dtypes.to_float32(EVERY_PATTERN, "bf16")
    assert wide.dtype == np.float32
    assert same_floats(wide, widen(EVERY_PATTERN))


def test_plain_h5py_reads_every_bfloat16_as_the_same_float32(tmp_path: Path) -> None:
    write(tmp_path / "x.h5", EVERY_PATTERN, "bf16")
    with h5py.File(tmp_path / "x.h5") as file:
        values = file["x"][()]
        assert file["x"].dtype == np.float32
    assert same_floats(values, widen(EVERY_PATTERN))


def test_the_file_says_what_a_bfloat16_is(tmp_path: Path) -> None:
    write(tmp_path / "x.h5", EVERY_PATTERN, "bf16")
    with h5py.File(tmp_path / "x.h5") as file:
        stored = file["x"].id.get_type()
    assert stored.get_class() == h5t.FLOAT
    assert (stored.get_size(), stored.get_precision(), stored.get_offset()) == (2, 16, 0)
    assert stored.get_fields() == (15, 7, 8, 0, 7)
    assert stored.get_ebias() == 127
    assert stored.get_order() == h5t.ORDER_LE
    assert stored.get_norm() == h5t.NORM_IMPLIED


@pytest.mark.parametrize("dtype", dtypes.DTYPES)
@given(data=st.data())
def test_what_is_written_is_read_back_bit_for_bit(
    dtype: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    kind = dtypes.memory_type(dtype)
    shapes = hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)
    # Any bits at all, so that every kind of NaN is among them.
    raw = data.draw(hnp.arrays(f"u{kind.itemsize}", shapes))
    path = tmp_path_factory.getbasetemp() / f"{dtype}.h5"
    write(path, raw.view(kind), dtype)
    back = read(path)
    assert back.dtype == kind
    assert np.array_equal(back.view(raw.dtype), raw)


def e4m3() -> np.ndarray:
    """What each code stands for by definition: (-1)^s * 2^(e-7) * (1 + m/8)."""
    sign = np.where(EVERY_CODE >> 7, -1.0, 1.0)
    exponent, mantissa = (EVERY_CODE >> 3 & 15).astype(int), (EVERY_CODE & 7) / 8
    values = sign * np.where(exponent == 0, 2.0**-6 * mantissa, np.exp2(exponent - 7.0) * (1 + mantissa))
    return np.where(exponent == 15, np.where(mantissa == 0, sign * np.inf, np.nan), values)


@pytest.mark.parametrize("factor", [1.0, np.float32(0.7), np.float32(np.nan)])
@pytest.mark.parametrize("length", [1, 255, 256, 2**16, 2**16 + 1, 2**17])
def test_every_fp8_code_widens_to_the_number_it_is_by_definition(length: int, factor: float) -> None:
    codes = np.resize(np.random.default_rng(0).permutation(EVERY_CODE), length)
    values = e4m3().astype(np.float32)[codes] * np.float32(factor)
    for part in (slice(None), slice(None, None, -3)):
        wide = dtypes.to_float32(codes[part], "fp8", factor=factor)
        assert wide.dtype == np.float32
        assert same_floats(wide, values[part])


def test_plain_h5py_reads_every_fp8_code_as_the_same_number(tmp_path: Path) -> None:
    write(tmp_path / "x.h5", EVERY_CODE, "fp8")
    with h5py.File(tmp_path / "x.h5") as file:
        stored = file["x"].id.get_type()
        values = file["x"].astype(np.float32)[()]
    assert (stored.get_class(), stored.get_size(), stored.get_precision()) == (h5t.FLOAT, 1, 8)
    assert (stored.get_fields(), stored.get_ebias()) == ((7, 3, 4, 0, 3), 7)
    assert same_floats(values, e4m3())


def test_the_largest_fp8_number_is_the_largest_below_the_highest_exponent() -> None:
    values = e4m3()
    assert np.max(values[np.isfinite(values)]) == dtypes.FP8_MAX


@pytest.mark.parametrize("dtype", dtypes.DTYPES)
def test_widening_into_an_array_gives_the_same(dtype: str) -> None:
    kind = dtypes.memory_type(dtype)
    bits = np.random.default_rng(0).integers(0, 256, 24 * kind.itemsize, np.uint8).view(kind).reshape(4, 6)
    out = np.empty((4, 6), np.float32)
    assert dtypes.to_float32(bits, dtype, out) is out or dtype == "bf16"
    assert same_floats(out, dtypes.to_float32(bits, dtype))


@given(hnp.arrays(np.float16, 20))
def test_float16_widens_exactly(values: np.ndarray) -> None:
    wide = dtypes.to_float32(values, "fp16")
    assert wide.dtype == np.float32
    assert same_floats(wide.astype(np.float16), values)


@pytest.mark.parametrize("dtype", dtypes.DTYPES)
def test_a_type_is_recognised_in_the_file(dtype: str) -> None:
    assert dtypes.dtype_of(dtypes.file_type(dtype)) == dtype


@pytest.mark.parametrize("other", [h5t.IEEE_F64LE, h5t.IEEE_F32BE, h5t.STD_U16LE, h5t.STD_I32LE])
def test_other_types_are_not_taken_for_ours(other: h5t.TypeID) -> None:
    assert dtypes.dtype_of(other) is None


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="'fp64' is no dtype of a store; use one of bf16, fp16, fp32, fp8"):
        dtypes.file_type("fp64")


@pytest.mark.parametrize("dtype", dtypes.DTYPES)
@given(data=st.data())
def test_finiteness_is_that_of_the_numbers(dtype: str, data: st.DataObject) -> None:
    kind = dtypes.memory_type(dtype)
    bits = data.draw(hnp.arrays(f"u{kind.itemsize}", 3)).view(kind)
    assert dtypes.all_finite(bits, dtype) == np.isfinite(dtypes.to_float32(bits, dtype)).all()
