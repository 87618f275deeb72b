"""Small stores whose representations are planted, and CKA and RSA straight from their formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stores import Store, StoreSettings, create_store

GRID = (2, 3, 4)
TOKENS = 24
CHANNELS = 6
Values = Callable[[str, int, int, int], NDArray[np.float64]]
"""(sample, seed, step, layer) to (token, channel)."""


def noise(sample: str, seed: int, step: int, layer: int) -> NDArray[np.float64]:
    """Unrelated everywhere."""
    label = f"{sample} {seed} {step} {layer}"
    return np.random.default_rng(list(label.encode())).normal(size=(TOKENS, CHANNELS))


def make_store(
    path: Path,
    values: Values = noise,
    samples: Iterable[str] = ("a", "b", "c", "d"),
    seeds: Iterable[int] = (0, 1),
    steps: tuple[int, ...] = (0, 1),
    layers: tuple[int, ...] = (0, 1, 2),
    variants: Iterable[str] = ("base",),
    grid: tuple[int, int, int] = GRID,
    num_steps: int = 2,
) -> Store:
    capture = {"sites": ["resid"], "layers": layers, "steps": steps, "branches": ["cond"], "dtype": "fp32"}
    store = create_store(path, StoreSettings({"name": "planted"}, capture, {"num_steps": num_steps}))
    for sample in samples:
        for seed in seeds:
            for variant in variants:
                add_run(store, sample, seed, values, steps, layers, variant, grid, num_steps)
    return store


def add_run(
    store: Store,
    sample: str,
    seed: int,
    values: Values = noise,
    steps: tuple[int, ...] = (0, 1),
    layers: tuple[int, ...] = (0, 1, 2),
    variant: str = "base",
    grid: tuple[int, int, int] = GRID,
    num_steps: int = 2,
) -> None:
    sigma = np.linspace(1, 0, num_steps + 1)
    with store.writer(sample, seed, variant) as writer:
        writer.set_attrs({"prediction_type": "flow"})
        writer.set_schedule(1000 * sigma[:-1], sigma)
        channels = values(sample, seed, steps[0], layers[0]).shape[1]
        writer.add_site("resid", layers, steps, ("cond",), grid, channels)
        for step in steps:
            for layer in layers:
                tokens = values(sample, seed, step, layer).astype(np.float32)
                writer.write("resid", step, layer, "cond", tokens.reshape(*grid, channels))
        writer.finish()


def unbiased_hsic(k: NDArray[np.float64], m: NDArray[np.float64]) -> float:
    """Song et al. 2012, equation 5, term by term over Gram matrices, by explicit sums."""
    n = len(k)
    trace = all_k = all_m = mixed = 0.0
    for i in range(n):
        others = np.arange(n) != i
        row_k, row_m = sum(k[i, others].tolist()), sum(m[i, others].tolist())
        trace += sum((k[i, others] * m[others, i]).tolist())
        all_k += row_k
        all_m += row_m
        mixed += row_k * row_m
    return (trace + all_k * all_m / ((n - 1) * (n - 2)) - 2 * mixed / (n - 2)) / (n * (n - 3))


def biased_hsic(k: NDArray[np.float64], m: NDArray[np.float64]) -> float:
    n = len(k)
    h = np.eye(n) - np.ones((n, n)) / n
    return float(np.trace(k @ h @ m @ h)) / (n - 1) ** 2


def cka(x: NDArray[np.floating], y: NDArray[np.floating], hsic=unbiased_hsic) -> float:
    k, m = (rows.astype(np.float64) @ rows.astype(np.float64).T for rows in (x, y))
    return hsic(k, m) / np.sqrt(hsic(k, k) * hsic(m, m))


def rsa(x: NDArray[np.floating], y: NDArray[np.floating], distance: str, agreement: str) -> float:
    both = []
    for rows in (x, y):
        found = []
        for i, j in combinations(range(len(rows)), 2):
            a, b = rows[i].astype(np.float64), rows[j].astype(np.float64)
            if distance == "euclidean":
                found.append(float(np.sqrt(sum((a - b) ** 2))))
            else:
                found.append(1 - float(np.corrcoef(a, b)[0, 1]))
        both.append(np.array(found))
    if agreement == "spearman":
        # The mean rank of those that are equal: 1 + how many are less + half of how many others are equal.
        both = [
            np.array([1 + sum(v < w for v in values) + (sum(v == w for v in values) - 1) / 2 for w in values])
            for values in both
        ]
    if agreement == "cosine":
        return float(both[0] @ both[1] / np.sqrt((both[0] @ both[0]) * (both[1] @ both[1])))
    return float(np.corrcoef(both[0], both[1])[0, 1])
