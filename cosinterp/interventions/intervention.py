"""An intervention as data: where (site, layers, steps, branches, tokens) and what.

It is written as JSON into every result, so that the result says exactly what was done.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cosinterp.ensembles.ways import How
from cosinterp.errors import InterventionError
from stores.layout import BASE


class _Data(BaseModel, frozen=True):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class RunRef(_Data, frozen=True):
    """A run of a store: ``store`` is the path of its folder."""

    store: str
    sample: str
    seed: int
    variant: str = BASE

    def __str__(self) -> str:
        return f"{self.sample} seed {self.seed}" + ("" if self.variant == BASE else f" {self.variant}")


class Replace(_Data, frozen=True):
    """The donor's activations at the same step, layer and branch, or at another one that is named."""

    kind: Literal["replace"] = "replace"
    donor: RunRef
    step: int | None = None
    layer: int | None = None
    branch: str | None = None


class Zero(_Data, frozen=True):
    """Nothing: zero ablation."""

    kind: Literal["zero"] = "zero"


class Mean(_Data, frozen=True):
    """The mean over the runs of a store, at the same step, layer and branch: mean ablation.

    ``samples``, ``seeds``: of which runs; None: all. ``per`` "token": of each token by itself; "channel":
    over all tokens.
    """

    kind: Literal["mean"] = "mean"
    store: str
    samples: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    per: Literal["token", "channel"] = "token"


class Bypass(_Data, frozen=True):
    """What entered the block instead of what it returns, in all streams: the block is skipped.

    The site has to be ``resid``, the tokens all.
    """

    kind: Literal["bypass"] = "bypass"


class RandomLike(_Data, frozen=True):
    """A random direction, a token at a time as far away as another change would move it: a control.

    With tokens t and what they would become c: t + |c - t| u for a u drawn uniformly from the unit sphere.
    """

    kind: Literal["random-like"] = "random-like"
    like: Annotated[Replace | Zero | Mean | Bypass, Field(discriminator="kind")]
    seed: int = 0


class Add(_Data, frozen=True):
    """A vector (channel,), times ``scale``: that of a file made by `SteeringVectors.save`.

    ``random``: a seed: a random vector of the same norm instead, drawn with it; a control.
    """

    kind: Literal["add"] = "add"
    file: str
    scale: float = 1.0
    random: int | None = None


class Scale(_Data, frozen=True):
    """The activation times ``factor``."""

    kind: Literal["scale"] = "scale"
    factor: float


class Noise(_Data, frozen=True):
    """Gaussian noise, added: ``scale`` times the standard deviation of the activation over its tokens and
    channels. The same at every step and layer only as far as ``seed`` says: each place draws its own."""

    kind: Literal["noise"] = "noise"
    scale: float = Field(default=1.0, ge=0)
    seed: int = 0


class Average(_Data, frozen=True):
    """What the rows of the call, which are the seeds of a sample, are merged into, a token at a time.

    ``how``: in which way; ``weights``: of the rows, for a mean; None: all alike.
    """

    kind: Literal["average"] = "average"
    how: How = "mean"
    weights: tuple[float, ...] | None = None


What = Annotated[
    Replace | RandomLike | Add | Scale | Zero | Mean | Noise | Average | Bypass, Field(discriminator="kind")
]


_Index = Annotated[int, Field(ge=0)]


class Intervention(_Data, frozen=True):
    """One change of what a model computes.

    Attributes:
        site: which tensor.
        layers, steps: where, as numbered in the model.
        branches: of which guidance branches; None: of all that are computed.
        tokens: which tokens of the grid, in the language of `cosinterp.interventions.token_groups`.
        elsewhere: a seed: as many other tokens instead, drawn with it; a control.
        what: what is put there.
    """

    site: str = "resid"
    layers: tuple[_Index, ...] = Field(min_length=1)
    steps: tuple[_Index, ...] = Field(min_length=1)
    branches: tuple[str, ...] | None = None
    tokens: str = "all"
    elsewhere: int | None = None
    what: What

    @model_validator(mode="after")
    def _fits_a_block(self) -> Self:
        of_block = self.site == "resid" and self.tokens == "all" and min(self.layers) > 0
        if self.is_of_block and not of_block:
            raise ValueError("bypass skips blocks: its site is resid, its tokens all, its layers from 1 on")
        return self

    @classmethod
    def of(cls, data: Mapping[str, Any] | str) -> Intervention:
        """Read one from its JSON, as text or as data.

        Raises:
            InterventionError: says which field is wrong.
        """
        try:
            return cls.model_validate_json(data) if isinstance(data, str) else cls.model_validate(data)
        except ValidationError as error:
            raise InterventionError(_first_fault(error)) from None

    def to_json(self) -> str:
        """One line of JSON, without what is None."""
        return self.model_dump_json(exclude_none=True)

    @property
    def is_of_block(self) -> bool:
        """Whether blocks as a whole are changed, by what entered them: in all streams."""
        return isinstance(self.what.like if isinstance(self.what, RandomLike) else self.what, Bypass)


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    # Which of the kinds it was is a part of the place, too.
    place = ".".join(str(part) for part in fault["loc"])
    return f"not an intervention: {place or 'it'}: {fault['msg']}"
