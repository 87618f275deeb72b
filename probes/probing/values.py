"""What a target says of runs, in two kinds of arrays: numbers and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stores.errors import SelectionError

Values: TypeAlias = NDArray[Any]
"""Of float64, NaN where not known, or of texts, empty where not known."""

YES, NO, UNKNOWN = "yes", "no", ""

_ORDERS: dict[str, Callable[[Any, Any], Any]] = {
    ">=": np.greater_equal,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
}
OPERATORS = tuple(_ORDERS)


def as_values(given: Any, what: str) -> Values:
    """A number, a truth value, a text or an array of these; None is not known.

    Raises:
        SelectionError: it is something else.
    """
    if given is None:
        return np.asarray(np.nan)
    array = np.asarray(given)
    if array.dtype.kind == "b":
        return yes_no(array)
    if array.dtype.kind in "iuf":
        return array.astype(np.float64)
    if array.dtype.kind == "U":
        return array
    raise SelectionError(
        f"{what}: gives a {type(given).__name__} of {array.dtype}; give numbers, truth values or texts"
    )


def yes_no(truth: Any, known: Any = True) -> NDArray[np.str_]:
    """Truth values as texts, unknown where ``known`` is false."""
    return np.where(known, np.where(truth, YES, NO), UNKNOWN)


def is_known(values: Values) -> NDArray[np.bool_]:
    """Where there is a value."""
    return values != UNKNOWN if values.dtype.kind == "U" else ~np.isnan(values)


def is_true(values: Values) -> NDArray[np.bool_]:
    """Where a value says yes: the text "yes", or a number that is not 0."""
    return values == YES if values.dtype.kind == "U" else is_known(values) & (values != 0)


def compared(values: Values, operator: str, with_: str, what: str) -> NDArray[np.str_]:
    """Whether each value stands in this relation, as `yes_no`.

    Raises:
        SelectionError: texts are ordered, or a number is compared with a text.
    """
    other: Any = with_
    if values.dtype.kind == "U":
        if operator not in ("==", "!="):
            raise SelectionError(f"{what}: these are texts; compare them by == or !=")
    else:
        try:
            other = float(with_)
        except ValueError:
            raise SelectionError(f"{what}: these are numbers, and {with_!r} is none") from None
    return yes_no(_ORDERS[operator](values, other), is_known(values))


def joined(parts: Iterable[Values], what: str) -> Values:
    """Values of several runs, one after another.

    Raises:
        SelectionError: some are numbers and some texts.
    """
    flat = [part.reshape(-1) for part in parts]
    known = [part for part in flat if is_known(part).any()] or flat
    kinds = {part.dtype.kind for part in known}
    if len(kinds) > 1:
        raise SelectionError(f"{what}: gives numbers for some runs and texts for others")
    unknown = UNKNOWN if kinds == {"U"} else np.nan
    return np.concatenate(
        [part if part.dtype.kind in kinds else np.full(part.shape, unknown) for part in flat]
    )
