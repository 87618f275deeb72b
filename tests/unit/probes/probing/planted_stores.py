"""Stores whose activations carry a label at known (step, layer) and nothing but noise elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores import Store, StoreSettings, create_store

GRID = (2, 4, 4)
CHANNELS = 6
STEPS = (0, 1, 2)
LAYERS = (0, 1, 2)
CELLS = ((1, 1), (2, 2))
"""Where the labels lie, as (step, layer)."""


def labels_of(sample: int) -> NDArray[np.uint8]:
    """(row, col) labels of a sample: different places in every sample."""
    return np.random.default_rng([7, sample]).permutation(np.arange(16) < 6).reshape(4, 4).astype(np.uint8)


def plant(
    folder: Path,
    *,
    samples: int = 12,
    seeds: int | Callable[[int], Sequence[int]] = 2,
    cells: Collection[tuple[int, int]] = CELLS,
    strength: float = 3.0,
    damage: tuple[str, int, int, int] | None = None,
    truths: bool = True,
    grid: tuple[int, int, int] = GRID,
    noise: int = 0,
) -> Store:
    """A store of ``sample-NN`` with seeds 0, 1, ...: a truth ``mark`` (row, col) and a number ``size``.

    Args:
        seeds: how many, or which of each sample.
        cells: (step, layer) at which channel 0 holds the mark of a token, and channel 1 the
            size of the sample.
        strength: of both, in standard deviations of the noise.
        damage: a sample, seed, step and layer at which an activation is NaN.
        truths: whether the marks and sizes are in the store.
        noise: seed of all else.
    """
    settings = StoreSettings({"name": "planted"}, {"sites": ["resid"], "dtype": "fp32"}, {"num_steps": 3})
    store = create_store(folder, settings)
    for number in range(samples):
        for seed in range(seeds) if isinstance(seeds, int) else seeds(number):
            _write(store, number, seed, cells, strength, damage, truths, grid, noise)
    return store


def size_of(sample: int) -> float:
    """The number ``size`` of a sample."""
    return float(np.random.default_rng([3, sample]).normal())


def _write(
    store: Store,
    number: int,
    seed: int,
    cells: Collection[tuple[int, int]],
    strength: float,
    damage: tuple[str, int, int, int] | None,
    truths: bool,
    grid: tuple[int, int, int],
    noise: int,
) -> None:
    name = f"sample-{number:02}"
    mark = labels_of(number)
    random = np.random.default_rng([noise, number, seed])
    with store.writer(name, seed) as writer:
        writer.set_attrs({"prediction_type": "flow"})
        writer.set_schedule([1000, 600, 300], [1.0, 0.6, 0.3, 0.0])
        writer.set_condition("red" if number % 2 else "blue", np.full((8, 8, 3), 9 * number % 256, np.uint8))
        if truths:
            truth: dict[str, Any] = {"mark": mark, "size": size_of(number), "goal": "abcd"[number % 4]}
            writer.set_truth(truth)
        writer.add_site("resid", LAYERS, STEPS, ("cond",), grid, CHANNELS, dtype="fp32")
        for step in STEPS:
            for layer in LAYERS:
                tokens = random.normal(size=(*grid, CHANNELS)).astype(np.float32)
                if (step, layer) in cells:
                    tokens[..., 0] += strength * mark
                    tokens[..., 1] += strength * size_of(number)
                if damage == (name, seed, step, layer):
                    tokens[0, 1, 2, 3] = np.nan
                writer.write("resid", step, layer, "cond", tokens)
        for index in range(4):
            writer.write_noisy(index, random.normal(size=(2, *grid)).astype(np.float32))
        for step in STEPS:
            writer.write_prediction(step, random.normal(size=(2, *grid)).astype(np.float32))
        writer.finish()
