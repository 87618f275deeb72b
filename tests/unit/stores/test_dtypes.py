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
from stores.descriptor import Descriptor
from stores.sink import Sink
from stores.slab_layout import SlabLayout
from stores.slab_reader import SlabReader
from stores.slab_writer import SlabWriter
from tests.unit.stores.making import widen

EVERY_PATTERN = np.arange(2**16, dtype=np.uint16)


def same_floats(left: np.ndarray, right: np.ndarray) -> bool:
    """Equal, a NaN only to a NaN, and -0 not to +0."""
    numbers = ~np.isnan(left)
    same_signs = np.signbit(left[numbers]) == np.signbit(right[numbers])
    return bool(np.array_equal(left, right, equal_nan=True) and same_signs.all())


def write(path: Path, slab: np.ndarray, dtype: str) -> None:
    with path.open("w+b") as target:
        sink = Sink(target.fileno())
        with h5py.File(sink, "w") as file:
            writer = SlabWriter(file, sink, "x", (), SlabLayout(slab.shape, dtype), ())
            writer.write(
                (),
                slab,
                np.ones(SlabLayout(slab.shape, dtype).groups, np.float32) if dtype == "fp8" else None,
            )
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
