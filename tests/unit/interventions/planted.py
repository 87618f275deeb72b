"""Stores of activations made by hand: of runs that show something, and of runs that do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores import Store, StoreSettings, create_store

GRID = (2, 3, 4)
CHANNELS = 5
STEPS, LAYERS, BRANCHES = (0, 1, 3), (0, 2), ("cond", "uncond")
SIGMA = np.array([1.0, 0.75, 0.5, 0.25, 0.0])
SEEDS = (0, 1)
PAIRS = 3
GROUPS = ("red", "blue")


def vector(step: int, layer: int, branch: str = "cond") -> NDArray[np.float32]:
    """What red runs have more than blue ones."""
    return np.random.default_rng([7, step, layer, len(branch)]).normal(size=CHANNELS).astype(np.float32)


def path_of(maze: int, seed: int) -> NDArray[np.uint8]:
    """The tokens at which they have it: others in each run, and another number of them."""
    path = np.zeros(GRID, np.uint8)
    path.reshape(-1)[maze : 2 * maze + seed + 3] = 1
    return path


def tokens(maze: int, seed: int, group: str, step: int, layer: int, branch: str) -> NDArray[np.float32]:
    """Noise, the same in both groups, and the planted vector on the path of red runs."""
    rng = np.random.default_rng([maze, seed, step, layer, len(branch)])
    values = rng.normal(size=(*GRID, CHANNELS)).astype(np.float32)
    if group == "red":
        values[path_of(maze, seed) == 1] += vector(step, layer, branch)
    return values


def planted_store(
    path: Path,
    *,
    reduction: str = "full",
    layers: dict[str, tuple[int, ...]] | None = None,
    broken: tuple[str, int] | None = None,
) -> Store:
    """Samples red-0, blue-0, ... of two seeds each.

    ``layers``: those of samples that have others than the rest. ``broken``: a run with a NaN.
    """
    capture: dict[str, Any] = {
        "sites": ["resid"],
        "layers": LAYERS,
        "steps": STEPS,
        "branches": BRANCHES,
        "dtype": "fp32",
    }
    store = create_store(path, StoreSettings({"name": "tiny"}, capture, {"num_steps": len(SIGMA) - 1}))
    for maze in range(PAIRS):
        for group in GROUPS:
            for seed in SEEDS:
                name = f"{group}-{maze}"
                own = (layers or {}).get(name, LAYERS)
                write_run(store, group, maze, seed, reduction, own, is_broken=broken == (name, seed))
    return store


def write_run(
    store: Store,
    group: str,
    maze: int,
    seed: int,
    reduction: str,
    layers: tuple[int, ...],
    is_broken: bool = False,
) -> None:
    with store.writer(f"{group}-{maze}", seed) as writer:
        writer.set_attrs({"prediction_type": "flow"})
        writer.set_schedule(1000 * SIGMA[:-1], SIGMA, [0] * (len(SIGMA) - 1))
        writer.set_truth({"path": path_of(maze, seed)})
        writer.add_site("resid", layers, STEPS, BRANCHES, GRID, CHANNELS, reduction=reduction)
        for step in STEPS:
            for layer in layers:
                for branch in BRANCHES:
                    full = tokens(maze, seed, group, step, layer, branch)
                    if is_broken:
                        full[0, 1, 2, 3] = np.nan
                    kept = full.mean(axis=(0, 1, 2)) if reduction == "mean" else full
                    writer.write("resid", step, layer, branch, kept, reduction)
        writer.finish()
