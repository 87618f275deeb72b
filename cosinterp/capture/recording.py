"""One batch of runs being recorded: what arrives from the model goes to the run files of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cosinterp.capture.conversion import quantised
from cosinterp.capture.reducing import Reducer
from cosinterp.capture.sink import Part, Sink
from cosinterp.errors import TraceError
from cosinterp.models.anatomy import Pinned
from cosinterp.steps import Schedule, Step
from stores.reduction import parse_reduction
from stores.slabs.layout import SlabLayout

if TYPE_CHECKING:
    from cosinterp.planning.plan import PlannedSample, TracePlan
    from stores.writer import RunWriter


@dataclass
class BatchRecording:
    """Records rows of one pipeline call, each into the run file of its seed.

    ``writers`` has one `RunWriter` a row, None for a row that is not recorded. Everything is written by the
    sink.
    """

    plan: TracePlan
    planned: PlannedSample
    writers: list[RunWriter | None]
    sink: Sink

    def begin(self, attrs: dict[str, Any]) -> None:
        """Write what is known before the call: ``attrs``, condition and truth."""
        sample = self.planned.sample
        image = None if sample.image is None else np.asarray(sample.image.convert("RGB"), dtype=np.uint8)
        for _, writer in self._rows():
            self.sink.then(partial(writer.set_attrs, attrs))
            self.sink.then(partial(writer.set_condition, sample.prompt, image))
            self.sink.then(partial(writer.set_truth, dict(sample.truth)))

    def start(self, schedule: Schedule) -> None:
        """Write the schedule and announce the sites."""
        for _, writer in self._rows():
            self.sink.then(
                partial(
                    writer.set_schedule,
                    schedule.timestep,
                    schedule.sigma,
                    schedule.expert,
                    schedule.clean,
                )
            )
            for site, reducers in self._reducers.items():
                for reducer in reducers:
                    self.sink.then(partial(self._add_site, writer, site, reducer))

    def activation(self, site: str, step: int, layer: int, branch: str, tokens: torch.Tensor) -> None:
        """Record ``tokens`` (batch, token, channel) of one call, reduced as planned."""
        grid, channels = self.planned.shape.tokens_of(site)
        expected = (len(self.writers), prod(grid), channels)
        if tuple(tokens.shape) != expected:
            raise TraceError(
                f"{site} at layer {layer} is {tuple(tokens.shape)} (row, token, channel), where the anatomy "
                f"says {expected}: this model is not understood; `cosinterp verify` says more"
            )
        for reducer in self._reducers[site]:
            place = partial(
                _write_activation, site=site, step=step, layer=layer, branch=branch, reducer=reducer
            )
            kept = self._parts(reducer(tokens))
            for row, writer in self._rows():
                self.sink.put(partial(place, writer), *((part[row], dtype) for part, dtype in kept))

    def step(self, step: Step) -> None:
        """Record the latents and the guided prediction of a step that is over."""
        for row, writer in self._rows():
            self._latents(step.noisy[row], partial(writer.write_noisy, step.index))
            self._latents(step.prediction[row], partial(writer.write_prediction, step.index))
            if step.index == self.plan.num_steps - 1:
                self._latents(step.final()[row], partial(writer.write_noisy, step.index + 1))

    def tell(self, told: Callable[[int], Mapping[str, Any]]) -> None:
        """Write what is known of each row after the call, as attributes."""
        for row, writer in self._rows():
            self.sink.then(partial(writer.set_attrs, dict(told(row))))

    def end(
        self, pinned: Pinned | None, videos: np.ndarray | None, finished: Callable[[RunWriter], None]
    ) -> None:
        """Write what is known after the call, and finish the files; ``videos``: uint8, one a row.

        ``finished`` is called on the sink's side for each run that is complete on disk.
        """
        for row, writer in self._rows():
            # Not put: these change the structure of the file, so they must not meet other writes.
            if pinned is not None:
                frames = pinned.frames.cpu().numpy()
                self.sink.then(partial(_write_pinned, writer, frames), (pinned.latents[row], "fp32"))
            if videos is not None:
                self.sink.then(writer.set_video, (torch.from_numpy(videos[row]), "uint8"))
            self.sink.then(partial(_finish, writer, finished))

    @cached_property
    def _reducers(self) -> dict[str, list[Reducer]]:
        return {
            site: [
                Reducer(parse_reduction(text), *self.planned.shape.tokens_of(site), self.plan.reduce_seed)
                for text in texts
            ]
            for site, texts in self.plan.reductions.items()
        }

    def _rows(self) -> Iterator[tuple[int, RunWriter]]:
        """The rows that are recorded."""
        return ((row, writer) for row, writer in enumerate(self.writers) if writer is not None)

    def _parts(self, kept: torch.Tensor) -> list[Part]:
        """``kept`` (batch, ...) as the store has it."""
        if self.plan.dtype != "fp8":
            return [(kept, self.plan.dtype)]
        slab = SlabLayout(tuple(kept.shape[1:]), self.plan.dtype, self.plan.compression)
        codes, factors = quantised(kept, slab.group)
        return [(codes, "uint8"), (factors, "fp32")]

    def _add_site(self, writer: RunWriter, site: str, reducer: Reducer) -> None:
        grid, channels = self.planned.shape.tokens_of(site)
        writer.add_site(
            site,
            self.plan.layers[site],
            self.plan.steps,
            self.plan.branches,
            grid=grid,
            channels=channels,
            reduction=str(reducer.reduction),
            token_places=reducer.token_places,
            projection=reducer.projection,
            projection_seed=None if reducer.projection is None else reducer.seed,
        )

    def _latents(self, latents: torch.Tensor, write: Callable[[np.ndarray], object]) -> None:
        self.sink.put(write, (latents, "fp32"))


def _write_activation(
    writer: RunWriter,
    array: np.ndarray,
    factors: np.ndarray | None = None,
    *,
    site: str,
    step: int,
    layer: int,
    branch: str,
    reducer: Reducer,
) -> None:
    writer.write(site, step, layer, branch, array, reduction=str(reducer.reduction), factors=factors)


def _write_pinned(writer: RunWriter, frames: np.ndarray, latents: np.ndarray) -> None:
    writer.set_pinned(latents, frames)


def _finish(writer: RunWriter, finished: Callable[[RunWriter], None]) -> None:
    writer.finish()
    finished(writer)
