"""What an experiment found, as a dataset that is saved, and read again without the experiment's code.

=====================  ===========  ========================================================================
``says``, ``where``... (claim,)     the fields of `Claim`, texts and numbers
``claim_value``...     (claim,)     the estimate of its quantity; NaN and n = 0 where there is none
``claim_lacking``      (claim,)     why it cannot be tested here; empty if it can
``panel``, ``curve``   (point,)     which panel and curve an estimate is of
``at``, ``at_name``    (point,)     where it stands: a number, or a name
``value``, ``low``...  (point,)     the estimate
=====================  ===========  ========================================================================

Verdicts are not saved: they follow from the numbers by `rule.judge`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from probes.claims.claim import Claim, Measured
from probes.claims.panels import Curve, Panel
from probes.statistics import Estimate
from stores.errors import StoreError

if TYPE_CHECKING:
    import xarray

KIND = "experiment"
_TEXTS = ("name", "says", "where", "quantity", "unit", "side", "source")
_PARTS = ("value", "low", "high", "level", "n", "samples", "method", "seed", "draws")
_DRAWN = ("seed", "draws")
_NOTHING = Estimate(math.nan, math.nan, math.nan, math.nan, 0, 0, "", None, None)


class Shown(NamedTuple):
    """A figure of another result: in which store, which is the experiment's own or stands beside it."""

    store: str
    result: str
    figure: str


@dataclass(frozen=True)
class Findings:
    """What an experiment found.

    Attributes:
        experiment: its name.
        title: a few words.
        about: what was done, in sentences.
        limits: what this cannot show, a sentence each.
        claims: judged by the rule; at least one.
        panels: what is drawn.
        shown: figures of other results that belong to it.
    """

    experiment: str
    title: str
    about: str
    limits: tuple[str, ...]
    claims: tuple[Measured, ...]
    panels: tuple[Panel, ...] = ()
    shown: tuple[Shown, ...] = ()

    def to_dataset(self) -> xarray.Dataset:
        """As it is saved; see the module."""
        import xarray

        asked = [one.claim for one in self.claims]
        variables: dict[str, Any] = {
            field: ("claim", _texts([getattr(claim, field) for claim in asked]))
            for field in _TEXTS
            if field != "name"
        }
        variables["threshold"] = ("claim", np.array([claim.threshold for claim in asked]))
        variables["smallest"] = ("claim", np.array([_or_nan(claim.smallest) for claim in asked]))
        variables["least"] = ("claim", np.array([claim.least for claim in asked], dtype=np.int64))
        variables["claim_lacking"] = ("claim", _texts([one.lacking or "" for one in self.claims]))
        measured = [one.estimate or _NOTHING for one in self.claims]
        variables |= {f"claim_{part}": ("claim", _column(measured, part)) for part in _PARTS}
        points = [
            (panel.name, curve.name, place, estimate)
            for panel in self.panels
            for curve in panel.curves
            for place, estimate in zip(curve.at, curve.estimates, strict=True)
        ]
        variables["panel"] = ("point", _texts([panel for panel, *_ in points]))
        variables["curve"] = ("point", _texts([curve for _, curve, *_ in points]))
        places = [place for *_, place, _ in points]
        variables["at"] = (
            "point",
            np.array([math.nan if isinstance(place, str) else place for place in places], dtype=np.float64),
        )
        variables["at_name"] = ("point", _texts([one if isinstance(one, str) else "" for one in places]))
        found = [estimate for *_, estimate in points]
        variables |= {part: ("point", _column(found, part)) for part in _PARTS}
        told = [{key: value for key, value in asdict(one).items() if key != "curves"} for one in self.panels]
        return xarray.Dataset(
            variables,
            coords={"claim": _texts([claim.name for claim in asked])},
            attrs={
                "experiment": self.experiment,
                "title": self.title,
                "about": self.about,
                "limits": json.dumps(self.limits),
                "panels": json.dumps(told),
                "shown": json.dumps(self.shown),
            },
        )

    @classmethod
    def from_dataset(cls, dataset: xarray.Dataset) -> Findings:
        """The findings that `to_dataset` made this of.

        Raises:
            StoreError: the dataset holds none.
        """
        try:
            return cls._read(dataset)
        except (KeyError, AttributeError) as error:
            raise StoreError(
                f"these are no findings: {error} is not there; run the experiment again"
            ) from error

    @classmethod
    def _read(cls, dataset: xarray.Dataset) -> Findings:
        attrs = dataset.attrs
        columns = {str(name): variable.values.tolist() for name, variable in dataset.variables.items()}
        claims = []
        for row, name in enumerate(columns["claim"]):
            texts = {field: columns[field][row] for field in _TEXTS if field != "name"}
            claim = Claim(
                name,
                threshold=columns["threshold"][row],
                smallest=_or_none(columns["smallest"][row]),
                least=columns["least"][row],
                **texts,
            )
            estimate = _estimate(columns, row, "claim_")
            claims.append(Measured(claim, estimate, columns["claim_lacking"][row] or None))
        points: dict[str, dict[str, list[int]]] = {}
        for row, (panel, curve) in enumerate(zip(columns["panel"], columns["curve"], strict=True)):
            points.setdefault(panel, {}).setdefault(curve, []).append(row)
        panels = [_panel(told, columns, points[told["name"]]) for told in json.loads(attrs["panels"])]
        return cls(
            attrs["experiment"],
            attrs["title"],
            attrs["about"],
            tuple(json.loads(attrs["limits"])),
            tuple(claims),
            tuple(panels),
            tuple(Shown(*told) for told in json.loads(attrs["shown"])),
        )


def _panel(told: dict[str, Any], columns: dict[str, list[Any]], curves: dict[str, list[int]]) -> Panel:
    found = tuple(
        Curve(
            name,
            tuple(columns["at_name"][row] or columns["at"][row] for row in rows),
            tuple(_estimate(columns, row) or _NOTHING for row in rows),
        )
        for name, rows in curves.items()
    )
    limits = told.pop("limits")
    return Panel(curves=found, limits=tuple(limits) if limits else None, **told)


def _estimate(columns: dict[str, list[Any]], row: int, prefix: str = "") -> Estimate | None:
    parts = {part: columns[f"{prefix}{part}"][row] for part in _PARTS}
    if not parts["n"]:
        return None
    seed, draws = (None if parts.pop(part) < 0 else columns[f"{prefix}{part}"][row] for part in _DRAWN)
    return Estimate(**parts, seed=seed, draws=draws)


def _column(estimates: Sequence[Estimate], part: str) -> np.ndarray:
    values = [getattr(one, part) for one in estimates]
    if part == "method":
        return _texts(values)
    if part in _DRAWN:
        return np.array([-1 if value is None else value for value in values], dtype=np.int64)
    return np.array(values, dtype=np.int64 if part in ("n", "samples") else np.float64)


def _texts(values: Sequence[str]) -> np.ndarray:
    return np.array(values, dtype=np.str_)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
