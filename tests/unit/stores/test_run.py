"""A run as it is read, against what was written, and against plain h5py."""

from __future__ import annotations

import itertools
from pathlib import Path

import h5py
import numpy as np
import pytest

from stores import SelectionError, Store, StoreError, create_store, layout
from tests.unit.stores.making import (
    BRANCHES,
    CHANNELS,
    GRID,
    LAYERS,
    NUM_STEPS,
    SIGMA,
    STEPS,
    bits,
    latent,
    make_store,
    settings,
    widen,
    write_run,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("store") / "s", [("maze-3", 7), ("maze-3", 8), ("maze-4", 7)])


def test_every_slab_is_what_was_written(store: Store) -> None:
    with store.run("maze-3", 7) as run:
        for step, layer, branch in itertools.product(STEPS, LAYERS, BRANCHES):
            written = bits("maze-3", 7, step, layer, branch)
            assert np.array_equal(run.read("resid", step, layer, branch, raw=True), written)
            values = run.read("resid", step, layer, branch)
            assert values.dtype == np.float32
            assert np.array_equal(values, widen(written))


def test_plain_h5py_finds_a_slab_by_step_layer_and_branch(store: Store) -> None:
    with h5py.File(store.path / "runs/maze-3/7.h5") as file:
        resid = file["activations/resid"]
        assert [dim.label for dim in resid.dims] == [*layout.INDEX_AXES, "frame", "row", "col", "channel"]
        steps, layers = (resid.dims[axis][name][()].tolist() for axis, name in ((0, "step"), (1, "layer")))
        branches = [name.decode() for name in resid.dims[2]["branch"][()]]
        assert (tuple(steps), tuple(layers), tuple(branches)) == (STEPS, LAYERS, BRANCHES)
        values = resid[steps.index(2), layers.index(20), branches.index("uncond")]
    assert np.array_equal(values, widen(bits("maze-3", 7, 2, 20, "uncond")))


@pytest.mark.parametrize("dtype", ["fp16", "fp32"])
def test_other_dtypes(tmp_path: Path, dtype: str) -> None:
    store = make_store(tmp_path / "s", [("a", 0)], dtype)
    written = bits("a", 0, 2, 10, "cond", dtype)
    raw = store.read("resid", 2, 10, "a", 0, raw=True)
    assert raw.dtype == written.dtype
    assert np.array_equal(raw, written)
    assert np.array_equal(store.read("resid", 2, 10, "a", 0), written.astype(np.float32))


def test_a_site_says_what_is_stored(store: Store) -> None:
    with store.run("maze-3", 7) as run:
        info = run.sites["resid"]
    assert (info.layers, info.steps, info.branches) == (LAYERS, STEPS, BRANCHES)
    assert (info.grid, info.channels, info.dtype) == (GRID, CHANNELS, "bf16")
    assert info.slab_bytes == 3 * 4 * 5 * 6 * 2


def test_the_branch_is_cond_if_none_is_named(store: Store) -> None:
    assert np.array_equal(store.read("resid", 0, 10, "maze-3", 7), widen(bits("maze-3", 7, 0, 10, "cond")))


def test_negative_numbers_count_from_the_last_that_is_stored(store: Store) -> None:
    with store.run("maze-3", 7) as run:
        assert np.array_equal(run.read("resid", -1, -2), run.read("resid", 2, 10))


def test_schedule_and_attributes(store: Store) -> None:
    with store.run("maze-4", 7) as run:
        assert run.num_steps == NUM_STEPS
        assert np.array_equal(run.schedule.timestep, 1000 * SIGMA[:-1])
        assert np.array_equal(run.schedule.sigma, SIGMA)
        assert run.schedule.expert.tolist() == [0, 0, 1]
        assert run.attrs["scheduler"] == {"shift": 3.0, "low": -float("inf")}
        assert (run.attrs["sample"], run.attrs["seed"], run.attrs["variant"]) == ("maze-4", 7, "base")
        assert (run.attrs["format"], run.attrs["version"]) == ("cosinterp-run", 2)


def test_condition_truth_and_video(store: Store) -> None:
    with store.run("maze-3", 7) as run:
        assert run.prompt == "Go to the red goal."
        assert run.condition["negative"] == "dull"
        assert run.image is not None
        assert run.image.shape == (8, 9, 3)
        assert (run.image == 7).all()
        assert run.video is not None
        assert run.video.dtype == np.uint8
        assert run.video.shape == (5, 8, 9, 3)
        assert (run.video == 7).all()
        truth = run.truth
    assert truth.pop("path").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert truth == {"goal": "red", "rooms": 7, "odd": True}
    assert type(truth["odd"]) is bool


def test_latents_and_the_clean_estimate(store: Store) -> None:
    with store.run("maze-3", 8) as run:
        for index in range(NUM_STEPS + 1):
            assert np.array_equal(run.noisy(index), latent(8, index))
        for step in range(NUM_STEPS):
            assert np.array_equal(run.prediction(step), latent(8, step, 1))
            expected = latent(8, step) - np.float32(SIGMA[step]) * latent(8, step, 1)
            estimate = run.clean_estimate(step)
            assert estimate.dtype == np.float32
            assert np.array_equal(estimate, expected)
        assert np.array_equal(run.clean_estimate(-1), run.clean_estimate(NUM_STEPS - 1))


