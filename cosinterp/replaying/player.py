"""Playing one run of a model again: whole or from a step on, to its end or to a step, with changes or none.

It is the same pipeline call with the same seed, in which the denoiser does not run before the first step of
interest and the scheduler is given the stored prediction instead. So the scheduler and the random generators
pass through the very states that they had, whatever they keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import torch

from cosinterp.capture.watching import OnTensor, traced_call
from cosinterp.denoising import Clock
from cosinterp.errors import ModelError
from cosinterp.interventions.edits import Edits
from cosinterp.models.eager import eager
from cosinterp.replaying.preamble import Preamble
from cosinterp.replaying.skips import Anchor, Forms, Skips, cached_expert, needed_blocks
from cosinterp.steps import NO_LATENT_CHANGES, Call, LatentChanges, Schedule, Step

if TYPE_CHECKING:
    from cosinterp.models.anatomy import Pinned
    from cosinterp.models.model import Model
    from cosinterp.samples import Sample

Wanted = Mapping[str, Sequence[int]]
"""Layers by site."""


class Predictions(Protocol):
    """What an unchanged run predicts: (row, channel, frame, row, col) float32, or one row for all alike."""

    def prediction(self, step: int) -> torch.Tensor:
        """The guided prediction of a step."""
        ...


class Trajectory(Predictions, Protocol):
    """What an unchanged run does: each as its predictions are."""

    def clean_estimate(self, step: int) -> torch.Tensor:
        """The clean estimate of a step."""
        ...

    def final(self) -> torch.Tensor:
        """The final latent."""
        ...


@dataclass
class Played:
    """What a call of the pipeline came to.

    Attributes:
        predictions, clean: guided prediction and clean estimate by step, of the steps that were asked for:
            float32 (row, channel, frame, row, col), on the CPU.
        final: the final latent, if the last step was made.
        blocks: block evaluations: blocks that ran, times rows, times branches.
    """

    predictions: dict[int, torch.Tensor] = field(default_factory=dict)
    clean: dict[int, torch.Tensor] = field(default_factory=dict)
    final: torch.Tensor | None = None
    blocks: int = 0


@dataclass(frozen=True)
class Watch:
    """Who is told of what happens in a call of the pipeline, and may change it.

    Attributes:
        on_step: told of each step that is over, also of one that was not computed.
        on_start: told of the schedule.
        changes: of latents and predictions, of stored ones too.
        layers, wanted, on_tensor: see `cosinterp.capture.watching.traced_call`.
    """

    on_step: Callable[[Step], None]
    on_start: Callable[[Schedule], None] | None = None
    changes: LatentChanges = NO_LATENT_CHANGES
    layers: dict[str, tuple[int, ...]] = field(default_factory=dict)
    wanted: Callable[[Call], bool] = lambda call: False
    on_tensor: OnTensor = lambda site, layer, tokens, call: None


@dataclass(frozen=True)
class Called:
    """How a call of the pipeline ended.

    Attributes:
        output: what the pipeline returned; None if it was ended before.
        pinned: the frames that it held at its condition.
        is_paused: whether a `Paused` ended it.
    """

    output: Any
    pinned: Pinned | None
    is_paused: bool = False


class Paused(Exception):
    """Raised by who is told of a tensor: ends the pipeline's call within a step."""


class _Stopped(Exception):
    """The last step of interest is over."""


