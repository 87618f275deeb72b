"""Targets of the user's own: a table by sample and seed, arrays by sample, or a function of a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from probes.own_functions import OwnFunctions
from probes.probing.values import UNKNOWN, Values, as_values
from stores import Run
from stores.errors import SelectionError

OfRun = Callable[[Run], Values]

_FILE = re.compile(r"(?P<path>.+\.(?P<kind>csv|npy|npz))(?::(?P<column>[^:]+))?", re.IGNORECASE)
_KEYS = ("sample", "seed")
_FUNCTIONS = OwnFunctions(
    "target", "write module:function, of a function (run) -> number, text or array", ("run",), SelectionError
)


def from_file(text: str, samples: Sequence[str]) -> OfRun | None:
    """What ``table.csv``, ``table.csv:column``, ``labels.npz`` or ``labels.npy`` say; None if it is no file.

    A CSV has a column ``sample``, perhaps ``seed``, and one with labels. An .npz has an array for each
    sample, or for each ``SAMPLE/SEED``. An .npy has one row a sample, in the order of ``samples``.

    Raises:
        SelectionError: the file cannot be read, or has not what is needed.
    """
    match = _FILE.fullmatch(text)
    if match is None:
        return None
    path, kind = Path(match["path"]), match["kind"].lower()
    if not path.is_file():
        raise SelectionError(f'target "{text}": there is no file {path}')
    if kind == "csv":
        return _table(path, match["column"])
    if match["column"] is not None:
        raise SelectionError(f'target "{text}": only a CSV has columns')
    return _arrays(path) if kind == "npz" else _rows(path, samples)


def from_function(text: str) -> OfRun | None:
    """What ``module:function`` returns of a run, a number or array, say; None if it is not so written.

    Raises:
        SelectionError: there is no such function; when it is called: it fails.
    """
    if ":" not in text:
        return None
    function = _FUNCTIONS.load(text)

    def of_run(run: Run) -> Values:
        asked = f'target "{text}"'
        try:
            given = function(run)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise SelectionError(f"{asked}: fails on {run.sample} seed {run.seed}: {reason}") from error
        return as_values(given, asked)

    return of_run


def _table(path: Path, column: str | None) -> OfRun:
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype={"sample": str}, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise SelectionError(f"{path}: cannot be read as CSV: {' '.join(str(error).split())}") from error
    if "sample" not in table:
        raise SelectionError(f"{path}: needs a column sample; it has {', '.join(map(str, table.columns))}")
    others = [str(name) for name in table.columns if name not in _KEYS]
    if column is None and len(others) != 1:
        raise SelectionError(
            f"{path}: say which column, such as {path}:{others[0]}; it has {', '.join(others)}"
            if others
            else f"{path}: has no column of labels beside {' and '.join(_KEYS)}"
        )
    name = others[0] if column is None else column
    if name not in others:
        raise SelectionError(f"{path}: there is no column {name} of labels; it has {', '.join(others)}")
    keys = [key for key in _KEYS if key in table]
    if "seed" in keys and not pd.api.types.is_integer_dtype(table["seed"]):
        raise SelectionError(f"{path}: seeds are whole numbers, in each row")
    twice = table[table.duplicated(keys)]
    if len(twice):
        row = ", ".join(f"{key} {twice.iloc[0][key]}" for key in keys)
        raise SelectionError(f"{path}: {row} is there twice; a row for each {' and '.join(keys)} is needed")
    labels = table[name]
    is_text = not (pd.api.types.is_numeric_dtype(labels) or pd.api.types.is_bool_dtype(labels))
    unknown: Any = UNKNOWN if is_text else np.nan
    plain = [
        unknown if pd.isna(label) else str(label) if is_text else label for label in labels.astype(object)
    ]
    found = dict(zip(zip(*(table[key] for key in keys), strict=True), plain, strict=True))

    def of_run(run: Run) -> Values:
        key = (run.sample, run.seed)[: len(keys)]
        return as_values(found.get(key, unknown), str(path))

    return of_run


def _arrays(path: Path) -> OfRun:
    arrays = _loaded(path)

    def of_run(run: Run) -> Values:
        for key in (f"{run.sample}/{run.seed}", run.sample):
            if key in arrays:
                return as_values(arrays[key], f"{path}: {key}")
        return np.asarray(np.nan)

    return of_run


def _rows(path: Path, samples: Sequence[str]) -> OfRun:
    array = _loaded(path)[""]
    if array.ndim == 0 or len(array) != len(samples):
        raise SelectionError(
            f"{path}: has the shape {array.shape}; its first axis has to be the {len(samples)} chosen "
            "samples, by name. An .npz with an array for each sample says which is which"
        )
    row_of = {sample: row for row, sample in enumerate(samples)}
    return lambda run: as_values(array[row_of[run.sample]], str(path))


def _loaded(path: Path) -> dict[str, Any]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"": found}
        with found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError) as error:
        raise SelectionError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
