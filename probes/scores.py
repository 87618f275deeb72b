"""Scores as a result: what each run and each of its clean estimates was given, so that no one decodes twice.

A result of the kind "scores" is of one task and one variant. Beside the metrics it keeps what each clean
estimate answers, as text, and the single numbers and texts of the sample's truth, so that everything about
answers can be asked of it without a model.

======================  ============  ======================================================================
``metric_NAME``         (run, step)   a metric of the clean estimate
``final_NAME``          (run,)        the same metric of the final video
``answer``              (run, step)   what the clean estimate answers; an empty text where it answers nothing
``answer_NAME``         (run, step)   a coarser reading of that answer
``sigma``               (run, step)   noise level
``truth_NAME``          (run,)        a number (NaN: none) or a text (empty: none) of the sample's truth
``sample, seed``        (run,)        what names the run
``finished, size``      (run,)        of the run's file when it was scored: another file is another run
======================  ============  ======================================================================
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from stores.errors import StoreError

if TYPE_CHECKING:
    import xarray

    from stores import RunEntry

KIND = "scores"
ANSWER = "answer"
_METRIC, _FINAL, _TRUTH = "metric_", "final_", "truth_"

RunKey = tuple[str, int]


@dataclass(frozen=True)
class Metric:
    """One number of a score.

    name      key in the score and column in tables
    label     a few words for axes and lists
    head      one or two short words for table heads
    kind      "share": the outcome of a run is 0 or 1; "mean": it is a number within `bounds`
    blind     whether it can be told without the right answer, so that a choice by it needs none
    """

    name: str
    label: str
    head: str
    kind: Literal["share", "mean"]
    bounds: tuple[float, float] = (0.0, 1.0)
    blind: bool = False


@dataclass(frozen=True)
class Reading:
    """One way to read an answer: all of it, or a coarser part of it.

    name      "answer" is all of it; "goal", say, is a part
    label     a word for axes
    right     the metric of kind "share" that is 1 where this reading is right; None if no metric tells
    """

    name: str
    label: str
    right: str | None

    @property
    def variable(self) -> str:
        """Where it stands in a dataset of scores."""
        return ANSWER if self.name == ANSWER else f"{ANSWER}_{self.name}"


@dataclass(frozen=True)
class Scored:
    """What one run was given.

    sample, seed        what names it
    finished, size      of its file
    final               the metrics of its final video
    sigmas              (step,) noise levels
    steps               the metrics of each clean estimate
    answers             by reading, the answer of each clean estimate; None where it answers nothing
    truth               the numbers and texts of the sample's truth
    """

    sample: str
    seed: int
    finished: str
    size: int
    final: Mapping[str, float]
    sigmas: Sequence[float] = ()
    steps: Sequence[Mapping[str, float]] = ()
    answers: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    truth: Mapping[str, float | str] = field(default_factory=dict)

    @property
    def key(self) -> RunKey:
        """What names the run among those of its variant."""
        return self.sample, self.seed

    def is_of(self, entry: RunEntry) -> bool:
        """Whether it was given to this very run, not to one that had its name before."""
        return (*self.key, self.finished, self.size) == (
            *(entry.sample, entry.seed),
            *(entry.finished, entry.size),
        )


@dataclass(frozen=True)
class ScoreTable:
    """The runs of one task and variant, scored by step.

    metrics     of the task, in its order; `headline` names those that are drawn
    readings    ways to read its answers, the first of them all of the answer
    runs        sorted by sample and seed, all with the same number of steps
    """

    task: str
    variant: str
    metrics: tuple[Metric, ...]
    headline: tuple[str, ...]
    readings: tuple[Reading, ...]
    runs: tuple[Scored, ...]

    @property
    def num_steps(self) -> int:
        """Steps of each run."""
        return len(self.runs[0].steps)

    def metric(self, name: str) -> np.ndarray:
        """A metric of the clean estimates, float64 (run, step)."""
        return np.array([[step[name] for step in run.steps] for run in self.runs], dtype=np.float64)

    def final(self, name: str) -> np.ndarray:
        """A metric of the final videos, float64 (run,)."""
        return np.array([run.final[name] for run in self.runs], dtype=np.float64)

    def to_dataset(self) -> xarray.Dataset:
        """As it is saved; see the module."""
        import xarray

        by_step = ("run", "step")
        variables: dict[str, Any] = {
            "finished": ("run", _texts([run.finished for run in self.runs])),
            "size": ("run", np.array([run.size for run in self.runs], dtype=np.int64)),
            "sigma": (by_step, np.array([run.sigmas for run in self.runs], dtype=np.float64)),
        }
        for metric in self.metrics:
            attrs = {
                "long_name": metric.label,
                "head": metric.head,
                "outcome": metric.kind,
                "low": float(metric.bounds[0]),
                "high": float(metric.bounds[1]),
                "blind": int(metric.blind),
            }
            variables[_METRIC + metric.name] = (by_step, self.metric(metric.name), attrs)
            variables[_FINAL + metric.name] = ("run", self.final(metric.name), attrs)
        for reading in self.readings:
            said = [[answer or "" for answer in run.answers[reading.name]] for run in self.runs]
            attrs = {"long_name": reading.label, "reading": reading.name, "right": reading.right or ""}
            variables[reading.variable] = (by_step, _texts(said), attrs)
        for name in dict.fromkeys(name for run in self.runs for name in run.truth):
            variables[_TRUTH + name] = ("run", _facts([run.truth.get(name) for run in self.runs]))
        return xarray.Dataset(
            variables,
            coords={
                "sample": ("run", _texts([run.sample for run in self.runs])),
                "seed": ("run", np.array([run.seed for run in self.runs], dtype=np.int64)),
                "step": np.arange(self.num_steps),
            },
            attrs={
                "task": self.task,
                "variant": self.variant,
                "metrics": json.dumps([metric.name for metric in self.metrics]),
                "headline": json.dumps(self.headline),
                "readings": json.dumps([reading.name for reading in self.readings]),
            },
        )

    @classmethod
    def from_dataset(cls, dataset: xarray.Dataset) -> ScoreTable:
        """The table that `to_dataset` made this of.

        Raises:
            StoreError: the dataset is no table of scores.
        """
        try:
            return cls._read(dataset)
        except (KeyError, AttributeError) as error:
            raise StoreError(f"these are no scores: {error} is not there; score the store again") from error

    @classmethod
    def _read(cls, dataset: xarray.Dataset) -> ScoreTable:
        attrs = dataset.attrs
        metrics = tuple(
            Metric(
                name,
                (told := dataset[_METRIC + name].attrs)["long_name"],
                told["head"],
                told["outcome"],
                (float(told["low"]), float(told["high"])),
                # Scores that were kept by an earlier version do not say.
                bool(told.get("blind", 0)),
            )
            for name in json.loads(attrs["metrics"])
        )
        readings = tuple(
            Reading(name, (told := dataset[_variable(name)].attrs)["long_name"], told["right"] or None)
            for name in json.loads(attrs["readings"])
        )
        names = [metric.name for metric in metrics]
        by_step = np.stack([dataset[_METRIC + name].values for name in names], axis=-1)
        final = np.stack([dataset[_FINAL + name].values for name in names], axis=-1)
        answers = {reading.name: dataset[reading.variable].values for reading in readings}
        truths = {
            str(name).removeprefix(_TRUTH): variable.values.tolist()
            for name, variable in dataset.data_vars.items()
            if str(name).startswith(_TRUTH)
        }
        about = [dataset[name].values.tolist() for name in ("sample", "seed", "finished", "size", "sigma")]
        runs = tuple(
            Scored(
                *(str(sample), seed, str(finished), size),
                final=dict(zip(names, final[row].tolist(), strict=True)),
                sigmas=sigmas,
                steps=[dict(zip(names, values, strict=True)) for values in by_step[row].tolist()],
                answers={
                    name: [answer or None for answer in said[row].tolist()] for name, said in answers.items()
                },
                truth={name: told[row] for name, told in truths.items() if _is_known(told[row])},
            )
            for row, (sample, seed, finished, size, sigmas) in enumerate(zip(*about, strict=True))
        )
        headline = tuple(json.loads(attrs["headline"]))
        return cls(attrs["task"], attrs["variant"], metrics, headline, readings, runs)


def scalars(truth: Mapping[str, Any]) -> dict[str, float | str]:
    """The single numbers and the texts among what is known of a sample; the arrays are left out."""
    found: dict[str, float | str] = {}
    for name, value in truth.items():
        plain = value.item() if isinstance(value, np.generic | np.ndarray) and np.ndim(value) == 0 else value
        if isinstance(plain, str):
            found[name] = plain
        elif isinstance(plain, Real):
            found[name] = float(plain)
    return found


def _variable(reading: str) -> str:
    return Reading(reading, "", None).variable


def _texts(values: Sequence[Any]) -> np.ndarray:
    return np.array(values, dtype=np.str_)


def _facts(values: Sequence[float | str | None]) -> np.ndarray:
    """A fact of each run: texts if any is one, else numbers."""
    if any(isinstance(value, str) for value in values):
        return _texts(["" if value is None else str(value) for value in values])
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)


def _is_known(value: float | str) -> bool:
    return value != "" and value == value
