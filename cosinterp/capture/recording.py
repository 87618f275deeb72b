"""One batch of runs being recorded: what arrives from the model goes to the run files of its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cosinterp.capture.sink import Sink
from cosinterp.denoising import Schedule, Step
from cosinterp.models.anatomy import Pinned

if TYPE_CHECKING:
    import torch

    from cosinterp.capture.plan import PlannedSample, TracePlan
    from stores.writer import RunWriter


@dataclass
class BatchRecording:
    """Records the rows of one pipeline call, each into the run file of its seed.

    ``writers`` has one `RunWriter` a row. Everything is written by the sink, in the order in which it came.
    """

    plan: TracePlan
    planned: PlannedSample
    writers: list[RunWriter]
    sink: Sink

    def begin(self, attrs: dict[str, Any]) -> None:
        """Write what is known before the call: ``attrs``, condition and truth."""
        sample = self.planned.sample
        image = None if sample.image is None else np.asarray(sample.image.convert("RGB"), dtype=np.uint8)
        for writer in self.writers:
            self.sink.then(partial(writer.set_attrs, attrs))
            self.sink.then(partial(writer.set_condition, sample.prompt, image))
            self.sink.then(partial(writer.set_truth, dict(sample.truth)))

    def start(self, schedule: Schedule) -> None:
        """Write the schedule and announce the sites."""
        for writer in self.writers:
            self.sink.then(partial(writer.set_schedule, schedule.timestep, schedule.sigma, schedule.expert))
            for site in self.plan.sites:
                self.sink.then(partial(self._add_site, writer, site))

    def activation(self, site: str, step: int, layer: int, branch: str, tokens: torch.Tensor) -> None:
        """Record ``tokens`` (batch, token, channel) of one call."""
        rows, count, channels = tokens.shape
        grid = self.planned.grid
        if rows != len(self.writers) or count != prod(grid):
            raise RuntimeError(
                f"{site} at layer {layer} has {rows} rows of {count} tokens; "
                f"expected {len(self.writers)} of {prod(grid)}"
            )
        for writer, row in zip(self.writers, tokens.unbind(0), strict=True):
            write = partial(_write_activation, writer, site, step, layer, branch)
            self.sink.put(row.reshape(*grid, channels), self.plan.dtype, write)

    def step(self, step: Step) -> None:
        """Record the latents and the guided prediction of a step that is over."""
        for row, writer in enumerate(self.writers):
            self._latents(step.noisy[row], partial(writer.write_noisy, step.index))
            self._latents(step.prediction[row], partial(writer.write_prediction, step.index))
            if step.index == self.plan.num_steps - 1:
                self._latents(step.final()[row], partial(writer.write_noisy, step.index + 1))

    def end(
        self, pinned: Pinned | None, videos: np.ndarray | None, finished: Callable[[RunWriter], None]
    ) -> None:
        """Write what is known after the call, and finish the files; ``videos``: uint8, one a row.

        ``finished`` is called on the sink's side for each run that is complete on disk.
        """
        for row, writer in enumerate(self.writers):
            if pinned is not None:
                frames = pinned.frames.cpu().numpy()
                self._latents(pinned.latents[row], partial(_write_pinned, writer, frames))
            if videos is not None:
                self.sink.then(partial(writer.set_video, videos[row]))
            self.sink.then(partial(_finish, writer, finished))

    def _add_site(self, writer: RunWriter, site: str) -> None:
        writer.add_site(
            site,
            self.plan.layers[site],
            self.plan.steps,
            self.plan.branches,
            grid=self.planned.grid,
            channels=self.plan.settings.model["channels"],
        )

    def _latents(self, latents: torch.Tensor, write: Callable[[np.ndarray], object]) -> None:
        self.sink.put(latents, "fp32", write)


def _write_activation(
    writer: RunWriter, site: str, step: int, layer: int, branch: str, array: np.ndarray
) -> None:
    writer.write(site, step, layer, branch, array)


def _write_pinned(writer: RunWriter, frames: np.ndarray, latents: np.ndarray) -> None:
    writer.set_pinned(latents, frames)


def _finish(writer: RunWriter, finished: Callable[[RunWriter], None]) -> None:
    writer.finish()
    finished(writer)