class Player:
    """Plays one sample and seed, ``rows`` times side by side in one batch.

    ``seeds``: of the rows; rows of one seed are the same run until something changes one of them.
    ``settings`` are complete sampling settings, see `Model.sampling`. ``forms``: of the outputs of the
    denoiser, from players of other rows of the sample.

    Raises:
        TraceError: so many rows are too many for one call of the pipeline.
        ModelError: a denoiser keeps activations from one step to the next.
    """

    def __init__(
        self,
        model: Model,
        sample: Sample,
        seeds: tuple[int, ...],
        settings: dict[str, Any],
        preamble: Preamble | None = None,
        forms: Forms | None = None,
    ) -> None:
        model.check_batch(len(seeds))
        _check_uncached(model)
        self.model = model
        self.sample = sample
        self.seeds = seeds
        self.settings = settings
        self.size = model.size(settings)
        self.num_steps: int = settings["num_steps"]
        self.branches = model.anatomy.guidance.computed(settings)
        self._preamble = Preamble(model) if preamble is None else preamble
        self._forms = Forms() if forms is None else forms

    @property
    def rows(self) -> int:
        """Rows of the batch."""
        return len(self.seeds)

    def play(
        self,
        *,
        start: int = 0,
        stop: int | None = None,
        known: Predictions | None = None,
        edits: Edits | None = None,
        anchor: Anchor | None = None,
        resume: int = 0,
        steps: frozenset[int] | None = None,
    ) -> Played:
        """Play the run.

        Args:
            start: the first step that is computed; earlier ones are taken from ``known``.
            stop: the last step; None: the run's last.
            edits: what is changed, at ``start`` or later.
            anchor: of step ``start``: what is not changed there is taken from it.
            resume: with an anchor: the last layer at ``start`` whose block need not run.
            steps: of which predictions and clean estimates are returned; None: of all that are computed.
        """
        skips = self.skips(start, known)
        skips.anchor, skips.resume = anchor, resume
        if edits is not None:
            skips.changes = edits.wanted
        changing = edits or Edits((), self.model.anatomy)
        return self._play(skips, known, stop, steps, changing.layers, changing.wanted, changing.on_tensor)

    def anchor(
        self,
        step: int,
        *,
        known: Predictions | None,
        resume: Sequence[int] = (),
        wanted: Wanted | None = None,
        branches: Sequence[str] | None = None,
    ) -> tuple[Anchor, int]:
        """Compute one step without a change, and keep what changed runs can go on from.

        Args:
            step: which; earlier ones are taken from ``known``.
            resume: layers after which changed runs will go on.
            wanted: activations to keep.
            branches: which changed runs will change, and whose activations are kept; None: all.

        Returns:
            The anchor, and the block evaluations that it took.
        """
        made = Anchor(step)
        skips = self.skips(step, known)
        skips.keep = made
        skips.keep_layers = frozenset(
            layer for last in resume for layer in needed_blocks(last, self.model.anatomy)
        )
        skips.keep_branches = None if branches is None else frozenset(branches)
        layers = {site: tuple(own) for site, own in (wanted or {}).items() if own}

        def is_wanted(call: Call) -> bool:
            return bool(layers) and call.step == step and (branches is None or call.branch in branches)

        def keep(site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
            made.tensors[site, layer, call.branch] = tokens.clone()

        played = self._play(skips, known, step, frozenset({step}), layers, is_wanted, keep)
        made.prediction, made.clean = played.predictions[step], played.clean[step]
        return made, played.blocks

    def skips(self, start: int, known: Predictions | None) -> Skips:
        """What need not run where steps before ``start`` are taken from ``known``."""
        anatomy = self.model.anatomy
        is_known = known is not None and anatomy.steps_pass_latents_only
        return Skips(anatomy, start, is_known, self._forms, self.rows, self.model.device)

    def call(
        self,
        skips: Skips,
        watch: Watch,
        *,
        known: Predictions | None,
        last: int | None,
        output_type: str = "latent",
    ) -> Called:
        """Call the pipeline once.

        Args:
            skips: what need not run.
            watch: told of what happens.
            known: predictions of the steps before those that ``skips`` begins with.
            last: the step after which the call is ended; None: it goes on to the pipeline's end.
            output_type: of what the pipeline returns then: "latent", or "np" for videos.

        Raises:
            ClockError: the pipeline did not do what its schedule says.
        """

        def on_step(step: Step) -> None:
            watch.on_step(step)
            if step.index == last:
                raise _Stopped

        def answer(step: int) -> torch.Tensor | None:
            return None if known is None or step >= skips.start else known.prediction(step)

        model, output, is_paused = self.model, None, False
        clock = Clock(
            model.pipeline,
            model.anatomy,
            self.size,
            self.rows,
            on_step,
            watch.on_start,
            answer,
            watch.changes,
        )
        try:
            with eager(model.pipeline), self._preamble.remembered(), clock.watching(), suppress(_Stopped):
                # Within: some families encode texts for the pipeline's arguments.
                arguments = model.arguments(self.sample, self.seeds, self.settings, output_type=output_type)
                output = traced_call(
                    model, arguments, clock, watch.layers, watch.wanted, watch.on_tensor, skips
                )
        except Paused:
            is_paused = True
        finally:
            # As at the pipeline's end, which may not be reached: what is offloaded stays on the GPU else.
            model.pipeline.maybe_free_model_hooks()
        if not is_paused:
            clock.check(self.branches, self.num_steps, self.num_steps if last is None else last + 1)
        return Called(output, clock.pinned, is_paused)

    def _play(
        self,
        skips: Skips,
        known: Predictions | None,
        stop: int | None,
        steps: frozenset[int] | None,
        layers: dict[str, tuple[int, ...]],
        wanted: Callable[[Call], bool],
        on_tensor: OnTensor,
    ) -> Played:
        played = Played()

        def on_step(step: Step) -> None:
            if step.index >= skips.start and (steps is None or step.index in steps):
                played.predictions[step.index] = _kept(step.prediction)
                played.clean[step.index] = _kept(step.clean_estimate())
            if step.index == self.num_steps - 1:
                played.final = _kept(step.final())

        watch = Watch(on_step, layers=layers, wanted=wanted, on_tensor=on_tensor)
        self.call(skips, watch, known=known, last=self.num_steps - 1 if stop is None else stop)
        played.blocks = skips.blocks
        return played


def _check_uncached(model: Model) -> None:
    cached = cached_expert(model)
    if cached is not None:
        raise ModelError(
            f"{model.name}: the cache of its {cached} is enabled, which keeps activations between steps, "
            "so no step can be played again by itself; load it without enable_cache()"
        )


def _kept(latents: torch.Tensor) -> torch.Tensor:
    return latents.detach().to("cpu", torch.float32, copy=True)
