"""The places of a sweep of noise, and the energy that each of them can take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from cosinterp.errors import InterventionError, SelectionError
from cosinterp.noising.noise_at import How, NoiseAt
from stores.selection import Selection, select

At = Literal["step", "frame", "both"]
AT: tuple[str, ...] = get_args(At)

Matched = bool | float
"""Whether all places get one energy: True for the most that all can take, or how much."""

EVERY = "all"
_ROOM = 0.75
"""Of what frames hold on average, what is asked of each: some hold less than others."""


@dataclass(frozen=True)
class Places:
    """The places of a sweep.

    Attributes:
        at_steps: noise at one step each.
        in_frames: noise in one frame each.
    """

    at_steps: tuple[NoiseAt, ...] = ()
    in_frames: tuple[NoiseAt, ...] = ()

    @property
    def every(self) -> tuple[NoiseAt, ...]:
        """All of them."""
        return self.at_steps + self.in_frames


def places(
    at: At,
    *,
    num_steps: int,
    num_frames: int,
    steps: Selection = EVERY,
    frames: Selection = EVERY,
    within_frames: Selection = EVERY,
    during_steps: Selection = EVERY,
    how: How | None = None,
    strength: float | None = None,
    matched: Matched = False,
    seed: int = 0,
) -> Places:
    """Noise at each step by itself, in each frame by itself, or both.

    Args:
        at: "step", "frame" or "both".
        num_steps, num_frames: of a run, and of its latent.
        steps: a place is made for each of them: noise at this step, in ``within_frames``.
        frames: a place is made for each of these latent frames: noise in it, at ``during_steps``.
        within_frames, during_steps: in which frames noise at a step is, and at which steps noise in a frame.
        how: "replace", "mix" or "shrink"; None: what fits ``matched``.
        strength: of "mix" and "shrink"; None: 1.
        matched: whether every place gets the same energy.
        seed: of the noise.

    Raises:
        SelectionError: no such steps or frames, a single frame, or a selection that ``at`` has no use for.
        InterventionError: settings that contradict one another, or more energy than places can take.
    """
    if at not in AT:
        raise SelectionError(f'noise at "{at}": there are {", ".join(AT)}')
    if num_frames == 1 and at != "step":
        raise SelectionError("the latent has a single frame, so there is no noise by frame; ask for steps")
    unused = {"step": {"frames": frames, "during_steps": during_steps}}
    unused["frame"] = {"steps": steps, "within_frames": within_frames}
    for name, asked in unused.get(at, {}).items():
        if not (isinstance(asked, str) and asked == EVERY):
            raise SelectionError(f"{name} {asked!r}: there is no use for it with noise at a {at}")
    settings = _settings(how, strength, matched, seed)
    cut: list[tuple[tuple[int, ...] | None, tuple[int, ...] | None]] = []
    if at != "frame":
        within = _part(within_frames, num_frames, "frames", "this latent")
        cut += [((step,), within) for step in select(steps, range(num_steps), "steps", "this run")]
    by_step = len(cut)
    if at != "step":
        during = _part(during_steps, num_steps, "steps", "this run")
        cut += [(during, (frame,)) for frame in select(frames, range(num_frames), "frames", "this latent")]
    if matched is not False:
        room = [_room(*one, num_steps, num_frames) for one in cut]
        settings["energy"] = _energy(matched, room, at)
    made = tuple(NoiseAt.of({"steps": steps, "frames": frames, **settings}) for steps, frames in cut)
    return Places(made[:by_step], made[by_step:])


def _part(asked: Selection, count: int, what: str, where: str) -> tuple[int, ...] | None:
    """Which of so many; None: all."""
    chosen = select(asked, range(count), what, where)
    return None if len(chosen) == count else chosen


def _settings(
    how: How | None, strength: float | None, matched: Matched, seed: int
) -> dict[str, str | int | float]:
    """What all places have in common.

    Raises:
        InterventionError: it contradicts itself.
    """
    if matched is not False:
        if how in ("replace", "shrink") or strength is not None:
            raise InterventionError(
                "matched noise is mixed in by the strength that gives its energy; leave out how and strength"
            )
        return {"how": "mix", "seed": seed}
    return {"how": how or "replace", "strength": 1.0 if strength is None else strength, "seed": seed}


def _room(
    steps: Sequence[int] | None, frames: Sequence[int] | None, num_steps: int, num_frames: int
) -> float:
    """The energy that a place can take: at each step, the share of the latent that its frames hold."""
    count = num_steps if steps is None else len(steps)
    return float(count) if frames is None else count * _ROOM * len(frames) / num_frames


def _energy(matched: Matched, room: Sequence[float], at: At) -> float:
    """The energy of every place.

    Raises:
        InterventionError: it is more than a place can take.
    """
    if matched is True:
        return min(room)
    if not 0 < matched <= min(room):
        cut = {"step": "steps", "frame": "frames", "both": "steps and frames"}[at]
        raise InterventionError(
            f"energy {matched:g}: each of these {cut} takes up to {min(room):.3g}; give a number from 0 to "
            "that, or none for the most"
        )
    return float(matched)
