"""A store exported as zarr is opened by xarray, labelled."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray

from stores import StoreError
from stores.export import Wanted, export_store, plan_export
from tests.unit.stores import making_sites
from tests.unit.stores.making import SIGMA, latent
from tests.unit.stores.making_sites import (
    BRANCHES,
    SITES,
    STEPS,
    make_store,
    write_run,
)
from tests.unit.stores.reading_exports import opened

RUNS = [("maze-3", 0), ("maze-3", 7), ("maze-4", 0)]
DTYPES = ("bf16", "fp16", "fp32", "fp8")


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize("dtype", DTYPES)
def test_xarray_reads_labelled_numbers(tmp_path: Path, dtype: str) -> None:
    store = make_store(tmp_path / "s", RUNS, dtype)
    export_store(store, tmp_path / "out.zarr")
    for site in SITES:
        array = opened(tmp_path / "out.zarr", site.key)[site.name]
        assert array.dims == ("sample", "seed", "step", "layer", "branch", *site.axes)
        assert array.dtype == np.float32
        for (sample, seed), (step, layer, branch) in itertools.product(RUNS, site.places()):
            found = array.sel(sample=sample, seed=seed, step=step, layer=layer, branch=branch)
            expected = making_sites.numbers((sample, seed, step, layer, branch), site, dtype)
            np.testing.assert_array_equal(found.values, expected)
        assert np.isnan(array.sel(sample="maze-4", seed=7)).all()


def test_zarr_has_the_rest_of_a_run(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS)
    export_store(store, tmp_path / "out.zarr")
    root = opened(tmp_path / "out.zarr")
    assert root.present.values.tolist() == [[True, True], [True, False]]
    assert (root.attrs["variant"], root.attrs["sampling"]) == ("base", {"scheduler": {"low": "-inf"}})
    schedule = opened(tmp_path / "out.zarr", "schedule")
    np.testing.assert_array_equal(schedule.sigma.sel(sample="maze-4", seed=0), SIGMA)
    assert schedule.expert.sel(sample="maze-3", seed=7).values.tolist() == [0, 0, 1]
    assert np.isnan(schedule.timestep.sel(sample="maze-4", seed=7)).all()
    latents = opened(tmp_path / "out.zarr", "latents")
    np.testing.assert_array_equal(latents.noisy.sel(sample="maze-3", seed=7, level=3), latent(7, 3))
    np.testing.assert_array_equal(latents.prediction.sel(sample="maze-4", seed=0, step=2), latent(0, 2, 1))
    np.testing.assert_array_equal(latents.pinned.sel(sample="maze-3", seed=7), latent(7, 0, 2))
    assert latents.pinned_mask.sel(sample="maze-3", seed=7).values.tolist() == [True, False, False]
    video = opened(tmp_path / "out.zarr", "video").video
    assert (video.dtype, video.sel(sample="maze-3", seed=7).values.max()) == (np.uint8, 7)
    tokens = opened(tmp_path / "out.zarr", "mlp@tokens:5")
    np.testing.assert_array_equal(
        np.stack([tokens[f"token_{axis}"] for axis in ("frame", "row", "col")], axis=1), making_sites.PLACES
    )
    np.testing.assert_array_equal(
        opened(tmp_path / "out.zarr", "self_attn@project:2").projection, making_sites.PROJECTION
    )
    truth = opened(tmp_path / "out.zarr", "samples/maze-4/truth")
    assert truth.path.values.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert truth.attrs == {"goal": "red", "rooms": 7, "odd": True}
    condition = opened(tmp_path / "out.zarr", "samples/maze-4/condition")
    assert condition.attrs["prompt"] == "Go to the red goal."
    sample = opened(tmp_path / "out.zarr", "samples/maze-3")
    assert sample.attrs["runs"]["7"]["batch_seeds"] == [7]


def test_xarray_opens_a_zarr_export_as_one_tree(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS)
    export_store(store, tmp_path / "out.zarr")
    with xarray.open_datatree(tmp_path / "out.zarr", engine="zarr", consolidated=False) as tree:
        found = tree["mlp@tokens:5"].mlp.sel(sample="maze-4", seed=0, step=2, layer=1, branch="cond")
        expected = making_sites.numbers(("maze-4", 0, 2, 1, "cond"), SITES[2], "bf16")
        np.testing.assert_array_equal(found.values, expected)


def test_a_zarr_export_has_few_files_and_none_huge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "s", RUNS[:1], "fp32")
    only = Wanted(sites=("resid",), reductions=("full",), latents=False, video=False)
    export_store(store, tmp_path / "out.zarr", only)
    slab = 4 * int(np.prod((*making_sites.GRID, making_sites.CHANNELS)))
    assert len(shard_files(tmp_path / "out.zarr")) == 1
    monkeypatch.setattr("stores.export.zarr_tree._SHARD", 2 * slab)
    export_store(store, tmp_path / "small.zarr", only)
    assert len(shard_files(tmp_path / "small.zarr")) == len(STEPS) * len(SITES[0].layers)
    monkeypatch.setattr("stores.export.zarr_tree._SHARD", slab // 2)
    export_store(store, tmp_path / "tiny.zarr", only)
    assert len(shard_files(tmp_path / "tiny.zarr")) == len(STEPS) * len(SITES[0].layers) * len(BRANCHES)
    arrays = [opened(tmp_path / name, "resid").resid for name in ("out.zarr", "small.zarr", "tiny.zarr")]
    np.testing.assert_array_equal(arrays[0], arrays[1])
    np.testing.assert_array_equal(arrays[0], arrays[2])


def test_runs_that_do_not_fit_one_array_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    monkeypatch.setattr(making_sites, "GRID", (2, 3, 2))
    monkeypatch.setattr(making_sites, "PLACES", np.argwhere(np.ones((2, 3, 2)))[:5])
    write_run(store, "maze-5", 0)
    with pytest.raises(
        StoreError, match=r"maze-5/0\.h5: .* differs from the runs before it, and zarr has one"
    ):
        export_store(store, tmp_path / "out.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]
    export_store(store, tmp_path / "out.zarr", Wanted(samples="maze-5"))
    export_store(store, tmp_path / "out.h5")


def test_zarr_has_one_variant_and_one_truth_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    write_run(store, "maze-3", 0, "patched")
    with pytest.raises(StoreError, match="say which by --variant: base, patched"):
        plan_export(store, tmp_path / "out.zarr")
    export_store(store, tmp_path / "out.zarr", Wanted(variant="patched"))
    with store.writer("maze-3", 1) as writer:
        writer.set_schedule(1000 * SIGMA[:-1], SIGMA)
        writer.set_condition("Go to the blue goal.")
        writer.finish()
    with pytest.raises(StoreError, match=r"1\.h5: its condition/image is not that of seed 0"):
        export_store(store, tmp_path / "more.zarr", Wanted(variant="base"))


def test_a_truth_may_have_nan(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s")
    distances = np.array([[0.0, np.nan], [2.0, -np.inf]])
    for seed, goal in ((0, 1.0), (1, 1.0), (2, 4.0)):
        with store.writer("maze-3", seed) as writer:
            writer.set_schedule(1000 * SIGMA[:-1], SIGMA)
            writer.set_truth(
                {"d": distances + np.array([[0, 0], [goal, 0]]), "width": float("nan"), "goal": "red"}
            )
            writer.finish()
    export_store(store, tmp_path / "out.zarr", Wanted(seeds="0-1"))
    truth = opened(tmp_path / "out.zarr", "samples/maze-3/truth")
    np.testing.assert_array_equal(truth.d, [[0.0, np.nan], [3.0, -np.inf]])
    assert truth.attrs == {"width": "nan", "goal": "red"}
    with pytest.raises(StoreError, match=r"2\.h5: its truth/d is not that of seed 0"):
        export_store(store, tmp_path / "more.zarr")


def test_without_zarr_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(StoreError, match=r"pip install cosinterp\[zarr\]"):
        plan_export(store, tmp_path / "out.zarr")


def shard_files(path: Path) -> list[Path]:
    return list((path / "resid/resid").glob("c.*"))
