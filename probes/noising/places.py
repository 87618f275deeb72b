"""The variants of a store whose latents were given noise, and where it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from stores import SelectionError
from stores.layout import BASE
from stores.selection import compact

if TYPE_CHECKING:
    from stores import Store

At = Literal["step", "frame", "other"]
PAPER = "replace"
"""The protocol of Wang et al. 2026."""
_STAR = "*"


@dataclass(frozen=True)
class NoisedPlace:
    """What noise the runs of a variant have, as each of them says in its attribute ``intervention``.

    Attributes:
        variant: what they are called.
        steps, frames: where it is; None: everywhere.
        how, strength, energy, seed: as of `cosinterp.noising.noise_at.NoiseAt`.
    """

    variant: str
    steps: tuple[int, ...] | None
    frames: tuple[int, ...] | None
    how: str
    strength: float
    energy: float | None
    seed: int

    @classmethod
    def of(cls, variant: str, told: Mapping[str, Any]) -> NoisedPlace:
        """The place that a run tells of."""
        steps, frames = (None if told[axis] is None else tuple(told[axis]) for axis in ("steps", "frames"))
        energy = None if told["energy"] is None else float(told["energy"])
        return cls(variant, steps, frames, told["how"], float(told["strength"]), energy, int(told["seed"]))

    @property
    def at(self) -> At:
        """Noise at a step, in a frame, or in something else."""
        single_step = self.steps is not None and len(self.steps) == 1
        single_frame = self.frames is not None and len(self.frames) == 1
        if single_step == single_frame:
            return "other"
        return "step" if single_step else "frame"

    @property
    def index(self) -> int:
        """Which step or which frame; -1: neither."""
        chosen = {"step": self.steps, "frame": self.frames}.get(self.at)
        return -1 if chosen is None else chosen[0]

    @property
    def protocol(self) -> str:
        """How the noise gets in: places of one protocol differ in nothing else."""
        if self.energy is not None:
            how = f"matched, energy {self.energy:g}"
        else:
            how = PAPER if self.how == PAPER else f"{self.how} {self.strength:g}"
        return how if self.seed == 0 else f"{how}, noise seed {self.seed}"

    @property
    def extent(self) -> tuple[int, ...] | None:
        """Of noise at a step the frames, of noise in a frame the steps; None: all."""
        return self.frames if self.at == "step" else self.steps

    @property
    def label(self) -> str:
        """What a place is called for people, its protocol left out."""
        if self.at != "other":
            return f"{self.at} {self.index}"
        parts = [
            f"{what} {compact(chosen)}"
            for what, chosen in (("steps", self.steps), ("frames", self.frames))
            if chosen is not None
        ]
        return ", ".join(parts) or "everywhere"


def noised_places(store: Store, variants: Sequence[str] | str | None = None) -> list[NoisedPlace]:
    """The variants with noise, steps before frames, each in order.

    Args:
        store: whose.
        variants: names, or patterns with one ``*``; None: all that have noise.

    Raises:
        SelectionError: there is none, or one that is asked for has none; or two of one protocol cannot be
            compared.
        StoreError: a run cannot be read.
    """
    there: dict[str, NoisedPlace] = {}
    every: dict[str, None] = {}
    for entry in store.runs():
        if entry.variant == BASE or entry.variant in every:
            continue
        every[entry.variant] = None
        told = store.shared_run(*entry.key).attrs.get("intervention")
        if isinstance(told, Mapping) and told.get("kind") == "noise":
            there[entry.variant] = NoisedPlace.of(entry.variant, told)
    if not there:
        has = f"has the variants {', '.join(every)}" if every else "has base runs only"
        raise SelectionError(f"{store.path} {has}, none with noise; cosinterp noise makes some")
    found = list(there.values()) if variants is None else _chosen(store, variants, there, list(every))
    _check(found)
    order = {"step": 0, "frame": 1, "other": 2}
    return sorted(found, key=lambda one: (one.protocol != PAPER, one.protocol, order[one.at], one.index))


def _chosen(
    store: Store, variants: Sequence[str] | str, there: Mapping[str, NoisedPlace], every: Sequence[str]
) -> list[NoisedPlace]:
    found: dict[str, NoisedPlace] = {}
    for text in [variants] if isinstance(variants, str) else variants:
        pattern = re.compile(".*".join(map(re.escape, text.split(_STAR))))
        fitting = {name: place for name, place in there.items() if pattern.fullmatch(name)}
        if not fitting:
            what = "has no noise" if text in every else "is not there"
            raise SelectionError(
                f"{store.path}: the variant {text} {what}; with noise there are {_few(list(there))}"
            )
        found |= fitting
    return list(found.values())


def _check(places: Sequence[NoisedPlace]) -> None:
    """Raises SelectionError: two places of one protocol differ in more than which step or frame it is."""
    first: dict[tuple[str, str], NoisedPlace] = {}
    for place in places:
        if place.at == "other":
            continue
        other = first.setdefault((place.protocol, place.at), place)
        if other.extent != place.extent:
            what = "frames" if place.at == "step" else "steps"
            raise SelectionError(
                f"{other.variant} and {place.variant} have noise in different {what}, so they are of two "
                "sweeps; choose the variants of one"
            )


def _few(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
