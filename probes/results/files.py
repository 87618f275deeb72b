"""Results: labelled arrays with where they come from, in the folder of the store that they were made of.

A result is a netCDF-4 file, ``results/NAME.nc``, that any tool for HDF5 opens. Its attribute ``provenance``
holds JSON: what was asked, of which model, with which versions, when, and the command that repeats it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from probes.results.netcdf import attributes, dimensions, read_netcdf
from stores.errors import StoreError, VersionError
from stores.files import replacing
from stores.hdf5 import why_unreadable
from stores.values import jsonable

if TYPE_CHECKING:
    import xarray

FORMAT = "cosinterp-result"
VERSION = 1
FOLDER = "results"
SUFFIX = ".nc"

_OURS = ("format", "version", "provenance")
_ENGINE = "h5netcdf"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?")
# What xarray and HDF5 raise on a file that is none of theirs, or damaged.
_DAMAGE = (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError)


def result_path(store: Path | str, name: str) -> Path:
    """Where the result ``name`` of the store in this folder lies.

    Raises:
        StoreError: ``name`` cannot name a result.
    """
    if not _NAME.fullmatch(name):
        raise StoreError(
            f"result name {name!r}: use 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter "
            "or digit and not ending with '.'"
        )
    return Path(store) / FOLDER / f"{name}{SUFFIX}"


def save_result(
    store: Path | str,
    name: str,
    dataset: xarray.Dataset,
    provenance: Mapping[str, Any],
    *,
    force: bool = False,
) -> Path:
    """Write ``dataset`` as the result ``name`` of a store; its file, which is there whole or not at all.

    Args:
        store: the store's folder.
        name: 1 to 128 letters, digits, ".", "_" or "-".
        dataset: numbers, truth values and texts. Texts come back as NumPy's own, as does all else.
        provenance: what JSON can hold; ``created``, the time in UTC, is added if it is not there.
        force: replace a result of this name.

    Raises:
        StoreError: a result of this name is there and not to be replaced, the name cannot be one, or the
            disk refuses.
        TypeError, ValueError: the dataset or its provenance holds something that cannot be written.
    """
    path = result_path(store, name)
    created = {"created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    told = json.dumps(jsonable(created | dict(provenance), "provenance"))
    marked = _plain(dataset).assign_attrs(format=FORMAT, version=VERSION, provenance=told)
    # In memory first: HDF5 does not survive a full disk.
    content = marked.to_netcdf(engine=_ENGINE)
    with replacing(path, force, replaceable=Path.is_file) as draft:
        draft.write_bytes(content)
    return path


def open_result(path: Path | str) -> xarray.Dataset:
    """The result in a file, all of it in memory; its provenance by `provenance_of`.

    Raises:
        StoreError: there is no such result, or the file is damaged or something else.
        VersionError: it is of another format version.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        found = read_netcdf(content)
        # Told here if it cannot be read, and nowhere later.
        _check(path, found.attrs)
        provenance_of(found)
    except _DAMAGE as error:
        raise _damaged(path) from error
    return found


@dataclass(frozen=True)
class Header:
    """What a result's file says of it before any of its numbers is read.

    Attributes:
        provenance: as `provenance_of` gives it.
        attrs: the other attributes of the dataset: numbers, texts and arrays of either.
        sizes: its dimensions, in the file's order.
        size: bytes of the file.
    """

    provenance: dict[str, Any]
    attrs: dict[str, Any]
    sizes: dict[str, int]
    size: int


def read_header(path: Path | str) -> Header:
    """The header of a result's file, without its numbers.

    Raises:
        StoreError, VersionError: as `open_result`, for what the header tells of.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        # Whatever else may be wrong with the file: HDF5 says of one that may not be read that it is none.
        path.open("rb").close()
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            attrs, sizes = attributes(file), dimensions(file)
        _check(path, attrs)
        told = json.loads(attrs["provenance"])
    except _DAMAGE as error:
        raise _damaged(path) from error
    own = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in attrs.items()
        if name not in _OURS
    }
    return Header(told, own, sizes, size)


def provenance_of(dataset: xarray.Dataset) -> dict[str, Any]:
    """Where a result comes from. Raises KeyError for a dataset that is none."""
    return json.loads(dataset.attrs["provenance"])


def list_results(store: Path | str) -> list[str]:
    """The names of a store's results, sorted."""
    files = (Path(store) / FOLDER).glob(f"*{SUFFIX}")
    return sorted(file.stem for file in files if _NAME.fullmatch(file.stem) and file.is_file())


def remove_result(path: Path | str) -> None:
    """Remove a result's file, damaged or not; one that is gone already is no mistake.

    Raises:
        StoreError: the disk refuses.
    """
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be removed: {why_unreadable(error) or error}") from error


def _check(path: Path, attrs: Mapping[str, Any]) -> None:
    """Raises StoreError, VersionError: these are not the attributes of a result that can be read here."""
    if attrs.get("format") != FORMAT or "provenance" not in attrs:
        raise StoreError(f"{path}: this is no result of cosinterp")
    if attrs.get("version") != VERSION:
        raise VersionError(
            f"{path}: result of format version {attrs.get('version')}, this cosinterp reads {VERSION}; "
            "use the version that wrote it"
        )


def _damaged(path: Path) -> StoreError:
    return StoreError(f"{path}: damaged, or no result; delete it and make it again")


def _unreadable(path: Path, error: OSError) -> StoreError:
    if isinstance(error, FileNotFoundError):
        return StoreError(f"{path}: no such result; {_others(path)}")
    return StoreError(f"{path}: cannot be read: {why_unreadable(error) or error}")


def _plain(dataset: xarray.Dataset) -> xarray.Dataset:
    """The dataset with its texts as NumPy's own, whatever pandas made of them.

    Raises:
        TypeError: something is neither number nor truth value nor text.
        ValueError: a text has a NUL character, which would end it in the file.
    """
    changed = {}
    for name, variable in dataset.variables.items():
        if variable.dtype.kind in "biuf":
            continue
        values = np.asarray(variable.values)
        if values.dtype.kind == "U":
            texts = values
        else:
            odd = next((value for value in values.flat if not isinstance(value, str)), None)
            if odd is not None or values.dtype.kind not in "OT":
                raise TypeError(f"{name}: holds {odd!r}, which is no number, truth value or text")
            texts = values.astype(np.str_)
        if any("\0" in text for text in values.flat):
            raise ValueError(f"{name}: holds a text with a NUL character")
        changed[name] = (variable.dims, texts, variable.attrs)
    return dataset.assign(changed) if changed else dataset


def _others(path: Path) -> str:
    names = list_results(path.parent.parent) if path.parent.name == FOLDER else []
    return f"there are {', '.join(names)}" if names else "there is none there"
