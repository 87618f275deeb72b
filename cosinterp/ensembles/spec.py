"""An ensemble as data: what several seeds of a sample share on their way, and which of them go on.

It is written as JSON into every run that it makes, so that the run says exactly how it came about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cosinterp.ensembles.ways import WEIGHTED, How
from cosinterp.errors import InterventionError
from stores.selection import compact

What: TypeAlias = Literal["latent", "x0", "prediction", "hidden"]
"""What is merged. ``latent``: what leaves a step. ``x0``: the clean estimates of a step; each seed keeps its
own noise. ``prediction``: the guided predictions of a step. ``hidden``: tokens of a site at layers."""

AGREEMENT = "agreement"
_Index = Annotated[int, Field(ge=0)]


class _Data(BaseModel, frozen=True):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Merge(_Data, frozen=True):
    """One thing that is merged over the seeds.

    Attributes:
        what: what is merged.
        steps: at which steps.
        how: in which way; a latent is merged as a whole, hidden states a token at a time.
        weights: of the seeds in ascending order, for a mean; None: all alike.
        site, layers, branches: of hidden states: which tensor, at which layers, in which branches of
            guidance; None: in all that are computed.
    """

    what: What
    steps: tuple[_Index, ...] = Field(min_length=1)
    how: How = "mean"
    weights: tuple[float, ...] | None = None
    site: str | None = None
    layers: tuple[_Index, ...] | None = Field(default=None, min_length=1)
    branches: tuple[str, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        own = (self.site, self.layers, self.branches)
        if self.what == "hidden" and (self.site is None or self.layers is None):
            raise ValueError("hidden states are merged at layers of a site; name both")
        if self.what != "hidden" and own != (None, None, None):
            raise ValueError(f"sites, layers and branches go with hidden states, not with {self.what}")
        if self.weights is not None and self.how not in WEIGHTED:
            raise ValueError(f"weights do not go with {self.how}; use them with {' or '.join(WEIGHTED)}")
        if self.weights is not None and sum(self.weights) <= 0:
            raise ValueError("weights have to add up to a positive number")
        return self

    def __str__(self) -> str:
        where = f"{self.site} at layers {compact(self.layers)}" if self.layers is not None else self.what
        branches = "" if self.branches is None else f", branch {' and '.join(self.branches)}"
        weights = "" if self.weights is None else f" with weights {', '.join(f'{w:g}' for w in self.weights)}"
        return f"{self.how} of {where}{branches} at {_steps(self.steps)}{weights}"


class Select(_Data, frozen=True):
    """Which seeds go on after a step, judged by their clean estimates there.

    Attributes:
        step: after which step the others are stopped.
        by: "agreement"; a metric of the sample's task, of which the most is the best ("-NAME": the least);
            or "module:function" of (video, truth), whose number says how good a video is.
        keep: how many go on.
    """

    step: _Index
    by: str = Field(default=AGREEMENT, min_length=1)
    keep: int = Field(default=1, ge=1)

    def __str__(self) -> str:
        return f"best {self.keep} by {self.by} after step {self.step}"


class Ensemble(_Data, frozen=True):
    """All that is done with the seeds of a sample.

    Attributes:
        merges: what is merged.
        select: which seeds go on; None: nobody is stopped for what it shows.
        then: which go on after the last step at which something is merged: "all", or "one", the smallest
            seed; where seeds are selected after that, those that are kept go on.
    """

    merges: tuple[Merge, ...] = ()
    select: Select | None = None
    then: Literal["one", "all"] = "one"

    @model_validator(mode="after")
    def _does_something_once(self) -> Self:
        if not self.merges and self.select is None:
            raise ValueError("nothing is merged and nothing selected")
        twice = [place for place, count in Counter(self._places()).items() if count > 1]
        if twice:
            what, step, *rest = twice[0]
            where = f" ({rest[0]}, layer {rest[1]})" if rest else ""
            raise ValueError(f"{what} of step {step}{where} is merged twice")
        return self

    @classmethod
    def of(cls, data: Mapping[str, Any] | str) -> Ensemble:
        """Read one from its JSON, as text or as data.

        Raises:
            InterventionError: says which field is wrong.
        """
        return checked(
            lambda: cls.model_validate_json(data) if isinstance(data, str) else cls.model_validate(data)
        )

    def to_json(self) -> str:
        """One line of JSON, without what is None."""
        return self.model_dump_json(exclude_none=True)

    @property
    def last_merge(self) -> int | None:
        """The last step at which something is merged."""
        return max((step for merge in self.merges for step in merge.steps), default=None)

    @property
    def one_goes_on(self) -> bool:
        """Whether one seed alone goes on after the last merge, whatever is selected."""
        last = self.last_merge
        selected_after = self.select is not None and last is not None and self.select.step >= last
        return last is not None and self.then == "one" and not selected_after

    def merges_at(self, step: int) -> bool:
        """Whether anything is merged at a step."""
        return any(step in merge.steps for merge in self.merges)

    def at(self, step: int, *whats: What) -> list[Merge]:
        """What of ``whats`` is merged at a step, in their order."""
        return [merge for merge in self.merges if merge.what in whats and step in merge.steps]

    def __str__(self) -> str:
        parts = [str(merge) for merge in self.merges]
        if self.select is not None:
            parts.append(str(self.select))
        if self.merges:
            parts.append("one goes on" if self.one_goes_on else "all go on")
        return "; ".join(parts)

    def _places(self) -> Iterator[tuple[Any, ...]]:
        for merge in self.merges:
            # An x0 is merged by way of the predictions.
            what = "prediction" if merge.what == "x0" else merge.what
            if merge.layers is None:
                yield from ((what, step) for step in merge.steps)
            else:
                branches = merge.branches or ("",)
                yield from product((what,), merge.steps, (merge.site,), merge.layers, branches)


def checked(make: Any) -> Any:
    """What ``make`` gives, its faults told as the user's.

    Raises:
        InterventionError: says which field is wrong.
    """
    try:
        return make()
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        raise InterventionError(f"not an ensemble: {f'{place}: ' if place else ''}{message}") from None


def _steps(steps: tuple[int, ...]) -> str:
    return f"step{'s' * (len(steps) > 1)} {compact(steps)}"