def test_pinned_frames_of_the_clean_estimate_are_the_condition(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s", settings(sites=[]))
    condition, mask = latent(0, 9), np.array([True, False, False])
    with store.writer("a", 0) as writer:
        writer.set_attrs({"prediction_type": "flow"})
        writer.set_schedule([1000], [1.0, 0.0])
        writer.set_pinned(condition, mask)
        for index in range(2):
            writer.write_noisy(index, latent(0, index))
        writer.write_prediction(0, latent(0, 0, 1))
        writer.finish()
    with store.run("a", 0) as run:
        estimate = run.clean_estimate(0)
    assert np.array_equal(estimate[:, 0], condition[:, 0])
    assert np.array_equal(estimate[:, 1:], (latent(0, 0) - latent(0, 0, 1))[:, 1:])


def test_a_large_slab_is_divided_by_frames_into_chunks_of_at_most_16_mb(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s", settings())
    grid, channels = (6, 60, 104), 640
    tokens = np.random.default_rng(0).integers(0, 2**15, (*grid, channels), dtype=np.uint16)
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000], [1.0, 0.0])
        writer.add_site("resid", [4], [0], ["cond"], grid, channels)
        writer.write("resid", 0, 4, "cond", tokens)
        writer.finish()
    assert np.array_equal(store.read("resid", 0, 4, "a", 0, raw=True), tokens)
    with h5py.File(store.path / "runs/a/0.h5") as file:
        assert file["activations/resid"].chunks == (1, 1, 1, 2, 60, 104, 640)
        assert file["checksums/activations/resid"].shape == (1, 1, 1, 3, 244)


@pytest.mark.parametrize(
    ("length", "item", "expected"),
    [(21, 335 * 10**6 // 21, 1), (7, 10**5, 7), (13, 2 * 10**6, 1), (12, 3 * 10**6, 4), (3, 10**9, 1)],
)
def test_chunks_are_never_padded(length: int, item: int, expected: int) -> None:
    assert layout.chunk_length(length, item) == expected


def test_what_is_not_stored_is_named(store: Store) -> None:
    with store.run("maze-3", 7) as run:
        with pytest.raises(
            SelectionError, match=r"there is no layer 7; site resid of this run has layers 0,10,20"
        ):
            run.read("resid", 0, 7)
        with pytest.raises(SelectionError, match="there is no step 1; site resid of this run has steps 0,2"):
            run.read("resid", 1, 0)
        with pytest.raises(StoreError, match=r"branch 'both': site resid of this run has cond, uncond"):
            run.read("resid", 0, 0, "both")
        with pytest.raises(StoreError, match=r"site 'mlp': .* has resid"):
            run.read("mlp", 0, 0)
        with pytest.raises(SelectionError, match="there is no step 4; this run has steps 0-3"):
            run.noisy(4)
        with pytest.raises(SelectionError, match="there is no step 3; this run has steps 0-2"):
            run.clean_estimate(3)


def test_a_run_without_latents_says_so(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s", settings())
    with store.writer("a", 0, "patched") as writer:
        writer.set_schedule([1000], [1.0, 0.0])
        writer.finish()
    with store.run("a", 0, "patched") as run:
        assert not run.has_latents
        assert (run.prompt, run.image, run.video, run.truth, run.sites) == ("", None, None, {}, {})
        with pytest.raises(StoreError, match="stored without its latents"):
            run.noisy(0)
        with pytest.raises(StoreError, match="stored without its latents"):
            run.clean_estimate(0)


def test_the_factors_of_the_schedule_make_the_clean_estimate(tmp_path: Path) -> None:
    """Of a run that predicts noise, say: x̂0 = x_t / alpha - sigma / alpha epsilon."""
    clean = np.array([[1.25, -0.75], [1.0625, -0.25]])
    noisy, prediction = np.random.default_rng(0).normal(size=(2, 3, 2, 3, 4, 4)).astype(np.float32)
    store = create_store(tmp_path / "s", settings())
    with store.writer("a", 0) as writer:
        writer.set_attrs({"prediction_type": "epsilon"})
        writer.set_schedule([900, 100], [0.6, 0.2, 0.0], clean=clean)
        for index in range(3):
            writer.write_noisy(index, noisy[index])
        for step in range(2):
            writer.write_prediction(step, prediction[step])
        writer.finish()
    with store.run("a", 0) as run:
        assert np.array_equal(run.schedule.clean, clean)
        for step, (own, predicted) in enumerate(clean.astype(np.float32)):
            expected = own * noisy[step] + predicted * prediction[step]
            np.testing.assert_array_equal(run.clean_estimate(step), expected)


def test_texts_of_any_kind_come_back(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s", settings())
    values = {"long": "x" * 100_000, "odd": 'naïve — 迷路\n\t"', "nul": "a\0b", "huge": 2**80, "none": None}
    with store.writer("a", 0) as writer:
        writer.set_attrs(values)
        writer.set_schedule([1000], [1.0, 0.0])
        writer.set_condition("赤いゴールへ\n行け", None)
        writer.set_truth({"names": ["rouge", "bleu", ""], "empty": np.zeros((0, 2))})
        writer.finish()
    with store.run("a", 0) as run:
        assert {name: run.attrs[name] for name in values} == values
        assert run.prompt == "赤いゴールへ\n行け"
        assert run.truth["names"].tolist() == ["rouge", "bleu", ""]
        assert run.truth["empty"].shape == (0, 2)


def test_two_variants_of_one_seed_are_two_runs(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", [("a", 0)])
    write_run(store, "a", 0, "patched")
    assert [entry.file for entry in store.runs("a", 0)] == ["runs/a/0.h5", "runs/a/0.patched.h5"]
    with store.run("a", 0, "patched") as run:
        assert run.variant == "patched"


def test_how_a_slab_is_read_is_said_by_name(store: Store) -> None:
    with store.run("maze-3", store.runs("maze-3")[0].seed) as run:
        assert run.read("resid", 0, 0, "cond", reduction="full", raw=True).dtype == np.uint16
        with pytest.raises(TypeError, match="positional"):
            run.read("resid", 0, 0, "cond", "full", True)  # type: ignore[misc]
