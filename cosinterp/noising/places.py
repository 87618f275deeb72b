"""The places of a sweep of noise, and the energy that each of them can take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from cosinterp.errors import InterventionError, SelectionError
from cosinterp.noising.noise_at import How, NoiseAt
from stores.selection import Selection, select

At = Literal["step", "frame", "both"]
AT: tuple[str, ...] = get_args(At)

Matched = bool | float
"""Whether all places get one energy: True for the most that all can take, or how much."""

_ROOM = 0.75
"""Of what frames hold on average, what is asked of each: some hold less than others."""


def places(
    at: At,
    steps: Selection,
    frames: Selection,
    *,
    num_steps: int,
    num_frames: int,
    how: How | None = None,
    strength: float | None = None,
    matched: Matched = False,
    seed: int = 0,
) -> tuple[NoiseAt, ...]:
    """Noise at each step by itself, in each frame by itself, or both.

    Steps and frames together are what may be changed; ``at`` says how it is cut into places. So noise at all
    steps and noise in all frames change the same, each once.

    Args:
        at: "step": a place for each of the steps, with noise in all of the frames; "frame": a place for each
            of the frames, with noise at all of the steps; "both": these and those.
        steps, frames: selections of steps and of latent frames.
        num_steps, num_frames: of a run, and of its latent.
        how: "replace" or "mix"; None: what fits ``matched``.
        strength: of "mix"; None: 1.
        matched: whether every place gets the same energy.
        seed: of the noise.

    Raises:
        SelectionError: no such steps or frames, or a single frame.
        InterventionError: settings that contradict one another, or more energy than places can take.
    """
    if at not in AT:
        raise SelectionError(f'noise at "{at}": there are {", ".join(AT)}')
    if num_frames == 1 and at != "step":
        raise SelectionError("the latent has a single frame, so there is no noise by frame; ask for steps")
    chosen_steps = select(steps, range(num_steps), "steps", "this run")
    chosen_frames = select(frames, range(num_frames), "frames", "this latent")
    settings = _settings(how, strength, matched, seed)
    all_steps = None if len(chosen_steps) == num_steps else chosen_steps
    all_frames = None if len(chosen_frames) == num_frames else chosen_frames
    cut: list[tuple[Sequence[int] | None, Sequence[int] | None]] = []
    if at != "frame":
        cut += [((step,), all_frames) for step in chosen_steps]
    if at != "step":
        cut += [(all_steps, (frame,)) for frame in chosen_frames]
    if matched is not False:
        room = [_room(*one, num_steps, num_frames) for one in cut]
        settings["energy"] = _energy(matched, room, at)
    return tuple(NoiseAt.of({"steps": steps, "frames": frames, **settings}) for steps, frames in cut)


def _settings(
    how: How | None, strength: float | None, matched: Matched, seed: int
) -> dict[str, str | int | float]:
    """What all places have in common.

    Raises:
        InterventionError: it contradicts itself.
    """
    if matched is not False:
        if how == "replace" or strength is not None:
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
