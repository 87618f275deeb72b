"""Whether a run can be played again from its middle, and a step from the middle of its blocks."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from cosinterp.denoising import ClockError
from cosinterp.errors import ModelError
from cosinterp.models.model import Model
from cosinterp.replaying.player import Player
from cosinterp.replaying.skips import needed_blocks
from cosinterp.samples import Sample
from cosinterp.verification.check import Check, largest_difference, measured
from cosinterp.verification.generating import Case, Generation

_REPLAY = ("replay", "the final latent of a replay from the middle step and that of the plain run")
_SKIPPED = (
    "skipped blocks",
    "a prediction made from a middle layer on, and from the end of each stack, and that of all blocks",
)


@dataclass(frozen=True)
class _Known:
    """What a plain generation predicts; see `cosinterp.replaying.player.Predictions`."""

    plain: Generation

    def prediction(self, step: int) -> torch.Tensor:
        return self.plain.predictions[step]


def check_replay(model: Model, sample: Sample, plain: Generation, case: Case) -> list[Check]:
    """Both bit for bit.

    The first shows whether a step gets more from the one before than the latents of the video; the second
    whether a block gets more from those before it than its streams.
    """
    if plain.final is None:
        return _failed("no step was seen")
    known = _Known(plain)
    middle, last = len(plain.predictions) // 2, model.num_layers
    layers = sorted({(last + 1) // 2, *needed_blocks(last, model.anatomy)})
    try:
        player = Player(model, sample, case.seeds, case.settings)
        anchor, _ = player.anchor(middle, known=known, resume=layers)
        # In between: what blocks leave behind for others is then that of another step.
        final = player.play(start=middle, known=known).final
        resumed = [
            player.play(start=middle, stop=middle, known=known, anchor=anchor, resume=layer)
            for layer in layers
        ]
    except (ClockError, ModelError) as error:
        return _failed(str(error))
    anew = f"from step {middle}"
    if not model.anatomy.steps_pass_latents_only:
        anew += ", computing earlier ones too: they pass on more than latents"
    return [
        measured(*_REPLAY, _difference(final, plain.final), 0.0, anew),
        measured(
            *_SKIPPED,
            max(_difference(played.predictions[middle], anchor.prediction) for played in resumed),
            0.0,
            f"step {middle}, after layers {', '.join(map(str, layers))}",
        ),
    ]


def _failed(detail: str) -> list[Check]:
    return [Check(name, False, compares, detail=detail) for name, compares in (_REPLAY, _SKIPPED)]


def _difference(one: torch.Tensor | None, other: torch.Tensor | None) -> float:
    """Infinite where one was not made."""
    if one is None or other is None:
        return float("inf")
    return largest_difference(one.to("cpu", torch.float32), other.to("cpu", torch.float32))
