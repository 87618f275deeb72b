"""An export holds what the store holds, in a format that its own library reads without us."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the standard filters)
import numpy as np
import pytest
import torch
import xarray
from safetensors.torch import load_file

from stores import SelectionError, Store, StoreError, layout
from stores.export import Wanted, export_store, plan_export, write_export
from tests.unit.stores import making, making_sites
from tests.unit.stores.making import SIGMA, latent
from tests.unit.stores.making_sites import (
    BRANCHES,
    KEYS,
    NUM_STEPS,
    SITES,
    STEPS,
    StoredSite,
    make_store,
    write_run,
)

RUNS = [("maze-3", 0), ("maze-3", 7), ("maze-4", 0)]
DTYPES = ("bf16", "fp16", "fp32", "fp8")
FORMATS = {"hdf5": "out.h5", "safetensors": "out", "zarr": "out.zarr"}


@pytest.fixture
def divided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks so small that a slab has several."""
    monkeypatch.setattr(layout, "MAX_CHUNK", 60)


def export(store: Store, out: Path, wanted: Wanted | None = None, **options: Any) -> None:
    export_store(store, out, wanted, **options)


def places(site: StoredSite) -> Iterator[tuple[int, int, str]]:
    return itertools.product(STEPS, site.layers, BRANCHES)


def group_names(file: h5py.File) -> list[str]:
    names: list[str] = []
    file.visit(lambda name: names.append(name) if name.count("/") == 1 else None)
    return sorted(names)


# One HDF5 file


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_h5py_alone_reads_every_number(tmp_path: Path, dtype: str, compression: str) -> None:
    store = make_store(tmp_path / "s", RUNS, dtype, compression)
    export(store, tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert group_names(file) == ["maze-3/0", "maze-3/7", "maze-4/0"]
        for (sample, seed), site in itertools.product(RUNS, SITES):
            run = file[f"{sample}/{seed}"]
            stored = run[f"activations/{site.key}"]
            assert [dim.label for dim in stored.dims] == ["step", "layer", "branch", *site.axes]
            assert stored.id.get_type().get_size() == {"bf16": 2, "fp16": 2, "fp32": 4, "fp8": 1}[dtype]
            steps, layers, branches = (list(stored.dims[axis][0][()]) for axis in range(3))
            for step, layer, branch in places(site):
                index = steps.index(step), layers.index(layer), branches.index(branch.encode())
                found = stored[index].astype(np.float32)
                if dtype == "fp8":
                    factors = run[f"factors/{site.key}"][index]
                    found = (found.reshape(len(factors), -1) * factors[:, None]).reshape(site.shape)
                expected = making_sites.numbers((sample, seed, step, layer, branch), site, dtype)
                np.testing.assert_array_equal(found, expected)


def test_a_group_looks_like_the_file_of_a_run(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1], compression="lz4")
    export(store, tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file, h5py.File(store.path / "runs/maze-3/0.h5") as run:
        copy = file["maze-3/0"]
        assert dict(copy.attrs) == dict(run.attrs)
        ours, theirs = {}, {}
        for found, item in ((ours, copy), (theirs, run)):
            item.visititems(lambda name, member, found=found: found.update({name: member}))
        assert ours.keys() == theirs.keys()
        for name, original in theirs.items():
            if not isinstance(original, h5py.Dataset):
                continue
            assert ours[name].id.get_type() == original.id.get_type(), name
            assert (ours[name].shape, ours[name].chunks) == (original.shape, original.chunks), name
            np.testing.assert_array_equal(ours[name][()], original[()])
            assert ours[name].attrs.keys() == original.attrs.keys(), name
        assert file.attrs["format"] == "cosinterp-export"
        assert json.loads(file.attrs["capture"])["compression"] == "lz4"


@pytest.mark.usefixtures("divided")
def test_compressed_chunks_are_copied_as_they_are(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1], compression="zstd")
    export(store, tmp_path / "out.h5", Wanted(layers="1,5"))
    with h5py.File(tmp_path / "out.h5") as file, h5py.File(store.path / "runs/maze-3/0.h5") as run:
        ours, theirs = (item["activations/resid"] for item in (file["maze-3/0"], run))
        assert ours.shape[1] == 2
        for index in range(ours.id.get_num_chunks()):
            offset = ours.id.get_chunk_info(index).chunk_offset
            there = (offset[0], offset[1] + 1, *offset[2:])
            assert ours.id.read_direct_chunk(offset) == theirs.id.read_direct_chunk(there)


