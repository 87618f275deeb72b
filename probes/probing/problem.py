"""What a probe is asked: labels of rows, which sample each row belongs to, and what may be exchanged.

A problem holds no features. All cells of a (step, layer) grid share one problem, so that their scores are of
the same rows, folds, draws and permutations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from stores.errors import SelectionError

Kind = Literal["binary", "classes", "number"]

MISSING = -1
"""The code of a class that is not known; of numbers it is NaN."""


@dataclass(frozen=True, eq=False)
class Problem:
    """What is predicted, of rows that all cells share.

    A row is a token of a run, a frame of it, or a run. Rows without a label may be there: they take no part
    in fitting and scoring, but where labels are missing belongs to a sample's label map, and is exchanged
    with it in permutations.

    Attributes:
        kind: `binary` for two classes, `classes` for more, `number` for regression.
        labels: (row,) float64 for numbers, NaN where not known; else int64, the index into `classes`, or
            `MISSING`. Of two classes, the second is the positive one.
        classes: names; () for numbers.
        samples: (row,) int64 in 0..G-1, all of which occur: the unit of splits, bootstrap and permutation.
        slots: (row,) int64; rows of two samples with equal slots correspond, being the same place of the
            token grid and the same seed, say. No sample has a slot twice. Whole label maps are exchanged by
            it.
        types: (row,) int64 or None: what a control task draws its labels for. Rows of one type get one label.

    Raises:
        SelectionError: there are no labels, they are all alike or infinite, or a class never occurs.
        ValueError: arrays that do not fit together, codes out of range.
    """

    kind: Kind
    labels: NDArray[Any]
    classes: tuple[str, ...]
    samples: NDArray[np.int64]
    slots: NDArray[np.int64]
    types: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"a problem is of the kind {', '.join(get_args(Kind))}, not {self.kind!r}")
        for name in ("samples", "slots") + (() if self.types is None else ("types",)):
            object.__setattr__(self, name, _whole(name, getattr(self, name), len(self.labels)))
        if len(self.samples) == 0:
            raise SelectionError("nothing to probe: the selection has no rows")
        if self.samples.min() != 0 or len(np.unique(self.samples)) != self.samples.max() + 1:
            raise ValueError("samples are numbered from 0 without gaps")
        keys = np.stack([self.samples, self.slots])
        if np.unique(keys, axis=1).shape[1] != keys.shape[1]:
            raise ValueError("a sample has a slot twice; slots tell the rows of a sample apart")
        if self.kind == "number":
            self._check_numbers()
        else:
            self._check_classes()

    @property
    def rows(self) -> int:
        """Rows, those without a label included."""
        return len(self.samples)

    @cached_property
    def sample_count(self) -> int:
        """Samples, those without any label included."""
        return int(self.samples.max()) + 1

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """(row,) whether the label is known."""
        return np.isfinite(self.labels) if self.kind == "number" else self.labels != MISSING

    @property
    def outputs(self) -> int:
        """Numbers that a probe gives for a row: one, or one a class where there are more than two."""
        return len(self.classes) if self.kind == "classes" else 1

    def _check_numbers(self) -> None:
        labels = np.asarray(self.labels, dtype=np.float64)
        object.__setattr__(self, "labels", labels)
        if self.classes:
            raise ValueError("numbers have no classes")
        if np.isinf(labels).any():
            raise SelectionError("a label is infinite; labels are finite numbers, or NaN where not known")
        known = labels[np.isfinite(labels)]
        if known.size == 0:
            raise SelectionError("no row has a label; choose samples whose truth is known")
        if np.ptp(known) == 0:
            raise SelectionError(f"all labels are {known[0]:g}: nothing to predict; choose another target")

    def _check_classes(self) -> None:
        labels = _whole("labels", self.labels, len(self.labels))
        object.__setattr__(self, "labels", labels)
        count = len(self.classes)
        if (self.kind == "binary") != (count == 2) or count < 2:
            raise ValueError(f"{self.kind} does not go with {count} classes")
        if labels.min() < MISSING or labels.max() >= count:
            raise ValueError(f"labels are indices of {count} classes, or {MISSING} where not known")
        found = np.unique(labels[labels != MISSING])
        if found.size == 0:
            raise SelectionError("no row has a label; choose samples whose truth is known")
        if found.size == 1:
            raise SelectionError(
                f'all labels are "{self.classes[found[0]]}": one class only, nothing to tell apart; '
                "choose other samples or another target"
            )
        if found.size < count:
            lacking = ", ".join(f'"{self.classes[code]}"' for code in sorted(set(range(count)) - set(found)))
            raise SelectionError(f"no row is of the class {lacking}; leave it out, or choose other samples")


def _whole(name: str, values: NDArray[np.generic], rows: int) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.shape != (rows,) or array.dtype.kind not in "iub":
        raise ValueError(f"{name} must be ({rows},) whole numbers, not {array.dtype} of shape {array.shape}")
    return array.astype(np.int64)
