"""What a trace keeps: reductions, fp8 and compression, against the full activations of the same run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosinterp.models.loading import load
from cosinterp.models.model import Model
from cosinterp.tracing import trace
from stores import Run, Store
from stores.tools.diff import diff_stores
from tests.reductions import reduced
from tests.tiny import sample_for

KIND = "wan2.2-t2v-a14b"
NUM_STEPS = 3
REDUCTIONS = ["full", "frames", "mean", "norm", "tokens:5", "project:8", "frames+project:8", "tokens:5+norm"]
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture
def model(request: pytest.FixtureRequest, tiny_folder: Callable[[str], Path]) -> Model:
    """A tiny model with two experts, in float32 on the device that the test names."""
    return load(tiny_folder(KIND), device=request.param, dtype="fp32")


def traced(model: Model, path: Path, **choices: Any) -> Store:
    settings: dict[str, Any] = {"seeds": "0", "num_steps": NUM_STEPS, "save_video": False, **choices}
    return trace(model, sample_for(KIND), store=path, **settings)


def expected(run: Run, reduction: str, full: np.ndarray) -> np.ndarray:
    """The reduction of (frame, row, col, channel), in float64, by what the run says of itself."""
    places = run.token_places("resid", reduction) if "tokens" in reduction else None
    projection = run.projection("resid", reduction) if "project" in reduction else None
    return reduced(reduction, full, places, projection)


@pytest.mark.parametrize("model", DEVICES, indirect=True)
def test_several_reductions_of_a_site_are_those_of_its_full_activations(model: Model, tmp_path: Path) -> None:
    reduce = {"resid": REDUCTIONS, "mlp": "norm"}
    store = traced(model, tmp_path / "store", sites="resid,mlp,self_attn", reduce=reduce)
    compared = 0
    with store.run("sample-0", 0) as run:
        assert set(run.sites) == {
            "resid",
            *(f"resid@{text}" for text in REDUCTIONS[1:]),
            "mlp@norm",
            "self_attn",
        }
        for step in range(NUM_STEPS):
            for layer in model.layers:
                for branch in ("cond", "uncond"):
                    full = run.read("resid", step, layer, branch, reduction="full")
                    for reduction in REDUCTIONS:
                        kept = run.read("resid", step, layer, branch, reduction=reduction)
                        want = expected(run, reduction, full)
                        assert kept.shape == want.shape
                        np.testing.assert_allclose(kept, want, rtol=1e-5, atol=1e-5)
                        compared += 1
    assert compared == NUM_STEPS * 4 * 2 * len(REDUCTIONS)
    assert store.verify() == []


@pytest.mark.parametrize("model", DEVICES, indirect=True)
def test_the_random_choices_are_those_of_the_seed(model: Model, tmp_path: Path) -> None:
    choices: dict[str, Any] = {"reduce": ["tokens:5", "project:8"], "save_steps": "0", "layers": "1"}
    found = []
    for name, seeds, reduce_seed in (("a", "0-1", 3), ("b", "7", 3), ("c", "7", 4)):
        store = traced(model, tmp_path / name, seeds=seeds, reduce_seed=reduce_seed, **choices)
        for entry in store.runs():
            with store.run(*entry.key) as run:
                found.append((run.token_places("resid", "tokens:5"), run.projection("resid", "project:8")))
    for places, projection in found[1:3]:
        assert np.array_equal(places, found[0][0])
        assert np.array_equal(projection, found[0][1])
    assert not np.array_equal(found[3][0], found[0][0])
    assert not np.array_equal(found[3][1], found[0][1])


@pytest.mark.parametrize("model", DEVICES, indirect=True)
def test_fp8_is_as_near_as_its_bits_allow(model: Model, tmp_path: Path) -> None:
    exact = traced(model, tmp_path / "exact", sites="all")
    coarse = traced(model, tmp_path / "coarse", sites="all", dtype="fp8", reduce={"resid": ["full", "norm"]})
    with exact.run("sample-0", 0) as one, coarse.run("sample-0", 0) as other:
        for site in model.sites:
            layer = 2
            for step in range(NUM_STEPS):
                x = one.read(site, step, layer)
                q = other.read(site, step, layer, reduction="full")
                # Half of the last of three bits, or, below the smallest exponent, of the smallest step.
                smallest = np.abs(x).max() / 240 * 2.0**-9
                assert np.all(np.abs(q - x) <= np.maximum(np.abs(x) * 2.0**-4, smallest / 2) * (1 + 1e-5))
                assert not np.array_equal(q, x)
    assert coarse.verify() == []


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize("dtype", ["bf16", "fp8"])
@pytest.mark.parametrize("model", DEVICES, indirect=True)
def test_compression_keeps_every_bit(model: Model, dtype: str, compression: str, tmp_path: Path) -> None:
    choices: dict[str, Any] = {"dtype": dtype, "reduce": ["full", "mean"], "save_steps": "0,2", "writers": 3}
    plain = traced(model, tmp_path / "plain", **choices)
    small = traced(model, tmp_path / "small", compression=compression, **choices)
    with plain.run("sample-0", 0) as one, small.run("sample-0", 0) as other:
        for key, info in other.sites.items():
            assert info.compression == compression
            for step in info.steps:
                for layer in info.layers:
                    for reduction in ("full", "mean"):
                        a, b = (run.read("resid", step, layer, reduction=reduction) for run in (one, other))
                        assert np.array_equal(a, b), key
    assert small.verify() == []


@pytest.mark.parametrize("model", DEVICES, indirect=True)
def test_a_resumed_batch_is_that_of_an_uninterrupted_trace(model: Model, tmp_path: Path) -> None:
    choices: dict[str, Any] = {"seeds": "0-4", "batch": 3, "reduce": ["full", "project:8"], "save_steps": "0"}
    whole = traced(model, tmp_path / "whole", **choices)
    broken = traced(model, tmp_path / "broken", **choices)
    for seed in (0, 2, 4):
        (broken.path / f"runs/sample-0/{seed}.h5").unlink()
    resumed = traced(model, tmp_path / "broken", resume=True, **choices)
    assert [entry.seed for entry in resumed.runs()] == [0, 1, 2, 3, 4]
    assert diff_stores(whole, resumed).equal
    assert resumed.verify() == []