def test_a_variant_has_a_group_of_its_own(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    write_run(store, "maze-3", 0, "patched")
    export(store, tmp_path / "out.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert group_names(file) == ["maze-3/0", "maze-3/0.patched"]
        assert file["maze-3/0.patched"].attrs["variant"] == "patched"


# Safetensors


def shards(folder: Path) -> dict[str, torch.Tensor]:
    index = json.loads((folder / "store.safetensors.index.json").read_text())
    found: dict[str, torch.Tensor] = {}
    for file in sorted(set(index["weight_map"].values())):
        loaded = load_file(folder / file)
        assert {name for name, place in index["weight_map"].items() if place == file} == loaded.keys()
        found |= loaded
    assert index["metadata"]["total_size"] == sum(each.nbytes for each in found.values())
    return found


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_reads_every_tensor_in_its_dtype(tmp_path: Path, dtype: str) -> None:
    store = make_store(tmp_path / "s", RUNS, dtype, "lz4")
    export(store, tmp_path / "out", format="safetensors", shard_size=20_000)
    found = shards(tmp_path / "out")
    types = {
        "bf16": torch.bfloat16,
        "fp16": torch.float16,
        "fp32": torch.float32,
        "fp8": torch.float8_e4m3fn,
    }
    for (sample, seed), site in itertools.product(RUNS, SITES):
        for step, layer, branch in places(site):
            tensor = found[f"{sample}/{seed}/activations/{site.key}/{step}/{layer}/{branch}"]
            assert tensor.dtype == types[dtype]
            values = tensor.float()
            if dtype == "fp8":
                factors = found[f"{sample}/{seed}/factors/{site.key}/{step}/{layer}/{branch}"]
                values = (values.reshape(len(factors), -1) * factors[:, None]).reshape(site.shape)
            expected = making_sites.numbers((sample, seed, step, layer, branch), site, dtype)
            np.testing.assert_array_equal(values.numpy(), expected)


def test_everything_else_is_there_as_well(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS)
    export(store, tmp_path / "out", format="safetensors")
    found = shards(tmp_path / "out")
    run = "maze-3/7"
    np.testing.assert_array_equal(found[f"{run}/schedule/sigma"].numpy(), SIGMA)
    for index in range(NUM_STEPS + 1):
        np.testing.assert_array_equal(found[f"{run}/latents/noisy/{index}"].numpy(), latent(7, index))
    assert found[f"{run}/truth/path"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert (found[f"{run}/truth/rooms"].item(), found[f"{run}/truth/odd"].item()) == (7, True)
    assert found[f"{run}/video"].shape == (5, 8, 9, 3)
    assert found[f"{run}/condition/image"].dtype == torch.uint8
    np.testing.assert_array_equal(found[f"{run}/scales/mlp@tokens:5/token"].numpy(), making_sites.PLACES)
    np.testing.assert_array_equal(
        found[f"{run}/projections/self_attn@project:2"].numpy(), making_sites.PROJECTION
    )
    metadata = json.loads((tmp_path / "out/store.safetensors.index.json").read_text())["metadata"]
    described = {each["name"]: each for each in metadata["runs"]}[run]
    assert described["texts"] == {"condition/prompt": "Go to the red goal.", "truth/goal": "red"}
    assert (described["attributes"]["batch_seeds"], described["attributes"]["low"]) == ([7], "-inf")
    assert described["sites"]["mlp@tokens:5"]["layers"] == [1, 5]
    assert metadata["model"] == {"name": "tiny"}


def test_shards_stay_within_their_size(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS, "fp32")
    export(store, tmp_path / "out", format="safetensors", shard_size=6_000)
    files = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert len(files) > 3
    assert files[0] == f"store-00001-of-{len(files):05d}.safetensors"
    for file in files:
        assert sum(tensor.nbytes for tensor in load_file(tmp_path / "out" / file).values()) <= 6_000


@pytest.mark.parametrize("format", FORMATS)
def test_others_may_read_an_export(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    out = tmp_path / FORMATS[format]
    export(store, out, format=format)
    (tmp_path / "new").touch()
    usual = (tmp_path / "new").stat().st_mode
    files = [out] if out.is_file() else [path for path in out.rglob("*") if path.is_file()]
    assert {path.stat().st_mode for path in files} == {usual}


def test_a_tensor_larger_than_a_shard_has_one_to_itself(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1], "fp32")
    export(store, tmp_path / "out", format="safetensors", shard_size=1)
    found = shards(tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.safetensors"))) == len(found)


def test_one_file_has_the_index_in_itself(tmp_path: Path) -> None:
    from safetensors import safe_open

    store = make_store(tmp_path / "s", RUNS)
    export(store, tmp_path / "out.safetensors", Wanted(sites=("resid",), seeds="7"))
    with safe_open(tmp_path / "out.safetensors", "pt") as file:
        assert "maze-3/7/activations/resid/0/0/cond" in file.keys()  # noqa: SIM118
        metadata = json.loads(file.metadata()["cosinterp-export"])
    assert [run["name"] for run in metadata["runs"]] == ["maze-3/7"]
    with pytest.raises(StoreError, match="too much for one file of 5.0 kB"):
        plan_export(store, tmp_path / "again.safetensors", shard_size=5_000)


# Zarr


def opened(path: Path, group: str | None = None) -> xarray.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return xarray.open_zarr(path, group=group, consolidated=False)


@pytest.mark.usefixtures("divided")
@pytest.mark.parametrize("dtype", DTYPES)
def test_xarray_reads_labelled_numbers(tmp_path: Path, dtype: str) -> None:
    store = make_store(tmp_path / "s", RUNS, dtype)
    export(store, tmp_path / "out.zarr")
    for site in SITES:
        array = opened(tmp_path / "out.zarr", site.key)[site.name]
        assert array.dims == ("sample", "seed", "step", "layer", "branch", *site.axes)
        assert array.dtype == np.float32
        for (sample, seed), (step, layer, branch) in itertools.product(RUNS, places(site)):
            found = array.sel(sample=sample, seed=seed, step=step, layer=layer, branch=branch)
            expected = making_sites.numbers((sample, seed, step, layer, branch), site, dtype)
            np.testing.assert_array_equal(found.values, expected)
        assert np.isnan(array.sel(sample="maze-4", seed=7)).all()


def test_zarr_has_the_rest_of_a_run(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS)
    export(store, tmp_path / "out.zarr")
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
    export(store, tmp_path / "out.zarr")
    with xarray.open_datatree(tmp_path / "out.zarr", engine="zarr", consolidated=False) as tree:
        found = tree["mlp@tokens:5"].mlp.sel(sample="maze-4", seed=0, step=2, layer=1, branch="cond")
        expected = making_sites.numbers(("maze-4", 0, 2, 1, "cond"), SITES[2], "bf16")
        np.testing.assert_array_equal(found.values, expected)


def test_a_zarr_export_has_few_files_and_none_huge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "s", RUNS[:1], "fp32")
    only = Wanted(sites=("resid",), reductions=("full",), latents=False, video=False)
    export(store, tmp_path / "out.zarr", only)
    slab = 4 * int(np.prod((*making_sites.GRID, making_sites.CHANNELS)))
    assert len(shard_files(tmp_path / "out.zarr")) == 1
    monkeypatch.setattr("stores.export.zarr_tree._SHARD", 2 * slab)
    export(store, tmp_path / "small.zarr", only)
    assert len(shard_files(tmp_path / "small.zarr")) == len(STEPS) * len(SITES[0].layers)
    monkeypatch.setattr("stores.export.zarr_tree._SHARD", slab // 2)
    export(store, tmp_path / "tiny.zarr", only)
    assert len(shard_files(tmp_path / "tiny.zarr")) == len(STEPS) * len(SITES[0].layers) * len(BRANCHES)
    arrays = [opened(tmp_path / name, "resid").resid for name in ("out.zarr", "small.zarr", "tiny.zarr")]
    np.testing.assert_array_equal(arrays[0], arrays[1])
    np.testing.assert_array_equal(arrays[0], arrays[2])


def shard_files(path: Path) -> list[Path]:
    return list((path / "resid/resid").glob("c.*"))


def test_runs_that_do_not_fit_one_array_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    monkeypatch.setattr(making_sites, "GRID", (2, 3, 2))
    monkeypatch.setattr(making_sites, "PLACES", np.argwhere(np.ones((2, 3, 2)))[:5])
    write_run(store, "maze-5", 0)
    with pytest.raises(
        StoreError, match=r"maze-5/0\.h5: .* differs from the runs before it, and zarr has one"
    ):
        export(store, tmp_path / "out.zarr")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]
    export(store, tmp_path / "out.zarr", Wanted(samples="maze-5"))
    export(store, tmp_path / "out.h5")


def test_zarr_has_one_variant_and_one_truth_a_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    write_run(store, "maze-3", 0, "patched")
    with pytest.raises(StoreError, match="say which by --variant: base, patched"):
        plan_export(store, tmp_path / "out.zarr")
    export(store, tmp_path / "out.zarr", Wanted(variant="patched"))
    with store.writer("maze-3", 1) as writer:
        writer.set_schedule(1000 * SIGMA[:-1], SIGMA)
        writer.set_condition("Go to the blue goal.")
        writer.finish()
    with pytest.raises(StoreError, match=r"1\.h5: its condition/image is not that of seed 0"):
        export(store, tmp_path / "more.zarr", Wanted(variant="base"))


def test_without_zarr_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(StoreError, match=r"pip install cosinterp\[zarr\]"):
        plan_export(store, tmp_path / "out.zarr")


# Whatever the format


def taken(store: Store, wanted: Wanted) -> set[tuple[str, str, tuple[Any, ...]]]:
    """(run, key, (steps, layers, branches)) of everything that is chosen."""
    plan = plan_export(store, store.path.parent / "x.h5", wanted)
    return {
        (run.name, site.info.key, (site.steps, site.layers, site.branches))
        for run in plan.runs
        for site in run.sites
    }


def test_selections_choose_runs_and_slabs(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS)
    found = taken(
        store, Wanted(samples=["maze-3"], seeds="7", sites=("resid",), reductions=("full",), layers="5")
    )
    assert found == {("maze-3/7", "resid", (STEPS, (5,), BRANCHES))}
    found = taken(store, Wanted(samples=["maze-4"], steps="-1", layers="0-1", branches=("cond",)))
    assert found == {
        ("maze-4/0", site.key, ((2,), tuple(n for n in site.layers if n < 2), ("cond",))) for site in SITES
    }
    assert {key for _, key, _ in taken(store, Wanted(layers="0"))} == {"resid", "resid@norm"}
    assert {key for _, key, _ in taken(store, Wanted(sites=("mlp", "resid@norm")))} == {
        "mlp@tokens:5",
        "resid@norm",
    }
    assert {key for _, key, _ in taken(store, Wanted(reductions=("tokens:5", "full")))} == {
        "resid",
        "mlp@tokens:5",
    }
    assert {key for _, key, _ in taken(store, Wanted())} == set(KEYS)


@pytest.mark.parametrize("format", FORMATS)
def test_only_what_is_selected_is_there(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS)
    out = tmp_path / FORMATS[format]
    wanted = Wanted(
        seeds="0",
        sites=("self_attn",),
        layers="5",
        steps="0",
        branches=("uncond",),
        latents=False,
        video=False,
    )
    export(store, out, wanted, format=format)
    expected = making_sites.numbers(("maze-4", 0, 0, 5, "uncond"), SITES[4], "bf16")
    if format == "hdf5":
        with h5py.File(out) as file:
            run = file["maze-4/0"]
            assert sorted(run) == [
                "activations",
                "checksums",
                "condition",
                "projections",
                "scales",
                "schedule",
                "truth",
            ]
            assert list(run["activations"]) == ["self_attn@project:2"]
            np.testing.assert_array_equal(run["activations/self_attn@project:2"], expected[None, None, None])
            assert run["scales/self_attn@project:2/layer"][()].tolist() == [5]
    elif format == "safetensors":
        found = shards(out)
        names = {name for name in found if name.startswith("maze-4/0/activations/")}
        assert names == {"maze-4/0/activations/self_attn@project:2/0/5/uncond"}
        assert not any("latents" in name or "video" in name or "tokens" in name for name in found)
    else:
        array = opened(out, "self_attn@project:2").self_attn
        assert array.shape[:5] == (2, 1, 1, 1, 1)
        np.testing.assert_array_equal(array.sel(sample="maze-4", seed=0).values[0, 0, 0], expected)
        assert not (out / "latents").exists()
        assert not (out / "video").exists()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(samples=["maze-9"]), "no run is selected"),
        (Wanted(sites=("attn",)), "site 'attn': the selected runs of .* have .*resid"),
        (Wanted(reductions=("mean",)), "reduction mean: the selected runs of"),
    ],
)
def test_what_is_not_stored_is_an_error(tmp_path: Path, wanted: Wanted, message: str) -> None:
    store = make_store(tmp_path / "s", RUNS)
    with pytest.raises(StoreError, match=message):
        plan_export(store, tmp_path / "out.h5", wanted)


