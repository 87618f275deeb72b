"""Noise at a set of steps and latent frames, as data; it is written as JSON into each of its runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from cosinterp.errors import InterventionError
from stores.selection import compact

How = Literal["replace", "mix", "shrink"]

_LONGEST = 64
"""Letters of a variant's name."""

_Index = Annotated[int, Field(ge=0)]


class NoiseAt(BaseModel, frozen=True):
    """Gaussian noise in the latents that enter some steps, in some of their frames.

    Attributes:
        kind: always "noise".
        steps: the steps whose noisy latents are changed; None: all of the run. Noise at step s is put into
            the latent that step s - 1 left, or into the initial noise.
        frames: latent frames; None: all but those that the pipeline pins.
        how: "replace": noise of the standard deviation of the latent takes its place; "mix": it is mixed in,
            so that the variance stays; "shrink": the same mixture without its noise, so that there is less of
            everything. See `cosinterp.noising.mixing`.
        strength: m of the mixture, from 0 (nothing changes) to 1 (the same as "replace"; of "shrink", zeros).
        energy: with "mix", the energy to put in over all steps together, in which case the strength is
            chosen at each step; see `cosinterp.noising.mixing`.
        seed: of the noise, which is a function of it, of the run's seed and of the step.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    kind: Literal["noise"] = "noise"
    steps: tuple[_Index, ...] | None = None
    frames: tuple[_Index, ...] | None = None
    how: How = "replace"
    strength: float = Field(default=1.0, ge=0, le=1)
    energy: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0)

    @field_validator("steps", "frames")
    @classmethod
    def _in_order(cls, chosen: tuple[int, ...] | None) -> tuple[int, ...] | None:
        return None if chosen is None else tuple(sorted(set(chosen)))

    @model_validator(mode="after")
    def _fits_how(self) -> Self:
        if self.how == "replace" and self.strength != 1:
            raise ValueError('"replace" leaves nothing of the latent; use "mix" for a strength below 1')
        if self.energy is not None and (self.how != "mix" or self.strength != 1):
            raise ValueError('an energy chooses the strength: use "mix", and give no strength')
        return self

    @classmethod
    def at_step(cls, step: int, **how: Any) -> Self:
        """Noise at one step, in all frames."""
        return cls.of({"steps": (step,), **how})

    @classmethod
    def at_frame(cls, frame: int, **how: Any) -> Self:
        """Noise in one latent frame, at every step."""
        return cls.of({"frames": (frame,), **how})

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Read one from its JSON-able data.

        Raises:
            InterventionError: says which field is wrong.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in fault["loc"])
            raise InterventionError(f"no such noise: {place or 'it'}: {fault['msg']}") from None

    @property
    def is_nothing(self) -> bool:
        """Whether it changes nothing, exactly."""
        return self.steps == () or self.frames == () or self.strength == 0

    @property
    def variant(self) -> str:
        """What its runs are called.

        >>> NoiseAt.at_step(3).variant, NoiseAt.at_frame(2, how="mix", strength=0.5).variant
        ('noised-step-03', 'noised-frame-02-mix-0p5')
        """
        parts = ["noised"]
        for what, chosen in (("step", self.steps), ("frame", self.frames)):
            if chosen is not None:
                parts.append(_named(what, chosen))
        if self.steps is None and self.frames is None:
            parts.append("everywhere")
        if self.energy is not None:
            parts.append(f"energy-{_number(self.energy)}")
        elif self.how != "replace":
            parts.append(f"{self.how}-{_number(self.strength)}")
        if self.seed:
            parts.append(f"seed-{self.seed}")
        name = "-".join(parts)
        if len(name) <= _LONGEST:
            return name
        return f"{name[: _LONGEST - 9].rstrip('-_')}-{blake2b(name.encode(), digest_size=4).hexdigest()}"


def _named(what: str, chosen: tuple[int, ...]) -> str:
    if len(chosen) == 1:
        return f"{what}-{chosen[0]:02d}"
    return f"{what}s-{compact(chosen).replace(',', '_') or 'none'}"


def _number(value: float) -> str:
    """A number in the letters that a variant's name may have."""
    return re.sub(r"[^0-9a-z-]", "p", f"{value:.6g}".replace("+", ""))
