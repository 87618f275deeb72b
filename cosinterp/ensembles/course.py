"""The seeds of one sample on their way through the steps, merged and selected as an ensemble says.

Of the rows that are computed here, whatever fits goes through the pipeline in one call. What goes on
otherwise (one seed after a merge, or rows in chunks that meet at each merge) goes on by replay: the same
pipeline call, in which the steps that are made already are answered with the predictions that they had, and
leave what they left. So nobody's denoising loop is copied, and nothing is computed twice.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from cosinterp.ensembles.checking import intervention_of
from cosinterp.ensembles.company import ALONE, Company
from cosinterp.ensembles.latents import (
    Collecting,
    Merging,
    Passing,
    Shared,
    Weights,
    merged_predictions,
    share,
)
from cosinterp.ensembles.meeting import Meeting
from cosinterp.ensembles.mergers import Mergers
from cosinterp.ensembles.merging import Merger
from cosinterp.ensembles.rows import Listener, Made, Predicted, Row, Rows, kept, together
from cosinterp.interventions.edits import Edit, Edits
from cosinterp.replaying.player import Player, Watch
from cosinterp.replaying.skips import Forms, Skips
from cosinterp.steps import Call, Schedule, Step

if TYPE_CHECKING:
    from cosinterp.capture.watching import OnTensor
    from cosinterp.ensembles.chunks import Chunks
    from cosinterp.ensembles.spec import Ensemble, Merge
    from cosinterp.models.model import Model
    from cosinterp.planning.plan import PlannedSample
    from cosinterp.replaying.preamble import Preamble

Choose = Callable[[Rows, torch.Tensor], Rows]
"""Told which rows there are, and their clean estimates, float32 (row, channel, frame, row, col), says which
go on."""

Layers = dict[str, tuple[int, ...]]


class Course:
    """One sample's ensemble on its way.

    Args:
        model: the model.
        planned: the sample.
        ensemble: what is merged and who goes on; checked already, see `check_ensemble`.
        seeds: of the rows, ascending; rows of one seed are the same run.
        chunks: how many rows go at once.
        listener: told of what they come to.
        choose: says which rows go on where the ensemble selects.
        preamble: of the model.
        company: those who compute the rows; hidden states are merged only where that is one.

    Attributes:
        going: the rows that go on, wherever they are computed.
        blocks: evaluations of blocks here so far: blocks that ran, times rows, times branches.
    """

    def __init__(
        self,
        model: Model,
        planned: PlannedSample,
        ensemble: Ensemble,
        seeds: tuple[int, ...],
        chunks: Chunks,
        listener: Listener,
        choose: Choose | None,
        preamble: Preamble,
        company: Company = ALONE,
    ) -> None:
        self.going: Rows = tuple(range(len(seeds)))
        self.blocks = 0
        self._model, self._planned, self._ensemble, self._seeds = model, planned, ensemble, seeds
        self._chunks, self._listener, self._choose = chunks, listener, choose
        self._preamble, self._forms = preamble, Forms()
        self._company, self._mergers = company, Mergers(company)
        self._players: dict[Rows, Player] = {}
        self._rows = [Row() for _ in seeds]
        self._shared: dict[int, Shared] = {}
        self._num_steps: int = planned.settings["num_steps"]
        self._has_started = False
        self._tried = 0

    @property
    def evaluations(self) -> float:
        """Evaluations of the denoiser here so far, of each row and branch; parts of one count as parts."""
        return self.blocks / self._model.num_layers

    def run(self) -> None:
        """Take all rows that are computed here to where they end.

        Raises:
            UserError: they do not fit into memory.
            ClockError: the pipeline did not do what its schedule says.
        """
        select, last = self._ensemble.select, self._ensemble.last_merge
        for step in range(self._num_steps):
            if select is not None and self._choose is not None and step == select.step:
                self._advance(step)
                self._go_on_with(self._chosen(self._choose, step))
            if self._ensemble.one_goes_on and step == last:
                self._advance(step)
                self._go_on_with(self.going[:1])
        self._advance(None)

    @property
    def _own(self) -> Rows:
        """The rows that go on and are computed here."""
        return self._company.own(self.going)

    def _go_on_with(self, rows: Rows) -> None:
        for row in self._own:
            if row not in rows:
                self._listener.stopped(row)
                self._rows[row] = Row()
        self.going = rows

    def _chosen(self, choose: Choose, step: int) -> Rows:
        """The rows that go on where seeds are selected."""
        if not self._own:
            return self.going
        found = [self._rows[row].estimate for row in self._own]
        own = torch.cat([estimate for estimate in found if estimate is not None])
        going = self.going
        return self._company.meet(
            (step, "select", 0), going, own, lambda parts: choose(going, torch.cat(parts))
        )

    def _advance(self, target: int | None) -> None:
        """Take the rows that go on to the end of a step, or of the pipeline."""
        while not self._has_come_to(target):
            try:
                if self._chunks.of(len(self._own)) == len(self._own):
                    self._play_together(target)
                else:
                    self._play_in_chunks(target)
                continue
            except torch.OutOfMemoryError:
                # What was raised holds the tensors that did not fit, until this block is left.
                pass
            self._chunks.refused(self._tried, min(self._rows[row].steps for row in self._own))
            self._listener.retried()
            gc.collect()
            torch.cuda.empty_cache()

    def _has_come_to(self, target: int | None) -> bool:
        if not self._own:
            return True
        if target is None:
            return all(self._rows[row].has_ended for row in self._own)
        return self._unmerged(target + 1) is None and all(self._rows[row].steps > target for row in self._own)

    def _unmerged(self, steps: int) -> int | None:
        """The step, of the first so many, whose latents are still to be merged."""
        return next(
            (step for step in range(steps) if step not in self._shared and self._ensemble.at(step, "latent")),
            None,
        )

    def _play_together(self, target: int | None) -> None:
        rows = self._own
        hidden = [merge for merge in self._ensemble.merges if merge.what == "hidden"]
        edits = Edits(
            [Edit(None, intervention_of(merge, self._weights(merge))) for merge in hidden],
            self._model.anatomy,
        )
        start = self._rows[rows[0]].steps
        changes = Merging(self._shared, self._ensemble, self._merger, start)

        def on_step(step: Step) -> None:
            for place, row in enumerate(rows):
                self._settle(row, Made.of(step, place), step.index)

        def on_tensor(site: str, layer: int, tokens: torch.Tensor, call: Call) -> torch.Tensor | None:
            changed = edits.on_tensor(site, layer, tokens, call)
            self._tell(rows, site, layer, tokens if changed is None else changed, call)
            return changed

        def wanted(call: Call) -> bool:
            return edits.wanted(call) or self._listener.wants(call)

        watch = Watch(on_step, None, changes, self._layers(edits.layers), wanted, on_tensor)
        self._call(rows, self._skips(rows, start), watch, target)

    def _play_in_chunks(self, target: int | None) -> None:
        """Take all rows a little further: to where they meet next, or to the target."""
        least = min(self._rows[row].steps for row in self._own)
        unmerged = self._unmerged(least)
        if unmerged is not None:
            self._merge_latents(unmerged)
            return
        ahead = range(least, self._num_steps if target is None else target + 1)
        meeting = next((step for step in ahead if self._ensemble.merges_at(step)), None)
        if meeting is None:
            self._play_chunks(target)
        elif not self._ensemble.at(meeting, "hidden"):
            self._play_chunks(meeting)
            self._settle_merged(meeting)
        elif any(self._rows[row].steps < meeting for row in self._own):
            self._play_chunks(meeting - 1)
        else:
            self._meet(meeting)
            self._settle_merged(meeting)

    def _play_chunks(self, stop: int | None) -> None:
        for rows in self._groups(lambda row: row.is_behind(stop)):
            self._play_chunk(rows, stop)

    def _play_chunk(self, rows: Rows, stop: int | None) -> None:
        def on_tensor(site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
            self._tell(rows, site, layer, tokens, call)

        skips = self._skips(rows, self._rows[rows[0]].steps)
        self._go(rows, skips, stop, self._layers({}), self._listener.wants, on_tensor)

    def _meet(self, step: int) -> None:
        """Take all rows through a step in which hidden states are merged."""
        for row in self._own:
            self._rows[row].waiting = None
        asked = [(merge, self._weights(merge)) for merge in self._ensemble.at(step, "hidden")]
        meeting = Meeting(step, asked, self._model.anatomy, self._tell)
        layers = self._layers({site: tuple(own) for site, own in meeting.layers.items()})
        groups = list(self._groups(lambda row: True))
        while any(self._rows[row].waiting is None for row in self._own):
            for rows in groups:
                skips = meeting.halts(rows, self._skips(rows, step))

                def wanted(call: Call) -> bool:
                    return meeting.wanted(call) or self._listener.wants(call)

                self._go(rows, skips, step, layers, wanted, partial(meeting.on_tensor, rows))
            meeting.merge()

    def _go(
        self,
        rows: Rows,
        skips: Skips,
        stop: int | None,
        layers: Layers,
        wanted: Callable[[Call], bool],
        on_tensor: OnTensor,
    ) -> None:
        """Take some of the rows to the end of a step, where they wait if it is one that is merged."""
        changes = Passing(self._shared)
        if stop is not None and self._ensemble.at(stop, "latent"):
            changes = Collecting(self._shared, stop)

        def on_step(step: Step) -> None:
            for place, row in enumerate(rows):
                made = Made.of(step, place)
                if self._ensemble.merges_at(step.index):
                    self._rows[row].waiting = made
                else:
                    self._settle(row, made, step.index)

        self._call(rows, skips, Watch(on_step, None, changes, layers, wanted, on_tensor), stop)
        if isinstance(changes, Collecting) and changes.latents is not None:
            for row, left in zip(rows, changes.rows(), strict=True):
                self._rows[row].left = left

    def _settle_merged(self, step: int) -> None:
        """The rows wait at the end of a step: merge what they predict there, and settle it."""
        waiting = [self._rows[row].waiting for row in self._own]
        made = [one for one in waiting if one is not None]
        for one in self._ensemble.at(step, "x0", "prediction"):
            noisy, prediction, pinned = together(made)
            merged = merged_predictions(
                one, self._merger(one, step), noisy, prediction, made[0].clean, pinned
            )
            made = [own.predicting(kept(row[None])) for own, row in zip(made, merged, strict=True)]
            for row in self._own:
                # They would leave the step with something else.
                self._rows[row].left = None
        for row, own in zip(self._own, made, strict=True):
            self._rows[row].waiting = None
            self._settle(row, own, step)

    def _merge_latents(self, step: int) -> None:
        """Merge what all rows leave a settled step with."""
        for rows in self._groups(lambda row: row.left is None):
            # Nothing is computed: they go through the steps that are settled.
            self._go(rows, self._skips(rows, step + 1), step, {}, lambda call: False, lambda *_: None)
        (asked,) = self._ensemble.at(step, "latent")
        left = [self._rows[row].left for row in self._own]
        self._shared[step] = share([one for one in left if one is not None], self._merger(asked, step))
        for row in self._own:
            self._rows[row].left = None

    def _settle(self, row: int, made: Made, step: int) -> None:
        own = self._rows[row]
        own.predictions.append(made.prediction)
        if self._ensemble.select is not None and self._ensemble.select.step == step:
            own.estimate = made.clean_estimate()
        self._listener.settled(row, made, step)

    def _call(self, rows: Rows, skips: Skips, watch: Watch, last: int | None) -> None:
        """Call the pipeline; ``watch`` is told of what is computed only."""
        self._tried = len(rows)
        final: list[torch.Tensor] = []

        def on_step(step: Step) -> None:
            if step.index >= skips.start:
                watch.on_step(step)
            if last is None and step.index == self._num_steps - 1:
                final.append(kept(step.final()))

        told = replace(
            watch,
            on_step=on_step,
            on_start=self._started,
            wanted=lambda call: call.step >= skips.start and watch.wanted(call),
        )
        known = Predicted(self._rows[row] for row in rows)
        try:
            called = self._player(rows).call(
                skips, told, known=known, last=last, output_type=self._listener.output_type
            )
        finally:
            self.blocks += skips.blocks
        if last is None:
            self._listener.ended(rows, final[0], called.pinned, called.output)
            for row in rows:
                self._rows[row].has_ended = True

    def _started(self, schedule: Schedule) -> None:
        if not self._has_started:
            self._has_started = True
            self._listener.started(schedule)

    def _tell(self, rows: Rows, site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
        if self._listener.wants(call) and layer in self._listener.layers.get(site, ()):
            self._listener.activation(rows, site, layer, tokens, call)

    def _groups(self, chosen: Callable[[Row], bool]) -> list[Rows]:
        """The rows that go on and are chosen, as many at a time as fit and have come to the same step."""
        rows = [row for row in self._own if chosen(self._rows[row])]
        return list(self._chunks.split(rows, lambda row: self._rows[row].steps))

    def _layers(self, merged: Layers) -> Layers:
        """Those at which something is merged, and those that the listener is told of."""
        told = self._listener.layers
        return {
            site: tuple(sorted({*merged.get(site, ()), *told.get(site, ())})) for site in {**told, **merged}
        }

    def _player(self, rows: Rows) -> Player:
        if rows not in self._players:
            seeds = tuple(self._seeds[row] for row in rows)
            planned = self._planned
            self._players[rows] = Player(
                self._model, planned.sample, seeds, planned.settings, self._preamble, self._forms
            )
        return self._players[rows]

    def _skips(self, rows: Rows, start: int) -> Skips:
        known = Predicted(self._rows[row] for row in rows) if start else None
        return self._player(rows).skips(start, known)

    def _merger(self, merge: Merge, step: int) -> Merger:
        return self._mergers.at(step, merge, self.going, self._weights(merge))

    def _weights(self, merge: Merge) -> Weights:
        """Those of the rows that go on."""
        return None if merge.weights is None else tuple(merge.weights[row] for row in self.going)
