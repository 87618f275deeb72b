"""What an experiment measured beside its claims: curves over numbers, or dots by name, with intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from probes.statistics import Estimate

Form = Literal["line", "dots"]


@dataclass(frozen=True)
class Curve:
    """Estimates in a row.

    Attributes:
        name: what tells it from the others of its panel.
        at: where each estimate stands: numbers in a panel of lines, names in one of dots.
        estimates: one for each.

    Raises:
        ValueError: not one estimate for each place.
    """

    name: str
    at: tuple[float | str, ...]
    estimates: tuple[Estimate, ...]

    def __post_init__(self) -> None:
        if not self.at or len(self.at) != len(self.estimates):
            raise ValueError(
                f"{self.name}: an estimate for each place is needed, not "
                f"{len(self.estimates)} for {len(self.at)}"
            )


@dataclass(frozen=True)
class Panel:
    """A figure to be.

    Attributes:
        name: of the figure.
        title: what it says.
        axis: what the curves are over, such as "denoising step (0 = noisiest)"; empty for dots.
        quantity: what was measured, for the other axis.
        curves: with different names.
        form: "line": curves over numbers; "dots": an estimate a name.
        limits: of the quantity's axis; None: by what is there.
        reference: a value to draw a line at, such as chance.
        unit: what n counts.

    Raises:
        ValueError: no curves, names that are not different, or a place that does not suit the form.
    """

    name: str
    title: str
    axis: str
    quantity: str
    curves: tuple[Curve, ...]
    form: Form = "line"
    limits: tuple[float, float] | None = None
    reference: float | None = None
    unit: str = "run"

    def __post_init__(self) -> None:
        if not self.curves or len({curve.name for curve in self.curves}) != len(self.curves):
            raise ValueError(f"{self.name}: curves with different names are needed")
        wanted = str if self.form == "dots" else int | float
        if not all(isinstance(place, wanted) for curve in self.curves for place in curve.at):
            raise ValueError(
                f"{self.name}: places of {self.form} are {'names' if wanted is str else 'numbers'}"
            )