@pytest.mark.parametrize(
    "wanted", [Wanted(layers="7"), Wanted(steps="0-9"), Wanted(seeds="x"), Wanted(reductions=("huge",))]
)
def test_selections_beyond_what_is_stored_are_errors(tmp_path: Path, wanted: Wanted) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    with pytest.raises(SelectionError):
        plan_export(store, tmp_path / "out.h5", wanted)


def test_a_branch_that_is_not_stored_is_an_error(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    with pytest.raises(StoreError, match="branch 'both'"):
        plan_export(store, tmp_path / "out.h5", Wanted(branches=("both",)))


def test_latents_alone_can_be_exported(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    export(store, tmp_path / "out.h5", Wanted(sites=(), video=False))
    with h5py.File(tmp_path / "out.h5") as file:
        assert sorted(file["maze-3/0"]) == ["checksums", "condition", "latents", "schedule", "truth"]
        np.testing.assert_array_equal(file["maze-3/0/latents/noisy"][1], latent(0, 1))


@pytest.mark.parametrize("format", FORMATS)
def test_the_size_is_known_before(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS)
    plan = plan_export(store, tmp_path / FORMATS[format], format=format)
    slabs = {
        "hdf5": sum(entry.size for entry in store.runs()),
        "safetensors": sum(run.raw_bytes for run in plan.runs),
        "zarr": sum(run.raw_bytes for run in plan.runs),
    }[format]
    assert slabs <= plan.size < 1.2 * slabs


@pytest.mark.parametrize("format", FORMATS)
def test_too_little_space_is_said_with_both_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    import shutil

    store = make_store(tmp_path / "s", RUNS)
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("stores.files.shutil.disk_usage", lambda _: free)
    with pytest.raises(StoreError, match=r"exporting 3 runs needs [0-9,]+ bytes .* has 1,000 free"):
        plan_export(store, tmp_path / FORMATS[format], format=format)


@pytest.mark.parametrize("format", FORMATS)
def test_an_interrupted_export_leaves_nothing(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS)
    out = tmp_path / FORMATS[format]

    def interrupt(done: int, total: int, file: str) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_export(plan_export(store, out, format=format), interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


INTERRUPTED = """
import os, signal, sys, threading
from stores import open_store
from stores.export import export_store

def soon():
    threading.Timer(float(sys.argv[4]), lambda: os.kill(os.getpid(), signal.SIGINT)).start()

def progress(done, total, file):
    global soon
    soon()
    soon = lambda: None

try:
    export_store(open_store(sys.argv[1]), sys.argv[2], format=sys.argv[3], progress=progress)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.06])
@pytest.mark.parametrize("format", FORMATS)
def test_ctrl_c_at_any_moment_leaves_nothing(tmp_path: Path, format: str, delay: float) -> None:
    store = make_store(tmp_path / "s", [("maze-3", seed) for seed in range(12)])
    arguments = [store.path, tmp_path / "out", format, delay]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *map(str, arguments)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=False,
    )
    left = ["out"] if done.returncode == 0 else []
    assert (done.returncode in (0, 130), sorted(path.name for path in tmp_path.iterdir())) == (
        True,
        [*left, "s"],
    )


LIMITED = """
import resource, sys
from stores import StoreError, open_store
from stores.export import export_store

resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
try:
    export_store(open_store(sys.argv[1]), sys.argv[2], format=sys.argv[3])
except StoreError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("format", FORMATS)
def test_a_disk_that_refuses_is_said_and_leaves_nothing(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS, "fp32")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(store.path), str(tmp_path / "out"), format],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "cannot be written: " in done.stderr
    assert "ile too large" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_there_is_replaced_only_with_force(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS)
    out = tmp_path / FORMATS[format]
    export(store, out, format=format)
    before = contents(out)
    with pytest.raises(StoreError, match="this exists; replace it with --force"):
        plan_export(store, out, format=format)
    assert contents(out) == before
    export(store, out, Wanted(seeds="7", sites=("resid",)), format=format, force=True)
    assert contents(out) != before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["s", out.name])


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.mark.parametrize("format", FORMATS)
def test_force_never_replaces_what_is_no_export(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    out = tmp_path / FORMATS[format]
    out.mkdir()
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="no such export, so --force does not replace it"):
        plan_export(store, out, format=format, force=True)
    with pytest.raises(StoreError, match="beside the store"):
        plan_export(store, store.path / "results" / out.name, format=format, force=True)
    with pytest.raises(StoreError, match="beside the store"):
        plan_export(store, store.path, format=format, force=True)
    assert (out / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("format", FORMATS)
def test_what_was_made_meanwhile_is_not_replaced(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    out = tmp_path / FORMATS[format]
    plan = plan_export(store, out, format=format)
    out.write_text("somebody else's")
    with pytest.raises(StoreError, match="this exists"):
        write_export(plan)
    assert out.read_text() == "somebody else's"


@pytest.mark.parametrize("compression", ["none", "zstd"])
@pytest.mark.parametrize("format", FORMATS)
def test_damage_is_never_exported(tmp_path: Path, format: str, compression: str) -> None:
    store = make_store(tmp_path / "s", RUNS[:1], compression=compression)
    path = store.path / "runs/maze-3/0.h5"
    with h5py.File(path) as file:
        place = file["activations/resid"].id.get_chunk_info(5).byte_offset
    data = bytearray(path.read_bytes())
    data[place + 20] ^= 1
    path.write_bytes(data)
    out = tmp_path / FORMATS[format]
    with pytest.raises(StoreError, match=r"maze-3/0\.h5: damaged, .* does not match its checksum"):
        export(store, out, format=format)
    assert not out.exists()


def test_a_format_has_to_be_clear(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", RUNS[:1])
    with pytest.raises(StoreError, match="which format"):
        plan_export(store, tmp_path / "out")
    with pytest.raises(StoreError, match="format 'csv'"):
        plan_export(store, tmp_path / "out.h5", format="csv")
    with pytest.raises(StoreError, match="shard-size"):
        plan_export(store, tmp_path / "out", format="safetensors", shard_size=0)
    assert plan_export(store, tmp_path / "out.h5", format="zarr").format == "zarr"


@pytest.mark.parametrize("format", FORMATS)
def test_progress_reaches_its_total(tmp_path: Path, format: str) -> None:
    store = make_store(tmp_path / "s", RUNS)
    opening: list[tuple[int, int, str]] = []
    calls: list[tuple[int, int, str]] = []
    plan = plan_export(
        store, tmp_path / FORMATS[format], format=format, progress=lambda *call: opening.append(call)
    )
    size = write_export(plan, lambda *call: calls.append(call))
    assert [done for done, _, _ in opening] == [0, 1, 2]
    assert calls[-1][0] == calls[-1][1] == sum(run.raw_bytes for run in plan.runs)
    assert {file for _, _, file in calls} == {entry.file for entry in store.runs()}
    assert size == sum(len(content) for content in contents(plan.out).values())


def test_a_run_without_video_is_exported_without(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s")
    write_run(store, "maze-3", 0, video=False)
    write_run(store, "maze-3", 1)
    for format, name in FORMATS.items():
        export(store, tmp_path / name, format=format)
    with h5py.File(tmp_path / "out.h5") as file:
        assert [name for name in group_names(file) if f"{name}/video" in file] == ["maze-3/1"]
    assert opened(tmp_path / "out.zarr", "video").video.sel(seed=0).values.max() == 0


@pytest.mark.parametrize("format", FORMATS)
def test_memory_does_not_grow_with_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    monkeypatch.setattr(making, "GRID", (4, 16, 16))
    monkeypatch.setattr(making, "CHANNELS", 64)
    monkeypatch.setattr("stores.export.zarr_tree._SHARD", 500_000)
    store = making.make_store(tmp_path / "s", [(f"maze-{n}", 0) for n in range(8)])
    options: dict[str, Any] = {"format": format, "shard_size": 500_000}
    # Libraries keep what they load at their first use.
    export(store, tmp_path / f"first-{FORMATS[format]}", Wanted(samples="maze-0"), **options)
    plan = plan_export(store, tmp_path / FORMATS[format], **options)
    tracemalloc.start()
    write_export(plan)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    slab = 2 * 4 * 16 * 16 * 64
    assert sum(run.raw_bytes for run in plan.runs) > 96 * slab
    assert peak < 12 * slab
