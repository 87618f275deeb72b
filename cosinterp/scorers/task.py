"""What scoring needs to know of a task: what a video is, its metrics, its answers and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from cosinterp.errors import SampleError
from probes.scores import Metric, Reading

Frames = NDArray[np.uint8]


class Task(Protocol):
    """What scoring needs to know of a task.

    metrics     all that `score` returns, in the order of the tables
    headline    the two or three of them that are shown by step

    A task whose answers have coarser parts (the goal that a path leads to) may have `readings` and `read`
    as `Readable` says.
    """

    name: str
    metrics: tuple[Metric, ...]
    headline: tuple[str, ...]

    def score(self, video: Frames, truth: Mapping[str, Any]) -> dict[str, float]:
        """Score a video, uint8 (frame, row, col, rgb): metric -> number. Raises UserError if it cannot."""
        ...

    def answer(self, video: Frames, truth: Mapping[str, Any]) -> str | None:
        """What the video answers: equal strings for equal answers, None if it answers nothing."""
        ...

    def final_frame(self, truth: Mapping[str, Any]) -> Frames | None:
        """The true last frame, uint8 (row, col, rgb), if the truth tells it."""
        ...


@runtime_checkable
class Readable(Protocol):
    """What a task may have beside the members of `Task`: answers that can be read in several ways.

    readings    the first is all of the answer, named "answer"
    """

    readings: tuple[Reading, ...]

    def read(self, reading: str, answer: str) -> str:
        """What an answer says in the reading of this name."""
        ...


def require(truth: Mapping[str, Any], names: tuple[str, ...], what: str) -> None:
    """Raises SampleError: the truth of a ``what`` ("maze") lacks one of these names."""
    lacking = [name for name in names if name not in truth]
    if lacking:
        raise SampleError(
            f"the truth of this {what} lacks {', '.join(lacking)}; write the {what}s again and trace them."
        )
