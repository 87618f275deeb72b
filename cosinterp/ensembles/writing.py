"""The runs of an ensemble on their way into a store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from cosinterp.capture.recording import BatchRecording
from cosinterp.models.model import to_uint8
from cosinterp.run_attrs import run_attrs

if TYPE_CHECKING:
    from cosinterp.capture.open_runs import OpenRuns
    from cosinterp.capture.sink import Sink
    from cosinterp.ensembles.rows import Made, Rows
    from cosinterp.models.anatomy import Pinned
    from cosinterp.models.model import Model
    from cosinterp.planning.plan import PlannedSample, TracePlan
    from cosinterp.steps import Call, Schedule
    from stores.writer import RunWriter


class Writing:
    """Writes what the rows of one sample come to, each that may go on into the run of its seed.

    Args:
        model, plan, planned: of what runs; the plan's seeds are those of the rows.
        opened: gives the run files.
        sink: where everything goes.
        stored: the seeds whose rows are written; a row that is stopped is given up.
        on_step: told of each step of each seed.
        on_finished: told of each run that is complete on disk, by whichever thread writes.
    """

    def __init__(
        self,
        model: Model,
        plan: TracePlan,
        planned: PlannedSample,
        opened: OpenRuns,
        sink: Sink,
        stored: frozenset[int],
        on_step: Callable[[int, int], None],
        on_finished: Callable[[RunWriter], None],
    ) -> None:
        self.layers = dict(plan.layers)
        self.output_type = "np" if plan.save_video else "latent"
        self._model, self._plan, self._planned = model, plan, planned
        self._opened, self._sink = opened, sink
        self._on_step, self._on_finished = on_step, on_finished
        self._writers = opened.open(planned.sample.name, plan.seeds, stored)
        self._recordings: dict[Rows, BatchRecording] = {}
        self._ends: list[tuple[Rows, Pinned | None, np.ndarray | None]] = []
        all_rows = tuple(range(len(plan.seeds)))
        self._recording(all_rows).begin(run_attrs(model, plan, planned, plan.seeds))

    def wants(self, call: Call) -> bool:
        """See `Listener`."""
        return call.step in self._plan.steps and call.branch in self._plan.branches

    def started(self, schedule: Schedule) -> None:
        """See `Listener`."""
        self._recording(tuple(range(len(self._writers)))).start(schedule)

    def settled(self, row: int, made: Made, step: int) -> None:
        """See `Listener`."""
        writer = self._writers[row]
        if writer is not None:
            self._sink.put(partial(writer.write_noisy, step), (made.noisy[0], "fp32"))
            self._sink.put(partial(writer.write_prediction, step), (made.prediction[0], "fp32"))
        self._on_step(self._plan.seeds[row], step)

    def activation(self, rows: Rows, site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
        """See `Listener`."""
        self._recording(rows).activation(site, call.step, layer, call.branch, tokens)

    def retried(self) -> None:
        """See `Listener`."""
        # What is written again comes after what was, whichever thread writes it.
        self._sink.then(_nothing)

    def stopped(self, row: int) -> None:
        """See `Listener`."""
        writer = self._writers[row]
        if writer is not None:
            self._writers[row] = None
            self._recordings.clear()
            self._sink.then(partial(self._opened.done, writer))

    def ended(self, rows: Rows, final: torch.Tensor, pinned: Pinned | None, output: Any) -> None:
        """See `Listener`."""
        for place, row in enumerate(rows):
            writer = self._writers[row]
            if writer is not None:
                self._sink.put(partial(writer.write_noisy, self._plan.num_steps), (final[place], "fp32"))
        videos = to_uint8(self._model.videos(output)) if self._plan.save_video else None
        self._ends.append((rows, pinned, videos))

    def finish(self, told: Mapping[str, Any]) -> None:
        """All rows have ended: write what is ``told`` of the ensemble, and finish the files."""
        for rows, pinned, videos in self._ends:
            recording = self._recording(rows)
            recording.tell(lambda row: told)
            recording.end(pinned, videos, self._finished)

    def _finished(self, writer: RunWriter) -> None:
        self._opened.done(writer)
        self._on_finished(writer)

    def _recording(self, rows: Rows) -> BatchRecording:
        if rows not in self._recordings:
            writers = [self._writers[row] for row in rows]
            self._recordings[rows] = BatchRecording(self._plan, self._planned, writers, self._sink)
        return self._recordings[rows]


def _nothing() -> None:
    pass
