"""What a patched run is compared with: the same run unchanged, its donor, and other seeds of its sample."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cosinterp.patching.measures import (
    LATENT_EFFECTS,
    PIXEL_EFFECTS,
    Measure,
    MeasureError,
    Outcome,
    SeedSpread,
    latent_effects,
    mean_distance,
    measures_for,
    pixel_effects,
    taken,
)
from cosinterp.patching.vbvr_measures import vbvr_measures

if TYPE_CHECKING:
    from cosinterp.interventions.intervention import RunRef
    from cosinterp.models.model import Model
    from cosinterp.patching.trial import Trial
    from cosinterp.replaying.opened import Replays
    from cosinterp.replaying.player import Played
    from cosinterp.scorers import Metric

_KEPT = 64


class Comparing:
    """Makes numbers of what patched runs came to.

    ``videos``: whether videos are decoded; ``measures``: what is measured of them besides what the samples'
    tasks say.
    """

    def __init__(self, model: Model, replays: Replays, videos: bool, measures: Sequence[Measure]) -> None:
        self._model = model
        self._replays = replays
        self._videos = videos
        self._measures = tuple(measures)
        self._references: dict[Any, Outcome] = {}
        self._spreads: dict[tuple[RunRef, int], SeedSpread] = {}

    def effects(
        self, trial: Trial, outcome: Outcome, row: int, columns: Collection[str]
    ) -> tuple[dict[str, float], str]:
        """All that is measured of a patched run, which was a row of its batch, and what could not be.

        ``columns``: what else is told of it, which no measure may write over.

        A measure that fails, or a run that is not finite, leaves what else is measured.
        """
        ended = outcome.final is not None
        recipient = self._reference(trial.run, outcome.step, row, ended)
        donor = self._reference(trial.toward, outcome.step, row, ended)
        try:
            found = latent_effects(outcome, recipient, donor, self._spread(trial.run, outcome.step))
        except MeasureError as error:
            return {}, str(error)
        faults = []
        if self._videos:
            found |= pixel_effects(outcome, recipient, donor)
            measures, truths = self._measures_of(trial.run, trial.toward)
            for measure in measures:
                try:
                    own = taken(measure, outcome.video, *truths)
                    _check_new(measure, own, {*columns, *found})
                    found |= own
                except MeasureError as error:
                    faults.append(str(error))
        return found, "; ".join(faults)

    def metrics(self, pairs: Iterable[tuple[RunRef, RunRef]]) -> dict[str, Metric]:
        """All that is measured of pairs of runs, patched and donor, by column."""
        columns = [*LATENT_EFFECTS, *(PIXEL_EFFECTS if self._videos else ())]
        for run, toward in pairs if self._videos else ():
            for measure in self._measures_of(run, toward)[0]:
                columns += measure.columns
        return {metric.name: metric for metric in columns}

    def outcomes(self, played: Played, step: int, count: int, run: RunRef) -> list[Outcome]:
        """What each of ``count`` rows came to; their videos are decoded together, if any is asked for."""
        clean = played.clean[step]
        latents = clean if played.final is None else played.final
        decoded: list[np.ndarray] = []

        def row_of(row: int) -> Callable[[np.ndarray], np.ndarray]:
            def decode(latent: np.ndarray) -> np.ndarray:
                if not decoded:
                    # One row that is not finite fails by itself, and must not fail the others.
                    decoded.extend(self._decode(latents.nan_to_num().numpy(), run))
                return decoded[row]

            return decode

        finals = [None] * count if played.final is None else [final.numpy() for final in latents[:count]]
        return [Outcome(step, clean[row].numpy(), final, row_of(row)) for row, final in enumerate(finals)]

    def truth(self, ref: RunRef) -> dict[str, Any]:
        """What is known of a run's sample."""
        return self._replays.run(ref).run.truth

    def _measures_of(
        self, run: RunRef, toward: RunRef
    ) -> tuple[tuple[Measure, ...], tuple[dict[str, Any], dict[str, Any]]]:
        """What is measured of the videos of a pair, and the truths of its samples; of a run whose donor it is
        itself, there is no donor's."""
        known = [self._known(run), ({}, {}) if toward == run else self._known(toward)]
        (truth, metadata), (donor_truth, donor_metadata) = known
        measures = measures_for(truth, donor_truth), vbvr_measures(metadata, donor_metadata)
        return (*measures[0], *measures[1], *self._measures), (truth, donor_truth)

    def _known(self, ref: RunRef) -> tuple[dict[str, Any], dict[str, Any]]:
        """The truth and the metadata of a run's sample."""
        store = self._replays.stores.store(ref.store)
        run = store.shared_run(ref.sample, ref.seed, ref.variant)
        return run.truth, run.attrs.get("metadata") or {}

    def _reference(self, ref: RunRef, step: int, row: int, ended: bool) -> Outcome:
        """What an unchanged run came to in the same row of a batch."""
        opened = self._replays.run(ref)
        key = ref, step, row, ended, opened.is_stored
        if key not in self._references:
            if len(self._references) >= _KEPT:
                self._references.clear()
            known = opened.trajectory
            self._references[key] = Outcome(
                step,
                known.clean_estimate(step)[row].numpy(),
                known.final()[row].numpy() if ended else None,
                # In the same row of a batch of the same shape, too: a decoder rounds by these.
                lambda latent: self._decode(np.repeat(latent[None], opened.player.rows, 0), ref)[row],
            )
        return self._references[key]

    def _decode(self, latents: np.ndarray, ref: RunRef) -> np.ndarray:
        return self._model.decode(latents, self._replays.run(ref).run.attrs["sampling"].get("num_frames"))

    def _spread(self, ref: RunRef, step: int) -> SeedSpread:
        """How far the other seeds of a run's sample are, as its store has them."""
        if (ref, step) not in self._spreads:
            store = self._replays.stores.store(ref.store)
            own = self._replays.run(ref).run
            clean, final = [], []
            for entry in store.runs(ref.sample, variant=ref.variant):
                other = store.shared_run(entry.sample, entry.seed, entry.variant)
                if entry.seed != ref.seed and other.num_steps == own.num_steps and other.has_latents:
                    clean.append(other.clean_estimate(step))
                    final.append(other.noisy(own.num_steps))
            self._spreads[ref, step] = SeedSpread(
                mean_distance(own.clean_estimate(step), clean),
                mean_distance(own.noisy(own.num_steps), final),
            )
        return self._spreads[ref, step]


def _check_new(measure: Measure, own: Iterable[str], there: Collection[str]) -> None:
    for name in own:
        if name in there:
            raise MeasureError(
                f"measure {measure.name}: there is a column {name} already; call it something else"
            )
