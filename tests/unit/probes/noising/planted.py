"""Stores of base runs and noised ones whose scores, latents and activations are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.scores import Metric, Scored, ScoreTable
from stores import Store, StoreSettings, create_store

SOLVED = Metric("solved", "solved", "solved", "share")
LENGTH = Metric("length", "length", "length", "mean", (0.0, 10.0))
SIGMAS = np.array([1.0, 0.75, 0.5, 0.0])
GRID = (2, 3, 4)
CHANNELS = 5

Latents = NDArray[np.float32]
Key = tuple[str, int, str]


def told(**noise: Any) -> dict[str, Any]:
    """What a run says of its noise."""
    return {
        "kind": "noise",
        "steps": None,
        "frames": None,
        "how": "replace",
        "strength": 1.0,
        "energy": None,
        "seed": 0,
        **noise,
    }


def plant(
    folder: Path,
    estimates: Mapping[Key, Latents],
    noises: Mapping[str, Mapping[str, Any]],
    *,
    energies: Mapping[str, float] | None = None,
    activations: Mapping[Key, NDArray[np.float32]] | None = None,
) -> Store:
    """A store whose clean estimates are (step, channel, frame, row, col), by (sample, seed, variant).

    ``noises``: what the runs of each variant say of their noise. ``activations``: (step, layer, token,
    channel) of ``resid``, tokens of `GRID`.
    """
    capture = {"sites": [] if activations is None else ["resid"], "dtype": "fp32"}
    store = create_store(folder, StoreSettings(model={"name": "planted"}, capture=capture))
    for (sample, seed, variant), clean in estimates.items():
        with store.writer(sample, seed, variant) as writer:
            attrs: dict[str, Any] = {"prediction_type": "flow"}
            if variant in noises:
                attrs |= {
                    "intervention": dict(noises[variant]),
                    "noise_energy": (energies or {}).get(variant, 1.0),
                }
            writer.set_attrs(attrs)
            writer.set_schedule(1000 * SIGMAS[:-1], SIGMAS)
            writer.set_condition("go")
            steps = len(SIGMAS) - 1
            if activations is not None:
                own = activations[sample, seed, variant]
                writer.add_site("resid", range(own.shape[1]), range(steps), ["cond"], GRID, own.shape[3])
                for step in range(steps):
                    for layer in range(own.shape[1]):
                        slab = own[step, layer].reshape(*GRID, -1)
                        writer.write("resid", step, layer, "cond", slab)
            for step in range(steps):
                writer.write_noisy(step, clean[step])
                writer.write_prediction(step, np.zeros_like(clean[step]))
            writer.write_noisy(steps, clean[-1])
            writer.finish()
    return store


def scores(
    store: Store, finals: Mapping[Key, float], metric: Metric = SOLVED, task: str = "maze"
) -> dict[str, ScoreTable]:
    """Tables of the scores of the final videos, by variant."""
    tables: dict[str, list[Scored]] = {}
    for entry in store.runs():
        if entry.key in finals:
            row = Scored(
                entry.sample, entry.seed, entry.finished, entry.size, {metric.name: finals[entry.key]}
            )
            tables.setdefault(entry.variant, []).append(row)
    return {
        variant: ScoreTable(task, variant, (metric,), (metric.name,), (), tuple(rows))
        for variant, rows in tables.items()
    }


def random_estimates(keys: Sequence[Key], seed: int = 0) -> dict[Key, Latents]:
    """Independent ones: (step, channel, frame, row, col)."""
    rng = np.random.default_rng(seed)
    return {key: rng.standard_normal((len(SIGMAS) - 1, 2, 3, 4, 4)).astype(np.float32) for key in keys}
