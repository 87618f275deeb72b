"""Small stores with known contents, for the tests of stores."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores import RunEntry, Store, StoreSettings, create_store
from stores.dtypes import memory_type

GRID = (3, 4, 5)
CHANNELS = 6
STEPS = (0, 2)
LAYERS = (0, 10, 20)
BRANCHES = ("cond", "uncond")
NUM_STEPS = 3
LATENT = (2, *GRID)
SIGMA = np.array([1.0, 0.75, 0.25, 0.0])


def settings(**capture: Any) -> StoreSettings:
    known = {"sites": ["resid"], "layers": LAYERS, "steps": STEPS, "branches": BRANCHES, "dtype": "bf16"}
    return StoreSettings({"name": "tiny"}, known | capture, {"num_steps": NUM_STEPS})


def make_store(path: Path, runs: Iterable[tuple[str, int]] = (), dtype: str = "bf16") -> Store:
    store = create_store(path, settings(dtype=dtype))
    for sample, seed in runs:
        write_run(store, sample, seed)
    return store


def bits(sample: str, seed: int, step: int, layer: int, branch: str, dtype: str = "bf16") -> NDArray[Any]:
    """The activations that `write_run` writes there, as they are stored; all of them differ."""
    label = f"{sample} {seed} {step} {layer} {branch}"
    values = np.random.default_rng(list(label.encode())).normal(size=(*GRID, CHANNELS)).astype(np.float32)
    if dtype == "bf16":
        return (values.view(np.uint32) >> 16).astype(np.uint16)
    return values.astype(memory_type(dtype))


def latent(seed: int, index: int, kind: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng([seed, index, kind]).normal(size=LATENT).astype(np.float32)


def write_run(store: Store, sample: str, seed: int, variant: str = "base") -> RunEntry:
    dtype = store.settings.capture["dtype"]
    with store.writer(sample, seed, variant) as writer:
        writer.set_attrs({"prediction_type": "flow", "scheduler": {"shift": 3.0, "low": -float("inf")}})
        writer.set_schedule(1000 * SIGMA[:-1], SIGMA, [0, 0, 1])
        writer.set_condition("Go to the red goal.", np.full((8, 9, 3), seed % 256, np.uint8), negative="dull")
        writer.set_truth({"path": np.arange(6).reshape(2, 3), "goal": "red", "rooms": 7, "odd": True})
        writer.set_video(np.full((5, 8, 9, 3), seed % 256, np.uint8))
        writer.add_site("resid", LAYERS, STEPS, BRANCHES, GRID, CHANNELS)
        for step in STEPS:
            for layer in LAYERS:
                for branch in BRANCHES:
                    writer.write("resid", step, layer, branch, bits(sample, seed, step, layer, branch, dtype))
        for index in range(NUM_STEPS + 1):
            writer.write_noisy(index, latent(seed, index))
        for step in range(NUM_STEPS):
            writer.write_prediction(step, latent(seed, step, 1))
        return writer.finish()


def keys(store: Store, **chosen: object) -> list[tuple[str, int]]:
    return [(entry.sample, entry.seed) for entry in store.runs(**chosen)]  # type: ignore[arg-type]


def widen(stored: NDArray[np.uint16]) -> NDArray[np.float32]:
    """bfloat16 by its definition, without any bit tricks: (-1)^s * 2^(e-127) * (1 + m/128)."""
    sign = np.where(stored >> 15, -1.0, 1.0)
    exponent = (stored >> 7 & 0xFF).astype(np.int64)
    mantissa = (stored & 0x7F).astype(np.float64)
    normal = sign * np.exp2(exponent - 127.0) * (1 + mantissa / 128)
    subnormal = sign * np.exp2(-126.0) * (mantissa / 128)
    values = np.where(exponent == 0, subnormal, normal)
    special = np.where(mantissa == 0, sign * np.inf, np.nan)
    with np.errstate(over="ignore"):
        return np.where(exponent == 255, special, values).astype(np.float32)
