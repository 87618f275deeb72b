"""Reductions, dtypes and compressions: what is read is what was written, by our reader and by plain h5py."""

from __future__ import annotations

import subprocess
import sys
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest

from stores import StoreError, layout
from stores.dtypes import DTYPES
from stores.reduction import parse_reduction
from stores.slabs.compression import COMPRESSIONS
from tests.unit.stores import making_kinds as making
from tests.unit.stores.making_kinds import CHANNELS, GRID, LAYERS, REDUCTIONS, STEPS, Kind, make_store

ROOT = Path(__file__).parents[3]
FILE = "runs/a/0.h5"
EVERYTHING = [Kind(dtype, compression, REDUCTIONS) for dtype, compression in product(DTYPES, COMPRESSIONS)]


@pytest.fixture(params=[None, 20_000], ids=["one chunk", "several chunks"])
def chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param is not None:
        monkeypatch.setattr(layout, "MAX_CHUNK", request.param)


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("kind", EVERYTHING, ids=str)
def test_every_slab_is_what_was_written(tmp_path: Path, kind: Kind) -> None:
    store = make_store(tmp_path / "s", kind)
    with store.run("a", 0) as run:
        for text, step, layer in product(REDUCTIONS, STEPS, LAYERS):
            made = making.slab("a", 0, step, layer, kind, text)
            raw = run.read("resid", step, layer, reduction=text, raw=True)
            assert raw.dtype == made.raw.dtype
            assert np.array_equal(raw, made.raw)
            values = run.read("resid", step, layer, reduction=text)
            assert values.dtype == np.float32
            assert np.array_equal(values, made.values)
            factors = run.factors("resid", step, layer, reduction=text)
            assert (factors is None) == (kind.dtype != "fp8")
            assert factors is None or np.array_equal(factors, made.factors)
    assert store.verify() == []


# hdf5plugin registers its filters in whatever loads it, so it is loaded in a process of its own.
PLAIN = """
import sys, h5py, numpy as np
if sys.argv[4] != "none":
    import hdf5plugin
with h5py.File(sys.argv[1]) as file:
    stored = file[sys.argv[2]]
    values = stored[()].astype(np.float32)
    name = sys.argv[2].replace("activations", "factors")
    if name in file:
        group = stored.chunks[3]
        factors = np.repeat(file[name][()], group, axis=3)
        values *= factors.reshape(*factors.shape, *(1 for _ in stored.shape[4:]))
np.save(sys.argv[3], values)
"""


@pytest.mark.usefixtures("chunks")
@pytest.mark.parametrize("reduction", ["full", "project:8", "norm", "mean"])
@pytest.mark.parametrize(
    "kind", [*(Kind(d) for d in DTYPES), Kind("fp8", "zstd"), Kind("bf16", "lz4")], ids=str
)
def test_any_hdf5_reader_finds_the_same_numbers(tmp_path: Path, kind: Kind, reduction: str) -> None:
    kind = Kind(kind.dtype, kind.compression, (reduction,))
    store = make_store(tmp_path / "s", kind)
    path = f"activations/{making.key(reduction)}"
    subprocess.run(
        [sys.executable, "-c", PLAIN, store.path / FILE, path, tmp_path / "x.npy", kind.compression],
        check=True,
        timeout=60,
    )
    values = np.load(tmp_path / "x.npy")
    for (i, step), (j, layer) in product(enumerate(STEPS), enumerate(LAYERS)):
        assert np.array_equal(values[i, j, 0], making.slab("a", 0, step, layer, kind, reduction).values)


ANY_PLUGIN = """
import sys
if sys.argv[2] == "without":
    sys.modules["hdf5plugin"] = None
else:
    import hdf5plugin
from stores import open_store
from tests.unit.stores import making_kinds as making
kind = making.Kind("bf16", "zstd")
store = making.make_store(sys.argv[1], kind)
assert (store.read("resid", 2, 10, "a", 0, raw=True) == making.slab("a", 0, 2, 10, kind, "full").raw).all()
assert store.verify() == []
"""


@pytest.mark.parametrize("plugin", ["with", "without"])
def test_compression_needs_no_plugin_and_minds_none(tmp_path: Path, plugin: str) -> None:
    subprocess.run(
        [sys.executable, "-c", ANY_PLUGIN, tmp_path / "s", plugin], check=True, timeout=60, cwd=ROOT
    )


