"""Whole runs of several sites, each under another reduction and of other layers, with known contents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores import Store, StoreSettings, create_store
from stores.dtypes import memory_type
from stores.layout import site_key
from stores.reduction import parse_reduction
from stores.slabs.layout import SlabLayout
from tests.unit.stores.making import SIGMA, latent, widen

GRID = (4, 3, 2)
CHANNELS = 6
STEPS = (0, 2)
BRANCHES = ("cond", "uncond")
NUM_STEPS = 3


# Sample, seed, step, layer, branch.
Place = tuple[str, int, int, int, str]


@dataclass(frozen=True)
class StoredSite:
    name: str
    reduction: str
    layers: tuple[int, ...]

    @property
    def key(self) -> str:
        return site_key(self.name, self.reduction)

    @property
    def axes(self) -> tuple[str, ...]:
        return parse_reduction(self.reduction).axes

    def places(self) -> Iterator[tuple[int, int, str]]:
        return product(STEPS, self.layers, BRANCHES)

    @property
    def shape(self) -> tuple[int, ...]:
        return parse_reduction(self.reduction).shape(GRID, CHANNELS)


SITES = (
    StoredSite("resid", "full", (0, 1, 5)),
    StoredSite("resid", "norm", (0, 1, 5)),
    StoredSite("mlp", "tokens:5", (1, 5)),
    StoredSite("mlp.raw", "frames", (1, 5)),
    StoredSite("self_attn", "project:2", (1, 5)),
)
KEYS = tuple(site.key for site in SITES)
PLACES = np.stack(np.unravel_index([3, 7, 8, 20, 23], GRID), axis=1)
PROJECTION = np.random.default_rng(9).normal(size=(CHANNELS, 2)).astype(np.float32)


def make_store(
    path: Path, runs: Iterable[tuple[str, int]] = (), dtype: str = "bf16", compression: str = "none"
) -> Store:
    capture = {"dtype": dtype, "compression": compression, "sites": [site.name for site in SITES]}
    store = create_store(
        path, StoreSettings({"name": "tiny"}, capture, {"scheduler": {"low": -float("inf")}})
    )
    for sample, seed in runs:
        write_run(store, sample, seed)
    return store


def stored(
    where: tuple[object, ...], site: StoredSite, dtype: str
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """What `write_run` stores at one place, and the factors of its chunks if it is of fp8."""
    random = np.random.default_rng(list(f"{where} {site.key}".encode()))
    if dtype == "fp8":
        groups = SlabLayout(site.shape, dtype).groups
        codes = random.integers(0, 0x78, size=site.shape, dtype=np.uint8)
        signs = random.integers(0, 2, size=site.shape, dtype=np.uint8) << 7
        return codes | signs, random.uniform(0.1, 2, size=groups).astype(np.float32)
    values = random.normal(size=site.shape).astype(np.float32)
    if dtype == "bf16":
        return (values.view(np.uint32) >> 16).astype(np.uint16), None
    return values.astype(memory_type(dtype)), None


def numbers(where: Place, site: StoredSite, dtype: str) -> NDArray[np.float32]:
    """The same as numbers, by the definition of the dtype."""
    bits, factors = stored(where, site, dtype)
    if dtype == "bf16":
        return widen(bits)
    if factors is not None:
        return (e4m3(bits).reshape(len(factors), -1) * factors[:, None]).reshape(site.shape)
    return bits.astype(np.float32)


def e4m3(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    exponent, mantissa = (codes.astype(np.int64) >> 3) & 15, codes & 7
    values = np.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * np.exp2(exponent - 7.0))
    return np.where(codes >> 7, -values, values).astype(np.float32)


def write_run(store: Store, sample: str, seed: int, variant: str = "base", video: bool = True) -> None:
    capture = store.settings.capture
    with store.writer(sample, seed, variant) as writer:
        writer.set_attrs({"prediction_type": "flow", "batch_seeds": [seed], "low": -float("inf")})
        writer.set_schedule(1000 * SIGMA[:-1], SIGMA, [0, 0, 1])
        writer.set_condition("Go to the red goal.", np.full((8, 9, 3), 7, np.uint8))
        writer.set_truth({"path": np.arange(6).reshape(2, 3), "goal": "red", "rooms": 7, "odd": True})
        if video:
            writer.set_video(np.full((5, 8, 9, 3), seed % 256, np.uint8))
        writer.set_pinned(latent(seed, 0, 2), np.array([True, False, False]))
        for site in SITES:
            writer.add_site(
                site.name,
                site.layers,
                STEPS,
                BRANCHES,
                GRID,
                CHANNELS,
                reduction=site.reduction,
                token_places=PLACES if site.reduction.startswith("tokens") else None,
                projection=PROJECTION if site.reduction.startswith("project") else None,
                projection_seed=3 if site.reduction.startswith("project") else None,
            )
            for step in STEPS:
                for layer in site.layers:
                    for branch in BRANCHES:
                        bits, factors = stored((sample, seed, step, layer, branch), site, capture["dtype"])
                        writer.write(site.name, step, layer, branch, bits, site.reduction, factors)
        for index in range(NUM_STEPS + 1):
            writer.write_noisy(index, latent(seed, index))
        for step in range(NUM_STEPS):
            writer.write_prediction(step, latent(seed, step, 1))
        writer.finish()
