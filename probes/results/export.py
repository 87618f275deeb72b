"""A result for other programs: its table, or all of it, by the ending of a file's name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stores.errors import StoreError
from stores.files import replacing
from stores.hdf5 import why_unreadable

if TYPE_CHECKING:
    import pandas

    from probes.results.result import Result

_PARQUET = ("pyarrow", "fastparquet")


def export_result(result: Result, path: Path, *, force: bool = False) -> Path:
    """Write a result to a file, which is there whole or not at all; the file.

    Args:
        result: what is written.
        path: .csv and .parquet hold its table, .json also what it says and how it was made, .nc all of it.
        force: replace a file that has this name.

    Raises:
        StoreError: as `check_export`, or there is such a file, or the disk refuses.
    """
    check_export(path)
    with replacing(path, force, replaceable=Path.is_file) as draft:
        _WRITERS[path.suffix.lower()](result, draft)
    return path


def check_export(path: Path) -> None:
    """Whether results can be written to a file of this name.

    Raises:
        StoreError: the name ends in something else, or a library is lacking.
    """
    made = _WRITERS.get(path.suffix.lower())
    if made is None:
        raise StoreError(f"{path}: the name has to end in {', '.join(FORMATS)}")
    if made is _parquet and not any(find_spec(name) for name in _PARQUET):
        raise StoreError(f"{path}: Parquet needs pyarrow, which is not installed; choose .csv")


def as_data(result: Result) -> dict[str, Any]:
    """A result as JSON takes it: where it comes from, what it says, its table."""
    return {
        "name": result.name,
        "title": result.title,
        "known": result.is_known,
        "sizes": {str(name): int(size) for name, size in result.dataset.sizes.items()},
        "summary": result.summary(),
        "figures": result.figures(),
        "provenance": _plain(result.provenance),
        "table": records(result.table()),
    }


def records(frame: pandas.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as JSON takes them: what is not known, or infinite, is null."""
    columns = {str(name): [_plain(value) for value in frame[name].tolist()] for name in frame.columns}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    import pandas as pd

    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    # What is not known of whole numbers and texts is no float.
    return None if pd.isna(value) or (isinstance(value, float) and math.isinf(value)) else value


def _csv(result: Result, path: Path) -> None:
    result.table().to_csv(path, index=False)


def _parquet(result: Result, path: Path) -> None:
    result.table().to_parquet(path, index=False)


def _json(result: Result, path: Path) -> None:
    text = json.dumps(as_data(result), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(f"{text}\n", encoding="utf-8")


def _netcdf(result: Result, path: Path) -> None:
    if result.path is None:
        raise ValueError("a result that was not saved has no file to be copied")
    try:
        content = result.path.read_bytes()
    except OSError as error:
        # Not what is written is at fault, but what it is written from.
        raise StoreError(f"{result.path}: cannot be read: {why_unreadable(error) or error}") from error
    path.write_bytes(content)


_WRITERS: dict[str, Callable[[Result, Path], None]] = {
    ".csv": _csv,
    ".json": _json,
    ".nc": _netcdf,
    ".parquet": _parquet,
}
FORMATS = tuple(_WRITERS)
