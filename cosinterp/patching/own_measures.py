"""Measures of the user's own: a Python function, named as ``module:function``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cosinterp.patching.measures import Measure, MeasureError, Truth
from cosinterp.scorers import Frames, Metric
from probes.own_functions import OwnFunctions

_FUNCTIONS = OwnFunctions(
    "measure",
    "write module:function, of a function (video, recipient_truth, donor_truth) -> number or numbers by name",
    ("video", "recipient_truth", "donor_truth"),
    MeasureError,
)


class OwnMeasure:
    """A function as a measure; a single number goes into a column of the function's name.

    The function is given a video, uint8 (frame, row, col, rgb), and the truths of the sample that was patched
    and of the one that the activations come from (empty if there is none). NaN is kept: it says that there is
    nothing to measure.
    """

    columns: tuple[Metric, ...] = ()

    def __init__(self, name: str, function: Callable[[Frames, Truth, Truth], Any]) -> None:
        self.name = name
        self._column = name.rpartition(":")[2]
        self._function = function

    def measure(self, video: Frames, recipient_truth: Truth, donor_truth: Truth) -> Mapping[str, Any]:
        """What the function returns, by name."""
        found = self._function(video, recipient_truth, donor_truth)
        return found if isinstance(found, Mapping) else {self._column: found}

    def __reduce__(self) -> tuple[Callable[[str], Measure], tuple[str]]:
        # Its module may be one that Python finds in the current folder only when it is asked to.
        return load_measure, (self.name,)


def load_measure(text: str) -> Measure:
    """The measure that ``module:function`` names.

    The module is looked for where Python looks, and then in the current folder.

    Raises:
        MeasureError: there is no such module or function, importing it fails, or it takes other arguments.
    """
    return OwnMeasure(text, _FUNCTIONS.load(text))
