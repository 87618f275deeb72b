"""Runs of every kind that a store can hold: reductions, dtypes and compressions, with known contents."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stores import RunEntry, SlabLayout, Store, StoreSettings, create_store, layout
from stores.reduction import parse_reduction

# Large enough for chunks of several blocks.
GRID = (4, 13, 17)
CHANNELS = 40
STEPS = (0, 2)
LAYERS = (0, 10)
BRANCHES = ("cond",)
REDUCTIONS = ("full", "project:8", "tokens:5", "norm", "frames", "mean", "tokens:7+norm", "frames+project:4")
SEED = 11

# Every non-negative value that an fp8 code up to 240 stands for, by the definition of e4m3.
E4M3 = np.array(
    [m / 8 * 2.0**-6 if e == 0 else (1 + m / 8) * 2.0 ** (e - 7) for e in range(15) for m in range(8)]
)


@dataclass(frozen=True)
class Kind:
    """How the activations of a run are stored."""

    dtype: str = "bf16"
    compression: str = "none"
    reductions: tuple[str, ...] = ("full",)

    def __str__(self) -> str:
        return f"{self.dtype}-{self.compression}-{'-'.join(self.reductions)}"


@dataclass(frozen=True)
class Slab:
    """One (step, layer, branch) as it is stored, and the numbers that this stands for, in float32."""

    raw: NDArray[Any]
    factors: NDArray[np.float32] | None
    values: NDArray[np.float32]


def settings(kind: Kind) -> StoreSettings:
    capture = {
        "sites": ["resid"],
        "layers": LAYERS,
        "steps": STEPS,
        "branches": BRANCHES,
        "dtype": kind.dtype,
        "reductions": {"resid": kind.reductions},
        "reduction_seed": SEED,
        "compression": kind.compression,
    }
    return StoreSettings({"name": "tiny"}, capture, {"num_steps": 3})


def make_store(path: Path, kind: Kind, runs: tuple[tuple[str, int], ...] = (("a", 0),)) -> Store:
    store = create_store(path, settings(kind))
    for sample, seed in runs:
        write_run(store, sample, seed, kind)
    return store


def token_places(count: int) -> NDArray[np.int64]:
    flat = np.random.default_rng(SEED).choice(np.prod(GRID), count, replace=False)
    return np.stack(np.unravel_index(flat, GRID), axis=1).astype(np.int64)


def projection(components: int) -> NDArray[np.float32]:
    return np.random.default_rng(SEED).normal(size=(CHANNELS, components)).astype(np.float32)


def slab(sample: str, seed: int, step: int, layer: int, kind: Kind, reduction: str) -> Slab:
    """What `write_run` writes there; all of them differ, and most numbers in them do."""
    return _made_slab(sample, seed, step, layer, kind.dtype, reduction, layout.MAX_CHUNK)


@lru_cache(maxsize=256)
def _made_slab(
    sample: str, seed: int, step: int, layer: int, dtype: str, reduction: str, max_chunk: int
) -> Slab:
    """With ``max_chunk``, on which the factors of fp8 depend."""
    made = _make_slab(sample, seed, step, layer, dtype, reduction)
    for array in (made.raw, made.factors, made.values):
        if array is not None:
            array.flags.writeable = False
    return made


def _make_slab(sample: str, seed: int, step: int, layer: int, dtype: str, reduction: str) -> Slab:
    label = f"{sample} {seed} {step} {layer} {reduction}"
    shape = parse_reduction(reduction).shape(GRID, CHANNELS)
    values = np.random.default_rng(list(label.encode())).normal(size=shape).astype(np.float32)
    if dtype == "bf16":
        raw = (values.view(np.uint32) >> 16).astype(np.uint16)
        return Slab(raw, None, (raw.astype(np.uint32) << 16).view(np.float32))
    if dtype == "fp8":
        return encode_fp8(values)
    raw = values.astype({"fp16": np.float16, "fp32": np.float32}[dtype])
    return Slab(raw, None, raw.astype(np.float32))


def encode_fp8(values: NDArray[np.float32]) -> Slab:
    """Codes and factors by their definition: the nearest code, of a factor a chunk."""
    group = SlabLayout(values.shape, "fp8").group
    chunks = values.reshape(-1, group, *values.shape[1:])
    factors = np.abs(chunks).max(axis=tuple(range(1, chunks.ndim))) / np.float32(240)
    spread = np.repeat(factors, group).reshape(-1, *(1 for _ in values.shape[1:]))
    scaled = (values / spread).astype(np.float64)
    codes = np.searchsorted((E4M3[1:] + E4M3[:-1]) / 2, np.abs(scaled)).astype(np.uint8)
    decoded = np.where(scaled < 0, -E4M3[codes], E4M3[codes]).astype(np.float32) * spread
    return Slab(codes | np.where(scaled < 0, 0x80, 0).astype(np.uint8), factors, decoded)


def write_run(store: Store, sample: str, seed: int, kind: Kind, variant: str = "base") -> RunEntry:
    with store.writer(sample, seed, variant) as writer:
        writer.set_attrs({"prediction_type": "flow"})
        writer.set_schedule([1000, 500, 250], [1.0, 0.5, 0.25, 0.0])
        for text in kind.reductions:
            reduction = parse_reduction(text)
            writer.add_site(
                "resid",
                LAYERS,
                STEPS,
                BRANCHES,
                GRID,
                CHANNELS,
                text,
                kind.dtype,
                kind.compression,
                token_places(reduction.tokens) if reduction.tokens else None,
                projection(reduction.components) if reduction.components else None,
                SEED if reduction.components else None,
            )
            for step, layer in product(STEPS, LAYERS):
                made = slab(sample, seed, step, layer, kind, text)
                writer.write("resid", step, layer, "cond", made.raw, text, made.factors)
        return writer.finish()


def key(reduction: str) -> str:
    return layout.site_key("resid", reduction)
