"""What ``cosinterp results export`` writes of a result, by the ending of the file's name."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cosinterp.cli.results_show import as_data
from stores.errors import StoreError
from stores.files import replacing

if TYPE_CHECKING:
    from probes.results.result import Result

_PARQUET = ("pyarrow", "fastparquet")


def write(result: Result, path: Path, force: bool) -> None:
    """Write a result to a file, which is there whole or not at all.

    Raises:
        StoreError: the name ends in something else, there is such a file, a library is lacking, or the disk
            refuses.
    """
    made = _WRITERS.get(path.suffix.lower())
    if made is None:
        raise StoreError(f"--out {path}: the name has to end in {', '.join(_WRITERS)}")
    if made is _parquet and not any(find_spec(name) for name in _PARQUET):
        raise StoreError(f"--out {path}: Parquet needs pyarrow, which is not installed; choose .csv")
    with replacing(path, force, replaceable=Path.is_file) as draft:
        made(result, draft)


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
    path.write_bytes(result.path.read_bytes())


_WRITERS: dict[str, Callable[[Result, Path], None]] = {
    ".csv": _csv,
    ".json": _json,
    ".nc": _netcdf,
    ".parquet": _parquet,
}
