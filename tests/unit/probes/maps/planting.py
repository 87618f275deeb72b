"""Stores whose activations are given, for the tests of maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores import Store, StoreSettings, create_store
from stores.reduction import parse_reduction

GRID = (3, 4, 5)
CHANNELS = 16
STEPS = (0, 2, 5)
LAYERS = (0, 3, 7)
RUNS = (("a", 0), ("a", 1), ("b", 0))
SHAPE = (*GRID, CHANNELS)

Float32 = NDArray[np.float32]
Content = Callable[[str, int, int, int], Float32]
"""What a (sample, seed, step, layer) holds: (frame, row, col, channel)."""

_FLAT = np.array([1, 7, 22, 40, 41, 59])
PLACES = np.stack(np.unravel_index(_FLAT, GRID), axis=1).astype(np.int64)


def noise(sample: str, seed: int, step: int, layer: int) -> Float32:
    """Numbers that differ everywhere; layers differ in size, channels in spread."""
    rng = np.random.default_rng(list(f"{sample} {seed} {step} {layer}".encode()))
    spread = np.linspace(3.0, 0.5, CHANNELS)
    return ((1 + layer) * (rng.normal(size=SHAPE) * spread + np.arange(CHANNELS) / 4)).astype(np.float32)


def projection(components: int) -> Float32:
    rng = np.random.default_rng(components)
    return (rng.normal(size=(CHANNELS, components)) / np.sqrt(components)).astype(np.float32)


def reduced(full: Float32, reduction: str, places: NDArray[np.int64] = PLACES) -> Float32:
    """By definition, what a reduction keeps of (frame, row, col, channel)."""
    values = full.astype(np.float64)
    for part in parse_reduction(reduction).parts:
        if part.name == "frames":
            values = values.mean(axis=(1, 2))
        elif part.name == "mean":
            values = values.mean(axis=(0, 1, 2))
        elif part.name == "tokens":
            values = values[tuple(places.T)]
        elif part.name == "norm":
            values = np.sqrt((values**2).sum(axis=-1))
        else:
            values = values @ projection(part.count).astype(np.float64)
    return values.astype(np.float32)


def plant(
    folder: Path,
    content: Content = noise,
    runs: Sequence[tuple[str, int]] = RUNS,
    reductions: Sequence[str] = ("full",),
    layers: Sequence[int] = LAYERS,
    variant: str = "base",
    places: NDArray[np.int64] = PLACES,
) -> Store:
    """A store of these activations, in fp32; runs of a variant are added to a store that is there."""
    capture: dict[str, Any] = {
        "sites": ["resid"],
        "layers": list(layers),
        "steps": list(STEPS),
        "dtype": "fp32",
    }
    store = create_store(folder, StoreSettings({"name": "planted"}, capture), exist_ok=True)
    for sample, seed in runs:
        with store.writer(sample, seed, variant) as writer:
            writer.set_attrs({"prediction_type": "flow"})
            writer.set_schedule(np.linspace(1000, 100, 6), np.linspace(1, 0, 7))
            for reduction in reductions:
                parsed = parse_reduction(reduction)
                writer.add_site(
                    "resid",
                    layers,
                    STEPS,
                    ("cond",),
                    GRID,
                    CHANNELS,
                    reduction,
                    "fp32",
                    token_places=places if parsed.tokens else None,
                    projection=projection(parsed.components) if parsed.components else None,
                    projection_seed=0 if parsed.components else None,
                )
                for step, layer in product(STEPS, layers):
                    values = reduced(content(sample, seed, step, layer), reduction, places)
                    writer.write("resid", step, layer, "cond", values, reduction)
            writer.finish()
    return store
