"""Reading the netCDF-4 files of results through h5py.

xarray would read them by h5netcdf, which looks each variable up by its name again for whatever it asks of it,
and takes some five times as long (``python -m tests.benchmarks.bench_results``). What is read is the same.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    import xarray

# By which HDF5 and netCDF-4 tie variables to their dimensions.
_TIES = frozenset(
    (
        "CLASS",
        "NAME",
        "DIMENSION_LIST",
        "DIMENSION_LABELS",
        "REFERENCE_LIST",
        "_NCProperties",
        "_Netcdf4Coordinates",
        "_Netcdf4Dimid",
        "_nc3_strict",
    )
)
_NO_VARIABLE = "This is a netCDF dimension but not a netCDF variable"


def read_netcdf(content: bytes) -> xarray.Dataset:
    """The dataset in a netCDF-4 file, all of it in memory; texts are NumPy's own.

    Args:
        content: of the file, which has no groups.

    Raises:
        OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError: it is no such file, or a
            damaged one.
    """
    import xarray

    with h5py.File(io.BytesIO(content), "r") as file:
        items = dict(file.items())
        # To ask HDF5 for the name of what is referred to takes longer than all else.
        scales = {item.id: name for name, item in items.items() if _is_scale(item)}
        variables = {
            name: (_dims(scales, item), _values(item), attributes(item))
            for name, item in items.items()
            if not _is_bare(item)
        }
        found = xarray.Dataset(variables, attrs=attributes(file))
    return xarray.decode_cf(found).load()


def attributes(item: h5py.HLObject) -> dict[str, Any]:
    """The attributes of a file or a variable, but for those of the format: texts, numbers, lists or arrays.

    Of what has one entry it is the entry; nothing is an empty text.
    """
    return {name: _attribute(item.attrs[name]) for name in item.attrs if name not in _TIES}


def dimensions(file: h5py.File) -> dict[str, int]:
    """The dimensions of a file by name, in its order."""
    return {name: int(item.shape[0]) for name, item in file.items() if _is_scale(item)}


def _dims(scales: Mapping[h5py.h5d.DatasetID, str], item: h5py.Dataset) -> tuple[str, ...]:
    if item.ndim == 0:
        return ()
    if item.id in scales:
        return (scales[item.id],)
    ties: Any = item.attrs["DIMENSION_LIST"]
    return tuple(scales[h5py.h5r.dereference(first, item.file.id)] for first, *_ in ties)


def _values(item: h5py.Dataset) -> Any:
    if h5py.check_string_dtype(item.dtype) is None:
        return item[()]
    return np.asarray(item.asstr()[()]).astype(np.str_)


def _is_scale(item: Any) -> bool:
    return isinstance(item, h5py.Dataset) and h5py.h5ds.is_scale(item.id)


def _is_bare(item: Any) -> bool:
    """Whether it is a dimension without coordinates."""
    return _is_scale(item) and _attribute(item.attrs.get("NAME", "")).startswith(_NO_VARIABLE)


def _attribute(value: Any) -> Any:
    if isinstance(value, h5py.Empty):
        return "" if value.dtype.kind in "OS" else np.empty(0, value.dtype)
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(())[()]
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return value.tolist()
    return value.decode() if isinstance(value, bytes) else value
