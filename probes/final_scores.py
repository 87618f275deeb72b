"""What the final videos of runs were given, out of the scores that a store keeps: for lists of many runs.

Only the one number is read that a task is about, and by h5py alone, since xarray takes longer to be imported
than thousands of numbers to be read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from probes.results.files import list_results, result_path
from probes.scores import KIND
from stores.errors import StoreError
from stores.hdf5 import why_unreadable

RunKey = tuple[str, int, str, int]
"""sample, seed, when the file of the run was finished (as the catalog has it), and its bytes."""


@dataclass(frozen=True)
class FinalScores:
    """The scores of the final videos of a task and variant.

    Attributes:
        variant: of the runs.
        label: of the metric, the task's first headline, such as "solved".
        is_share: a run has it or not; else it has more or less of it.
        values: by run; NaN where it is not known.
    """

    variant: str
    label: str
    is_share: bool
    values: dict[RunKey, float]


def final_scores(store: Path) -> Iterator[FinalScores | StoreError]:
    """The scores that a store keeps; errors in the place of those that cannot be read.

    Raises:
        StoreError: the results of the store cannot be listed.
    """
    for name in list_results(store):
        # Other results may be large, and are called otherwise.
        if name.startswith(KIND):
            path = result_path(store, name)
            try:
                found = _read(path)
            except OSError as error:
                damaged = "damaged; score the store again"
                yield StoreError(f"{path}: {why_unreadable(error) or damaged}")
            except (KeyError, ValueError, TypeError) as error:
                yield StoreError(f"{path}: these are no scores ({error}); score the store again")
            else:
                if found is not None:
                    yield found


def _read(path: Path) -> FinalScores | None:
    """The scores in a file; None: it is a result of another kind."""
    # HDF5 waits for a disk with the interpreter held, so that of one which does not answer no thread goes on.
    path.open("rb").close()
    with h5py.File(path, "r") as file:
        told: dict[str, Any] = dict(file.attrs)
        if json.loads(told["provenance"]).get("kind") != KIND:
            return None
        metric = json.loads(told["headline"])[0]
        final: Any = file[f"final_{metric}"]
        about: list[Any] = [file[name] for name in ("sample", "seed", "finished", "size")]
        columns = [one.asstr()[()] if one.dtype.kind == "O" else one[()] for one in about]
        keys = zip(*(column.tolist() for column in columns), strict=True)
        values = dict(zip(keys, final[()].tolist(), strict=True))
        attrs = final.attrs
        return FinalScores(str(told["variant"]), str(attrs["long_name"]), attrs["outcome"] == "share", values)
