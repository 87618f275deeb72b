"""What a patch did: how far latents, pixels and answers moved.

Distances are given as shares of the way from the run that was patched to the run that the activations come
from, because a distance alone means nothing:

    moved       |p - r| / |d - r|                     0: nothing happened; 1: as far as the donor is
    recovered   1 - |p - d| / |d - r|                 1: the donor's own; below 0: farther from it than before
    along       <p - r, d - r> / |d - r|^2            the part of the move that leads to the donor
    relative    |p - r| / |r|                         0: nothing happened; needs no donor

with p the patched run, r the same run without the patch, d the donor; norms are Euclidean over a whole
latent, in float64. `moved` is large for noise too, so read it beside the other two.

Answers are read off the video by measures: those of the sample's task (`cosinterp.scorers`), and those given
to `register`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cosinterp.errors import UserError
from cosinterp.patching.task_measures import task_measures
from cosinterp.scorers import Frames, Metric

Latent = NDArray[np.float32]
"""(channel, frame, row, col)"""
Truth = Mapping[str, Any]

_ANY = (-math.inf, math.inf)
_FROM_ZERO = (0.0, math.inf)
_UP_TO_ONE = (-math.inf, 1.0)


def _latent_metrics(prefix: str, what: str) -> tuple[Metric, ...]:
    return (
        Metric(f"{prefix}_moved", f"{what} moved, of the way to the donor", "moved", "mean", _FROM_ZERO),
        Metric(
            f"{prefix}_recovered",
            f"distance of the {what} to the donor that is gone",
            "recovered",
            "mean",
            _UP_TO_ONE,
        ),
        Metric(f"{prefix}_along", f"{what} moved along the way to the donor", "along", "mean", _ANY),
        Metric(
            f"{prefix}_moved_seeds",
            f"{what} moved, of the distance between seeds",
            "of seeds",
            "mean",
            _FROM_ZERO,
        ),
        Metric(f"{prefix}_relative", f"{what} moved, of its own norm", "of norm", "mean", _FROM_ZERO),
    )


LATENT_EFFECTS = (*_latent_metrics("x0", "clean estimate"), *_latent_metrics("final", "final latent"))
"""All that `latent_effects` returns."""

PIXEL_EFFECTS = (
    Metric("pixels_moved", "pixels changed, root mean square", "pixels", "mean", _FROM_ZERO),
    Metric(
        "pixels_recovered",
        "distance of the pixels to the donor that is gone",
        "recovered",
        "mean",
        _UP_TO_ONE,
    ),
)
"""All that `pixel_effects` returns."""


def effect_attrs(metric: Metric) -> dict[str, str | float]:
    """Attributes of the effect's variable in a result, which `probes.effects` reads.

    They are those of the CF conventions (``long_name``, ``valid_min`` and ``valid_max`` where there is one),
    and ``kind``, as of the metric.
    """
    ends = dict(zip(("valid_min", "valid_max"), metric.bounds, strict=True))
    finite = {name: value for name, value in ends.items() if math.isfinite(value)}
    return {"long_name": metric.label, "kind": metric.kind, **finite}


class MeasureError(UserError):
    """A measure failed on a video, or is none; the message names it."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run, patched or not, is judged by.

    Attributes:
        step: whose clean estimate was read.
        clean: the clean estimate at that step, float32 (channel, frame, row, col).
        final: the final latent of the same shape, None if the run was not continued to its end.
        decode: makes a latent of that shape a video, uint8 (frame, row, col, rgb). Called when a video is
            first asked for, and not again.
    """

    step: int
    clean: Latent
    final: Latent | None = None
    decode: Callable[[Latent], Frames] | None = field(default=None, repr=False)

    @property
    def video(self) -> Frames:
        """The final latent as a video if there is one, else the clean estimate."""
        return self.clean_video if self.final is None else self.final_video

    @cached_property
    def clean_video(self) -> Frames:
        """The clean estimate as a video, uint8 (frame, row, col, rgb)."""
        return self._decoded(self.clean)

    @cached_property
    def final_video(self) -> Frames:
        """The final latent as a video, uint8 (frame, row, col, rgb)."""
        if self.final is None:
            raise ValueError("this run has no final latent")
        return self._decoded(self.final)

    def _decoded(self, latent: Latent) -> Frames:
        if self.decode is None:
            raise ValueError("this outcome was made without a decoder")
        return self.decode(latent)


@dataclass(frozen=True)
class SeedSpread:
    """How far the other seeds of its sample are from the run that is patched; see `mean_distance`.

    Attributes:
        clean: the distance of their clean estimates at the step that is read; NaN if not known.
        final: that of their final latents.
    """

    clean: float = math.nan
    final: float = math.nan


def mean_distance(run: Latent, others: Sequence[Latent]) -> float:
    """The mean Euclidean distance of ``others`` from ``run``, latents all; NaN if there are none."""
    return float(np.mean([_norm(_difference(other, run)) for other in others])) if others else math.nan


def latent_effects(
    patched: Outcome, recipient: Outcome, donor: Outcome, seed_spread: SeedSpread | None = None
) -> dict[str, float]:
    """The distances of `LATENT_EFFECTS`, by name.

    NaN stands for what is not known: `final_*` where one of the three has no final latent, shares of the way
    to a donor that is no other run, and of seeds that are not given.

    Args:
        patched, recipient, donor: the run with the patch, without it, and the one that the activations come
            from, all at one step. Where they come from no run, the donor is the recipient.
        seed_spread: of the recipient's sample.

    Raises:
        MeasureError: the patched run holds NaN or infinity.
        ValueError: they are of different steps or shapes.
    """
    if not patched.step == recipient.step == donor.step:
        raise ValueError(
            f"clean estimates of steps {patched.step}, {recipient.step} and {donor.step} are not comparable"
        )
    spread = seed_spread or SeedSpread()
    effects = _distances("x0", patched.clean, recipient.clean, donor.clean, spread.clean)
    if patched.final is None or recipient.final is None or donor.final is None:
        unknown = [metric.name for metric in LATENT_EFFECTS if metric.name.startswith("final_")]
        return effects | dict.fromkeys(unknown, math.nan)
    return effects | _distances("final", patched.final, recipient.final, donor.final, spread.final)


def pixel_effects(patched: Outcome, recipient: Outcome, donor: Outcome) -> dict[str, float]:
    """How far the video moved; final videos are compared if all three have one, else clean estimates.

    Returns:
        ``pixels_moved``, the root mean square of the change over all values of all pixels, in [0, 1];
        ``pixels_recovered``, as of latents, NaN where the videos of recipient and donor are the same.
    """
    runs = (patched, recipient, donor)
    ended = all(run.final is not None for run in runs)
    p, r, d = ((run.final_video if ended else run.clean_video).astype(np.float64) / 255 for run in runs)
    way = _norm(_difference(d, r))
    return {
        "pixels_moved": _norm(_difference(p, r)) / math.sqrt(p.size),
        "pixels_recovered": 1 - _norm(_difference(p, d)) / way if way > 0 else math.nan,
    }


class Measure(Protocol):
    """Reads numbers off the video of a patched run.

    Attributes:
        name: what errors call it.
        columns: all that `measure` returns; empty if that is not known before it is called.
    """

    name: str
    columns: tuple[Metric, ...]

    def measure(self, video: Frames, recipient_truth: Truth, donor_truth: Truth) -> Mapping[str, float]:
        """The numbers of a video, uint8 (frame, row, col, rgb), by column; NaN for what is not known.

        ``recipient_truth`` is of the sample of the run that was patched, ``donor_truth`` of the sample that
        the activations come from; empty if they come from no other run.
        """
        ...


Applies = Callable[[Truth], bool]
_REGISTERED: dict[str, tuple[Measure, Applies]] = {}


def register(measure: Measure, applies: Applies = lambda truth: True) -> None:
    """Have ``measure`` taken of the patched runs whose samples' truth ``applies`` says yes to.

    Raises:
        ValueError: a measure of this name is registered already.
    """
    if measure.name in _REGISTERED:
        raise ValueError(f"a measure named {measure.name!r} is registered already")
    _REGISTERED[measure.name] = (measure, applies)


def unregister(name: str) -> None:
    """Take back what `register` did. Raises KeyError if nothing of that name is registered."""
    del _REGISTERED[name]


def measures_for(recipient_truth: Truth, donor_truth: Truth | None = None) -> tuple[Measure, ...]:
    """The measures of a pair: those of the tasks that the truths name, then what is registered for them.

    Without ``donor_truth``, the donor's sample is taken to have the task of the recipient's.
    """
    donor_truth = recipient_truth if donor_truth is None else donor_truth
    registered = (
        measure
        for measure, applies in _REGISTERED.values()
        if applies(recipient_truth) or applies(donor_truth)
    )
    return (*task_measures(recipient_truth, donor_truth), *registered)


def taken(measure: Measure, video: Frames, recipient_truth: Truth, donor_truth: Truth) -> dict[str, float]:
    """What ``measure`` says of a video, checked.

    Raises:
        MeasureError: it raised an exception, whose text is told; or it returned something else than finite
            numbers and NaN by name.
    """
    try:
        found = measure.measure(video, recipient_truth, donor_truth)
    except MeasureError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        reason = text if isinstance(error, UserError) else f"{type(error).__name__}: {text}".rstrip(": ")
        raise MeasureError(f"measure {measure.name}: {reason}") from error
    if not isinstance(found, Mapping):
        raise MeasureError(f"measure {measure.name}: what it returned is {_kind(found)}, not numbers by name")
    return {_column(measure, name): _number(measure, name, value) for name, value in found.items()}


def _column(measure: Measure, name: object) -> str:
    if not isinstance(name, str) or not name.isidentifier():
        raise MeasureError(
            f"measure {measure.name}: {name!r} cannot name a column; use letters, digits and _"
        )
    return name


def _number(measure: Measure, name: object, value: object) -> float:
    if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0:
        value = value.item()
    if not isinstance(value, bool | int | float):
        raise MeasureError(f"measure {measure.name}: {name} is {_kind(value)}, not a number")
    if math.isinf(value):
        raise MeasureError(f"measure {measure.name}: {name} is infinite; return NaN for what is not known")
    return float(value)


def _kind(value: object) -> str:
    return "None" if value is None else f"of the type {type(value).__name__}"


def _distances(prefix: str, p: Latent, r: Latent, d: Latent, spread: float) -> dict[str, float]:
    if not np.isfinite(p).all():
        what = "clean estimate" if prefix == "x0" else "final latent"
        raise MeasureError(f"the {what} of the patched run holds NaN or infinity")
    moved, way, left = _difference(p, r), _difference(d, r), _difference(p, d)
    length = _norm(way)
    shares = (
        (_norm(moved) / length, 1 - _norm(left) / length, float(moved @ way) / float(way @ way))
        if length > 0
        else (math.nan,) * 3
    )
    of_seeds = _norm(moved) / spread if spread > 0 else math.nan
    own = _norm(r.astype(np.float64).reshape(-1))
    of_own = _norm(moved) / own if own > 0 else math.nan
    names = ("moved", "recovered", "along", "moved_seeds", "relative")
    return {f"{prefix}_{name}": value for name, value in zip(names, (*shares, of_seeds, of_own), strict=True)}


def _difference(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    if first.shape != second.shape:
        raise ValueError(f"arrays of the shapes {first.shape} and {second.shape} are not comparable")
    return (first.astype(np.float64) - second.astype(np.float64)).reshape(-1)


def _norm(flat: NDArray[np.float64]) -> float:
    return math.sqrt(float(flat @ flat))
