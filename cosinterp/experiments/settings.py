"""Settings of experiments: data that is printed, stored with the result, and set by KEY=VALUE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cosinterp.errors import SelectionError
from stores.selection import parse_seeds

if TYPE_CHECKING:
    from cosinterp.samples import Sample

Preset = Literal["smoke", "small", "full"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
"""Smoke shows in a minute that everything runs, with too few samples for any verdict."""


class Settings(BaseModel, frozen=True):
    """What all experiments have.

    Attributes:
        count: samples, the first of the dataset that fit.
        seeds: of the base runs.
        num_steps: denoising steps of a run.
        batch: rows that go through the model together; agrees with one at a time to rounding.
        bootstrap_seed: of intervals, and of all else that is drawn at random but runs.
    """

    # "--set seeds=0" reads as a number, and is a selection.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, coerce_numbers_to_str=True)

    count: Annotated[int, Field(ge=1)] = 10
    seeds: str = "0-2"
    num_steps: Annotated[int, Field(ge=2)] = 6
    batch: Annotated[int, Field(ge=1)] = 1
    bootstrap_seed: Annotated[int, Field(ge=0)] = 0

    def choose(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples of a dataset that an experiment is about.

        Raises:
            SelectionError: there are fewer than `count`.
        """
        return self.first(samples, "samples")

    def first(self, samples: Sequence[Sample], what: str) -> list[Sample]:
        """The first `count` of some. Raises SelectionError: there are fewer."""
        if len(samples) < self.count:
            raise SelectionError(
                f"count {self.count}: the dataset has {len(samples)} {what}; --set count={len(samples)}, or "
                "give another dataset"
            )
        return list(samples[: self.count])

    @property
    def base_runs(self) -> int:
        """How many there are."""
        return self.count * len(parse_seeds(self.seeds))


_Some = TypeVar("_Some", bound=Settings)


def changed(settings: _Some, given: Mapping[str, Any]) -> _Some:
    """The settings with some of them changed.

    Raises:
        SelectionError: there is no such setting, or it cannot have that value.
    """
    known = type(settings).model_fields
    for name in given:
        if name not in known:
            raise SelectionError(f"--set {name}: there is {', '.join(known)}")
    try:
        return type(settings).model_validate(settings.model_dump() | dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise SelectionError(f"--set {place}={first['input']!r}: {first['msg'].lower()}") from error
