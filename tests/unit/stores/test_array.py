"""Labelled arrays: loaded where they are small, read as far as they are indexed where they are large."""

from __future__ import annotations

import os
import pickle
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

from stores import Store, StoreError, create_store
from stores.lazy import SlabArray
from tests.unit.stores import making_kinds as making
from tests.unit.stores.making_kinds import CHANNELS, GRID, LAYERS, STEPS, Kind, make_store

KIND = Kind("bf16", reductions=("full", "project:8", "tokens:5", "mean", "norm"))
RUNS = tuple(product(("a", "b"), (0, 3)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return make_store(tmp_path_factory.mktemp("store") / "s", KIND, RUNS)


def values(reduction: str) -> np.ndarray:
    """(sample, seed, step, layer, branch, ...): what an array of everything holds."""
    slabs = [
        making.slab(sample, seed, step, layer, KIND, reduction).values
        for (sample, seed), step, layer in product(RUNS, STEPS, LAYERS)
    ]
    return np.stack(slabs).reshape(2, 2, 2, 2, 1, *slabs[0].shape)


def is_loaded(array: xarray.DataArray) -> bool:
    return isinstance(array.variable._data, np.ndarray)


@pytest.mark.parametrize("reduction", KIND.reductions)
@pytest.mark.parametrize("max_bytes", [0, 2**30], ids=["lazy", "loaded"])
def test_an_array_holds_what_was_written(store: Store, reduction: str, max_bytes: int) -> None:
    array = store.array("resid", reduction=reduction, max_bytes=max_bytes)
    assert is_loaded(array) == (max_bytes > 0)
    assert (array.dtype, array.name) == (np.float32, "resid")
    assert array.attrs == {"variant": "base", "reduction": reduction}
    assert array.dims[:5] == ("sample", "seed", "step", "layer", "branch")
    assert np.array_equal(array.values, values(reduction))


@pytest.mark.parametrize(
    "part",
    [
        {"sample": "b"},
        {"sample": ["b", "a"], "seed": 3},
        {"layer": 10, "step": [2], "branch": "cond"},
        {"frame": 2},
        {"frame": slice(1, 2), "col": [5, 3]},
        {"frame": [3, 1], "row": 4, "seed": [3, 0]},
    ],
    ids=str,
)
def test_indexing_an_array_by_its_labels_gives_the_same_loaded_or_not(
    store: Store, part: dict[str, Any]
) -> None:
    loaded = store.array("resid", reduction="full")
    lazy = store.array("resid", reduction="full", max_bytes=0).sel(part)
    assert not is_loaded(lazy)
    xarray.testing.assert_identical(lazy.load(), loaded.sel(part))


@pytest.mark.parametrize(
    "part",
    [
        {"channel": 3},
        {"channel": slice(None, None, -7), "frame": -1},
        {"channel": [], "row": 0},
        {"channel": [4, 4, 0], "row": slice(10, 2, -3), "col": 1, "sample": -1},
        {
            "sample": xarray.DataArray([0, 1, 1], dims="point"),
            "frame": xarray.DataArray([3, 0, 2], dims="point"),
        },
    ],
    ids=str,
)
def test_indexing_an_array_by_position_gives_the_same_loaded_or_not(
    store: Store, part: dict[str, Any]
) -> None:
    loaded = store.array("resid", reduction="full")
    lazy = store.array("resid", reduction="full", max_bytes=0).isel(part)
    xarray.testing.assert_identical(lazy.load(), loaded.isel(part))


def test_a_part_of_a_part_is_read_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = store.array("resid", reduction="full", max_bytes=0, frames="1-2").sel(sample="a", layer=10)
    read: list[int] = []
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda *given: (read.append(preadv(*given)), read[-1])[1])
    of_a_frame = GRID[1] * GRID[2] * CHANNELS * 2
    lazy.isel(seed=0, step=0).load()
    read.clear()
    # By now the blocks are known to be whole.
    lazy.isel(seed=0, step=0, frame=1).load()
    assert read == [of_a_frame]
    lazy.isel(seed=0, step=0, frame=1, row=0, channel=0).load()
    assert read == [of_a_frame, of_a_frame // GRID[1]]


def test_parts_of_the_token_grid_are_labelled(store: Store) -> None:
    array = store.array("resid", reduction="full", frames="1,3", cols="0-2")
    assert array.dims[5:] == ("frame", "row", "col", "channel")
    assert array.frame.values.tolist() == [1, 3]
    assert array.row.values.tolist() == list(range(GRID[1]))
    assert array.col.values.tolist() == [0, 1, 2]
    assert np.array_equal(array.values, values("full")[..., [1, 3], :, :3, :])


def test_tokens_are_labelled_by_number_and_place(store: Store) -> None:
    places = [(3, 0, 1), (0, 12, 16)]
    flat = np.ravel_multi_index(tuple(np.transpose(places)), GRID)
    for chosen in (places, flat):
        array = store.array("resid", reduction="full", tokens=chosen)
        assert array.dims[5:] == ("token", "channel")
        assert array.token.values.tolist() == flat.tolist()
        assert [array[axis].values.tolist() for axis in ("frame", "row", "col")] == np.transpose(
            places
        ).tolist()
        found = array.isel(token=1, sample=1, seed=0, step=1, layer=0, branch=0)
        assert np.array_equal(found, values("full")[1, 0, 1, 0, 0, 0, 12, 16])


def test_kept_tokens_are_labelled_by_number_and_place(store: Store) -> None:
    array = store.array("resid", reduction="tokens:5")
    places = making.token_places(5)
    assert array.dims[5:] == ("token", "channel")
    assert np.array_equal(np.stack([array.frame, array.row, array.col], axis=1), places)
    assert np.array_equal(array.token, np.ravel_multi_index(tuple(places.T), GRID))


def test_reduced_axes_are_named(store: Store) -> None:
    assert store.array("resid", reduction="project:8").dims[5:] == ("frame", "row", "col", "component")
    assert store.array("resid", reduction="mean").dims[5:] == ("channel",)
    assert store.array("resid", reduction="norm", frames="0").shape[5:] == (1, *GRID[1:])


def test_a_lazy_array_can_be_pickled_and_reopened(store: Store) -> None:
    lazy = store.array("resid", reduction="norm", max_bytes=0)
    copy = pickle.loads(pickle.dumps(lazy))
    assert np.array_equal(copy.isel(sample=0).values, values("norm")[0])


def test_a_lazy_array_is_shown_without_being_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lazy = store.array("resid", reduction="full", max_bytes=0)

    def fail(*_: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(SlabArray, "_read", fail)
    assert "values with dtype=float32" in repr(lazy)


def test_token_grids_of_two_sizes_are_told_when_the_array_is_read(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s", making.settings(Kind()))
    for sample, grid in (("a", (2, 3, 4)), ("b", (2, 4, 4))):
        with store.writer(sample, 0) as writer:
            writer.set_schedule([1000], [1.0, 0.0])
            writer.add_site("resid", [0], [0], ["cond"], grid, 5)
            writer.write("resid", 0, 0, "cond", np.zeros((*grid, 5), np.uint16))
            writer.finish()
    lazy = store.array("resid", max_bytes=0)
    assert lazy.sel(sample="a").load().shape == (1, 1, 1, 1, 2, 3, 4, 5)
    with pytest.raises(
        StoreError, match=r"sample b has the token grid 2x4x4, sample a 2x3x4; select samples"
    ):
        lazy.load()


@pytest.mark.parametrize(
    ("grid", "places", "message"),
    [
        (
            (2, 2, 2),
            [(0, 0, 1), (1, 1, 1)],
            "sample b has the token grid 2x2x2, sample a 2x4x4; select samples",
        ),
        ((2, 4, 4), [(0, 0, 1), (1, 1, 0)], r"b/0\.h5 keeps other tokens of the token grid than sample a"),
    ],
)
@pytest.mark.parametrize("reduction", ["tokens:2", "tokens:2+norm"])
def test_tokens_of_other_places_are_not_taken_for_the_same(
    tmp_path: Path,
    grid: tuple[int, int, int],
    places: list[tuple[int, int, int]],
    message: str,
    reduction: str,
) -> None:
    store = create_store(tmp_path / "s", making.settings(Kind()))
    first = ("a", (2, 4, 4), [(0, 0, 1), (1, 1, 1)])
    for sample, its_grid, its_places in (first, ("b", grid, places)):
        with store.writer(sample, 0) as writer:
            writer.set_schedule([1000], [1.0, 0.0])
            kept = np.array(its_places)
            writer.add_site("resid", [0], [0], ["cond"], its_grid, 5, reduction, token_places=kept)
            shape = (2, 5) if reduction == "tokens:2" else (2,)
            writer.write("resid", 0, 0, "cond", np.zeros(shape, np.uint16), reduction)
            writer.finish()
    assert store.array("resid", samples="b").sizes["token"] == 2
    with pytest.raises(StoreError, match=message):
        store.array("resid")