def test_the_axes_are_named_and_scaled(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", Kind(reductions=REDUCTIONS))
    with h5py.File(store.path / FILE) as file:
        for text in REDUCTIONS:
            stored = file[f"activations/{making.key(text)}"]
            reduction = parse_reduction(text)
            assert [dim.label for dim in stored.dims] == ["step", "layer", "branch", *reduction.axes]
            assert stored.shape == (2, 2, 1, *reduction.shape(GRID, CHANNELS))
            assert stored.dims[1]["layer"][()].tolist() == list(LAYERS)
            assert stored.attrs["grid"].tolist() == list(GRID)
            assert stored.attrs["channels"] == CHANNELS


def test_what_was_kept_by_tokens_and_projections_is_stored(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", Kind(reductions=("tokens:5", "project:8")))
    with h5py.File(store.path / FILE) as file:
        assert np.array_equal(file["scales/resid@tokens:5/token"], making.token_places(5))
        assert np.array_equal(file["projections/resid@project:8"], making.projection(8))
        assert file["projections/resid@project:8"].attrs["seed"] == making.SEED
    with store.run("a", 0) as run:
        assert np.array_equal(run.token_places("resid", "tokens:5"), making.token_places(5))
        assert np.array_equal(run.projection("resid@project:8"), making.projection(8))
        with pytest.raises(StoreError, match="site resid@project:8: only the reduction tokens:K has token"):
            run.token_places("resid", "project:8")
        with pytest.raises(StoreError, match="site resid@tokens:5: only the reduction project:K has a proj"):
            run.projection("resid", "tokens:5")


def test_a_site_says_how_it_is_stored(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", Kind("fp8", "lz4", ("full", "frames+project:4", "mean")))
    assert store.runs()[0].sites == ("resid", "resid@frames+project:4", "resid@mean")
    with store.run("a", 0) as run:
        sites = run.sites
    assert list(sites) == ["resid", "resid@frames+project:4", "resid@mean"]
    info = sites["resid@frames+project:4"]
    assert (info.site, info.reduction, info.key) == ("resid", "frames+project:4", "resid@frames+project:4")
    assert (info.axes, info.shape, info.slab_bytes) == (("frame", "component"), (4, 4), 16)
    assert (info.grid, info.channels, info.dtype, info.compression) == (GRID, CHANNELS, "fp8", "lz4")
    assert (info.layers, info.steps, info.branches) == (LAYERS, STEPS, ("cond",))
    assert sites["resid@mean"].shape == (CHANNELS,)


def test_a_reduction_is_found_by_name_or_by_being_the_only_one(tmp_path: Path) -> None:
    several = make_store(tmp_path / "several", Kind(reductions=("full", "norm")))
    assert several.read("resid", 0, 0, "a", 0).shape == (*GRID, CHANNELS)
    assert several.read("resid", 0, 0, "a", 0, reduction="norm").shape == GRID
    assert several.read("resid@norm", 0, 0, "a", 0).shape == GRID
    with pytest.raises(StoreError, match=r"site 'resid' as mean: .*0\.h5 has it as full, norm"):
        several.read("resid", 0, 0, "a", 0, reduction="mean")
    with pytest.raises(StoreError, match=r"site 'mlp': .*0\.h5 has resid, resid@norm"):
        several.read("mlp", 0, 0, "a", 0, reduction="norm")

    only = make_store(tmp_path / "only", Kind(reductions=("Project:8",)))
    assert only.read("resid", 0, 0, "a", 0).shape == (*GRID, 8)
    assert [array.shape for *_, array in only.iter("resid", steps="0", layers="0")] == [(*GRID, 8)]

    none = make_store(tmp_path / "none", Kind(reductions=("mean", "norm")))
    with pytest.raises(StoreError, match=r"site 'resid': .*0\.h5 has it as mean, norm; say which"):
        none.read("resid", 0, 0, "a", 0)


def test_compression_makes_files_smaller(tmp_path: Path) -> None:
    sizes = {
        compression: make_store(tmp_path / compression, Kind("bf16", compression)).runs()[0].size
        for compression in COMPRESSIONS
    }
    assert sizes["zstd"] < sizes["none"]
    assert sizes["lz4"] < sizes["none"]
