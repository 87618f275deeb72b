"""Labels of rows as codes or numbers, from what a target says of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from probes.probing.problem import MISSING, Kind
from probes.probing.values import NO, UNKNOWN, YES, Values, is_known, joined
from stores.errors import SelectionError

LabelKind = Literal["auto", "classes", "number"]

MOST_CLASSES = 50


def encoded(
    labels: Sequence[Values], kind: LabelKind, what: str
) -> tuple[Kind, tuple[str, ...], NDArray[np.int64] | NDArray[np.float64]]:
    """What kind of labels these are, the names of their classes, and the labels as a `Problem` takes them.

    Texts and numbers that are 0 or 1 throughout are classes, other numbers are numbers, unless ``kind`` says
    otherwise. Of "no" and "yes" the latter is positive.

    Raises:
        SelectionError: a single class, too many of them, texts as numbers, or infinity.
    """
    values = joined(labels, what)
    known = is_known(values)
    if values.dtype.kind == "f" and np.isinf(values).any():
        raise SelectionError(
            f"{what}: a label is infinite; labels are finite numbers, or NaN where not known"
        )
    there = np.unique(values[known])
    if kind == "number":
        return "number", (), _numbers(values, there, what)
    is_numbers = values.dtype.kind == "f" and not (len(there) <= 2 and np.isin(there, (0.0, 1.0)).all())
    if kind == "auto" and is_numbers:
        return "number", (), values.astype(np.float64)
    classes = tuple(str(one) if values.dtype.kind == "U" else f"{one:g}" for one in there)
    if len(classes) == 1:
        raise SelectionError(
            f'{what}: all labels are "{classes[0]}": one class only, nothing to tell apart; '
            "choose other samples or another target"
        )
    if len(classes) > MOST_CLASSES:
        raise SelectionError(f"{what}: {len(classes)} classes; at most {MOST_CLASSES} can be told apart")
    codes = np.full(values.shape, MISSING, dtype=np.int64)
    codes[known] = np.searchsorted(there, values[known])
    return "binary" if len(classes) == 2 else "classes", classes, codes


def _numbers(values: Values, there: Values, what: str) -> NDArray[np.float64]:
    if values.dtype.kind == "f":
        return values.astype(np.float64)
    if not set(there.tolist()) <= {YES, NO}:
        raise SelectionError(f'{what}: "{there[0]}" is no number')
    return np.where(values == UNKNOWN, np.nan, (values == YES).astype(np.float64))
