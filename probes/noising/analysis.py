"""What noise does, as a result: every place beside base, and noise at steps beside noise in frames.

A result of the kind "noise". The estimates (`probes.estimated`) come with ``_low``, ``_high``, ``_n``,
``_samples`` and ``_method``; what needs scores or activations is not there without them.

========================  =====================  =====================================================
``effect``                (place,)               score of the noised runs less that of their base runs
``effect_p``              (place,)               by sign flips over samples, of each place alone
``effect_p_all``          (place,)               over all places together (greatest statistic)
``score``                 (variant,)             of the base runs, then of the noised ones
``mean_effect``           (protocol, at)         mean over the steps, or the frames, of a protocol
``steps_less_frames``     (protocol,)            their difference, paired by run
``steps_less_frames_p``   (protocol,)            by sign flips over samples
``energy``                (place,)               of the noise, mean over runs; ``energy_least``, ``_most``
``mean_energy``           (protocol, at)         mean over steps, or frames
``clean_distance``        (place, step)          of clean estimates from those of base
``final_distance``        (place,)               of final latents from those of base
``frame_distance``        (place, frame)         the same of each latent frame
``unlike``                (place, step, layer)   1 - debiased CKA of activations with those of base
``run_score``             (place, run)           the scores themselves; ``base_run_score`` (run,)
``sample, seed``          (run,)                 what names a run
``place_at``              (place,)               "step", "frame" or "other"; ``place_index``: which one
``place_protocol``        (place,)               how the noise gets in; ``label``: what a place is called
========================  =====================  =====================================================
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes import statistics
from probes.estimated import NOTHING, arrays
from probes.noising.alignment import Unlike, What, unlike
from probes.noising.places import NoisedPlace, noised_places
from probes.noising.runs import Compared, Scores, compared, scores_of
from probes.noising.sign_flips import DRAWS, sign_flip_tests
from probes.noising.trajectories import MEANING, Trajectories, trajectories
from probes.results.provenance import provenance
from probes.results.result import Result
from stores import Store, open_store
from stores.chosen_runs import SampleNames
from stores.filters import Seeds
from stores.layout import BASE
from stores.selection import compact

if TYPE_CHECKING:
    from probes.scores import ScoreTable

KIND = "noise"
AT = ("step", "frame")
RESIDUALS = What()
_COLUMNS = 500
"""Means whose bootstrap draws are held at once."""
SAME_ENERGY = 0.02
"""Energies whose means differ by less than this share are called matched."""


def effects(
    store: Store | Path | str,
    *,
    variants: Sequence[str] | str | None = None,
    samples: SampleNames = None,
    seeds: Seeds = None,
    scores: Mapping[str, ScoreTable] | None = None,
    metric: str | None = None,
    activations: What | None = RESIDUALS,
    seed: int = 0,
    draws: int = DRAWS,
    command: str | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Result:
    """What noise in latents does to scores, clean estimates, final latents and activations.

    Every noised run is compared with the base run of the same sample and seed; intervals and tests are over
    samples.

    Args:
        store: with base runs and noised ones, which `cosinterp.noise` makes.
        variants: which, by name or pattern; None: all with noise.
        samples, seeds: which runs; those that some variant lacks are left out.
        scores: of base and of each variant; None: those that the store keeps, if there are any.
        metric: of the scores; None: the first of the task's headline.
        activations: which are compared where they were recorded; None: none.
        seed: of the intervals, of the tests, and of the tokens that are compared.
        draws: of the tests.
        command: the command line that does the same.
        progress: called with (parts done, parts in all).

    Raises:
        SelectionError: there are no such runs, or scores of some variants only.
        StoreError: a run cannot be read, or lacks its latents.
    """
    import xarray

    opened = store if isinstance(store, Store) else open_store(store)
    places = noised_places(opened, variants)
    runs = compared(opened, places, samples, seeds)
    scored, why_not = scores_of(opened, places, runs, scores, metric)
    count = _Count(len(runs.keys) + (0 if activations is None else len(places)), progress)
    paths = trajectories(opened, places, runs, count)
    apart = None if activations is None else unlike(opened, places, runs, activations, seed, count)
    notes = [*runs.notes, *([why_not] if why_not else [])]
    if apart is None and activations is not None:
        notes.append(f"no activations of {activations.site} in all variants, so none are compared")
    notes += [] if apart is None else apart.notes
    protocols = list(dict.fromkeys(place.protocol for place in places))
    variables: dict[str, Any] = {}
    if scored is not None:
        variables |= _effect_arrays(places, protocols, runs, scored, seed, draws)
        notes += _unequal(places, protocols, paths.energies)
    variables |= _energy_arrays(places, protocols, paths.energies)
    variables |= _trajectory_arrays(paths, runs, seed)
    if apart is not None:
        variables |= _unlike_arrays(apart, paths)
    dataset = xarray.Dataset(variables, _coords(places, protocols, runs, paths, apart))
    dataset.attrs = _attrs(scored, apart, activations, seed, draws) | {"notes": json.dumps(notes)}
    asked = {
        "variants": [place.variant for place in places],
        "samples": sorted(set(runs.samples)),
        "seeds": sorted({seed for _, seed in runs.keys}),
        "metric": None if scored is None else scored.metric.name,
        "activations": None if activations is None or apart is None else _asked(activations, apart),
        "seed": seed,
        "draws": draws,
    }
    return Result(dataset, provenance(KIND, opened, asked, command=command, notes=notes))


def _trajectory_arrays(paths: Trajectories, runs: Compared, seed: int) -> dict[str, Any]:
    final = [one[0] for one in _distance_means(paths.final[:, :, None], runs, seed)]
    clean = _distance_means(paths.clean, runs, seed)
    frames = _distance_means(paths.by_frame, runs, seed)
    return {
        **arrays("clean_distance", ("place", "step"), clean, f"clean estimates: {MEANING}"),
        **arrays("final_distance", ("place",), final, f"final latents: {MEANING}"),
        **arrays("frame_distance", ("place", "frame"), frames, f"final latents: {MEANING}"),
    }


def _distance_means(
    values: NDArray[np.float64], runs: Compared, seed: int
) -> list[list[statistics.Estimate]]:
    """Means over runs of (place, run, column): for each place one a column, all from the same draws."""
    columns = values.transpose(1, 0, 2).reshape(values.shape[1], -1)
    found: list[statistics.Estimate] = []
    for start in range(0, columns.shape[1], _COLUMNS):
        part = columns[:, start : start + _COLUMNS]
        found += statistics.means(part, runs.samples, seed=seed, bounds=(0.0, math.inf))
    width = values.shape[2]
    return [found[start : start + width] for start in range(0, len(found), width)]


def _energy_arrays(
    places: Sequence[NoisedPlace], protocols: Sequence[str], energies: NDArray[np.float64]
) -> dict[str, Any]:
    what = {"long_name": "energy of the noise (1: all frames replaced at one step)"}
    mean = np.full((len(protocols), len(AT)), np.nan)
    for row, protocol in enumerate(protocols):
        for column, at in enumerate(AT):
            members = _members(places, protocol, at)
            if members:
                mean[row, column] = energies[members].mean()
    return {
        "energy": ("place", energies.mean(axis=1), what),
        "energy_least": ("place", energies.min(axis=1)),
        "energy_most": ("place", energies.max(axis=1)),
        "mean_energy": (("protocol", "at"), mean, what),
    }


def _effect_arrays(
    places: Sequence[NoisedPlace],
    protocols: Sequence[str],
    runs: Compared,
    scored: Scores,
    seed: int,
    draws: int,
) -> dict[str, Any]:
    low, high = scored.metric.bounds
    samples = runs.samples
    of_change = {"seed": seed, "bounds": (low - high, high - low)}
    effect = statistics.means(scored.effects.T, samples, **of_change)
    everything = np.vstack([scored.base, scored.noised]).T
    if scored.metric.kind == "share":
        level = [statistics.proportion(column, samples, seed=seed) for column in everything.T]
    else:
        level = statistics.means(everything, samples, seed=seed, bounds=scored.metric.bounds)
    alone, together = sign_flip_tests(_by_sample(scored.effects, samples), seed=seed, draws=draws)
    means: list[list[statistics.Estimate]] = []
    contrasts: list[statistics.Estimate] = []
    contrast_p: list[float] = []
    for protocol in protocols:
        by_at = [_members(places, protocol, at) for at in AT]
        per_run = [scored.effects[members].mean(axis=0) if members else None for members in by_at]
        means.append(
            [NOTHING if one is None else statistics.mean(one, samples, **of_change) for one in per_run]
        )
        at_steps, in_frames = per_run
        if at_steps is None or in_frames is None:
            contrasts.append(NOTHING)
            contrast_p.append(math.nan)
            continue
        # Both are changes from the same base runs, so their difference has the bounds of one change.
        contrasts.append(statistics.mean(at_steps - in_frames, samples, **of_change))
        difference = _by_sample((at_steps - in_frames)[None], samples)
        contrast_p.append(float(sign_flip_tests(difference, seed=seed, draws=draws)[0][0]))
    label = scored.metric.label
    return {
        **arrays("effect", ("place",), effect, f"{label}: noised less base"),
        "effect_p": ("place", alone, {"long_name": "p of the effect, this place alone"}),
        "effect_p_all": ("place", together, {"long_name": "p of the effect, over all places"}),
        **arrays("score", ("variant",), level, label),
        **arrays("mean_effect", ("protocol", "at"), means, f"{label}: noised less base"),
        **arrays("steps_less_frames", ("protocol",), contrasts, f"{label}: steps less frames"),
        "steps_less_frames_p": ("protocol", np.array(contrast_p)),
        "run_score": (("place", "run"), scored.noised, {"long_name": label}),
        "base_run_score": ("run", scored.base, {"long_name": label}),
    }


def _unlike_arrays(apart: Unlike, paths: Trajectories) -> dict[str, Any]:
    """Along all steps of a run, NaN where no activations are stored, so that steps are one axis."""
    steps = paths.clean.shape[2]
    found = {}
    for name, values in (("unlike", apart.value), ("unlike_low", apart.low), ("unlike_high", apart.high)):
        held = np.full((values.shape[0], steps, values.shape[2]), np.nan)
        held[:, list(apart.steps)] = values
        found[name] = (("place", "step", "layer"), held)
    return found


def _by_sample(values: NDArray[np.float64], samples: Sequence[str]) -> NDArray[np.float64]:
    """Means over the runs of each sample: (row, sample) of (row, run)."""
    names = sorted(set(samples))
    owner = np.array([names.index(sample) for sample in samples])
    return np.stack([values[:, owner == number].mean(axis=1) for number in range(len(names))], axis=1)


def _members(places: Sequence[NoisedPlace], protocol: str, at: str) -> list[int]:
    return [number for number, place in enumerate(places) if place.protocol == protocol and place.at == at]


def _unequal(
    places: Sequence[NoisedPlace], protocols: Sequence[str], energies: NDArray[np.float64]
) -> list[str]:
    """What has to be said of noise at steps and in frames that is not the same amount."""
    notes = []
    for protocol in protocols:
        steps, frames = (_members(places, protocol, at) for at in AT)
        if not steps or not frames:
            continue
        of_steps, of_frames = energies[steps].mean(), energies[frames].mean()
        if abs(of_frames / of_steps - 1) > SAME_ENERGY:
            notes.append(
                f"{protocol}: noise in a frame has {of_frames / of_steps:.2f} times the energy of noise at a "
                "step, so where it is and how much it is are not told apart"
            )
    return notes


def _coords(
    places: Sequence[NoisedPlace],
    protocols: Sequence[str],
    runs: Compared,
    paths: Trajectories,
    apart: Unlike | None,
) -> dict[str, Any]:
    texts = {"place_at": "at", "place_protocol": "protocol", "label": "label"}
    coords: dict[str, Any] = {
        "place": np.array([place.variant for place in places], dtype=np.str_),
        "place_index": ("place", np.array([place.index for place in places], dtype=np.int64)),
        "protocol": np.array(protocols, dtype=np.str_),
        "variant": np.array([BASE, *(place.variant for place in places)], dtype=np.str_),
        "at": np.array(AT, dtype=np.str_),
        "step": np.arange(paths.clean.shape[2]),
        "frame": np.arange(paths.by_frame.shape[2]),
        "sample": ("run", np.array(runs.samples, dtype=np.str_)),
        "seed": ("run", np.array([seed for _, seed in runs.keys], dtype=np.int64)),
    }
    for name, field in texts.items():
        coords[name] = ("place", np.array([getattr(place, field) for place in places], dtype=np.str_))
    if apart is not None:
        coords["layer"] = list(apart.layers)
    return coords


def _attrs(
    scored: Scores | None, apart: Unlike | None, activations: What | None, seed: int, draws: int
) -> dict[str, Any]:
    attrs: dict[str, Any] = {"seed": seed, "draws": draws}
    if scored is not None:
        low, high = scored.metric.bounds
        attrs |= {
            "task": scored.task,
            "metric": scored.metric.name,
            "metric_label": scored.metric.label,
            "low": float(low),
            "high": float(high),
        }
    if apart is not None and activations is not None:
        attrs |= {"site": activations.site, "tokens": activations.tokens}
    return attrs


def _asked(activations: What, apart: Unlike) -> dict[str, Any]:
    """Which activations, JSON-able."""
    return {
        **vars(activations),
        "steps": compact(apart.steps),
        "layers": compact(apart.layers),
    }


class _Count:
    def __init__(self, total: int, progress: Callable[[int, int], object] | None) -> None:
        self._done, self._total, self._progress = 0, total, progress

    def __call__(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)
