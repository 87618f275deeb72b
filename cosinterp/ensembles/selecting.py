"""Which seeds go on: judged early, by what their clean estimates show.

"Plan early" pruning: what a video will show can be told from its first steps, so seeds that will not do are
stopped there, which costs less than taking all to the end and choosing then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cosinterp.ensembles.spec import AGREEMENT, Select
from cosinterp.errors import InterventionError, UserError
from cosinterp.scorers import Task, task_of
from probes.own_functions import OwnFunctions

if TYPE_CHECKING:
    from cosinterp.ensembles.rows import Rows
    from cosinterp.models.model import Model
    from cosinterp.planning.plan import PlannedSample
    from cosinterp.samples import Sample
    from cosinterp.scorers import Frames

_FUNCTIONS = OwnFunctions(
    "scorer",
    "write module:function, of a function (video, truth) -> number, more for better",
    ("video", "truth"),
    InterventionError,
)
_LEAST = "-"

Goodness = tuple[float, ...]
"""Of one seed: more is better; what comes first counts more."""


@dataclass
class Selector:
    """Says which rows of one sample go on.

    Attributes:
        seeds: of all rows.
        told: what each seed was given, by seed, once it was asked.
        kept: the seeds that go on, then.
    """

    select: Select
    model: Model
    planned: PlannedSample
    seeds: tuple[int, ...]
    told: dict[str, float] = field(default_factory=dict)
    kept: tuple[int, ...] = ()

    def __call__(self, rows: Rows, estimates: torch.Tensor) -> Rows:
        """The best of ``rows``, in ascending order; of those that are as good, the smaller seeds.

        ``estimates``: float32 (row, channel, frame, row, col).

        Raises:
            UserError: the video cannot be scored, or a function of the user's fails.
        """
        found = self._goodness(estimates)
        best = sorted(range(len(rows)), key=lambda place: tuple(-_number(value) for value in found[place]))
        kept = tuple(sorted(rows[place] for place in best[: self.select.keep]))
        self.told = {str(self.seeds[row]): float(good[0]) for row, good in zip(rows, found, strict=True)}
        self.kept = tuple(self.seeds[row] for row in kept)
        return kept

    def told_of(self) -> dict[str, Any] | None:
        """What the runs say of the choice, if it was made here."""
        return {"scores": self.told, "kept": list(self.kept)} if self.kept else None

    def _goodness(self, estimates: torch.Tensor) -> list[Goodness]:
        by = self.select.by
        truth = self.planned.sample.truth
        task = task_of(truth)
        if by == AGREEMENT:
            nearness = [-distance for distance in mean_distances(estimates)]
            if task is None:
                return [(near,) for near in nearness]
            answers = [task.answer(video, truth) for video in self._videos(estimates)]
            return list(zip(votes(answers), nearness, strict=True))
        score = scorer_of(by, truth)
        return [(score(video, truth),) for video in self._videos(estimates)]

    def _videos(self, estimates: torch.Tensor) -> list[Frames]:
        # One after another: what was kept on the GPU for the rows may leave no room for several.
        num_frames = self.planned.settings.get("num_frames")
        return [self.model.decode(estimate, num_frames) for estimate in estimates]


def check_select(select: Select, samples: Sequence[Sample]) -> None:
    """Refuse what cannot be asked of some sample.

    Raises:
        UserError: there is no such metric or function.
    """
    for sample in samples:
        if select.by != AGREEMENT:
            scorer_of(select.by, sample.truth, sample.name)


def scorer_of(
    by: str, truth: Mapping[str, Any], sample: str = "the sample"
) -> Callable[[Frames, Mapping[str, Any]], float]:
    """How good a video is, by a metric of its sample's task or a function of the user's.

    Raises:
        InterventionError: there is no such metric or function.
    """
    if ":" in by:
        function = _FUNCTIONS.load(by)
        return lambda video, truth: _own(by, function, video, truth)
    task = task_of(truth)
    if task is None:
        raise InterventionError(
            f'seeds of {sample} cannot be selected by "{by}": its truth names no known task; '
            f"use {AGREEMENT}, or module:function"
        )
    name, sign = by.removeprefix(_LEAST), -1 if by.startswith(_LEAST) else 1
    if name not in {metric.name for metric in task.metrics}:
        known = ", ".join(metric.name for metric in task.metrics)
        raise InterventionError(
            f'{task.name} has no metric "{name}"; it has {known} (a minus before one: the least is the '
            f"best). Or use {AGREEMENT}, or module:function"
        )
    return lambda video, truth: sign * _scored(task, name, video, truth)


def mean_distances(estimates: torch.Tensor) -> list[float]:
    """The mean Euclidean distance of each row from the others; 0 for a single one."""
    rows = estimates.double().flatten(1)
    count = len(rows)
    apart = np.zeros((count, count))
    for one in range(count):
        for other in range(one):
            apart[one, other] = apart[other, one] = float((rows[one] - rows[other]).norm())
    return [math.fsum(row) / max(1, count - 1) for row in apart.tolist()]


def votes(answers: Sequence[str | None]) -> list[float]:
    """How many others give the same answer; -1 for who gives none."""
    return [-1.0 if answer is None else float(list(answers).count(answer) - 1) for answer in answers]


def _scored(task: Task, metric: str, video: Frames, truth: Mapping[str, Any]) -> float:
    return float(task.score(video, truth)[metric])


def _own(text: str, function: Callable[..., Any], video: Frames, truth: Mapping[str, Any]) -> float:
    try:
        return float(function(video, truth))
    except UserError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InterventionError(f'scorer "{text}": {reason}') from error


def _number(value: float) -> float:
    """NaN is worse than any number."""
    return -math.inf if math.isnan(value) else value
