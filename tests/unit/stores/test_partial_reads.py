"""Reading parts of a token grid: the right numbers, and no more of the file than is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores import Run, SelectionError, Store, StoreError, create_store, layout
from tests.unit.stores import making_kinds as making
from tests.unit.stores.making_kinds import CHANNELS, GRID, Kind, make_store

KINDS = [Kind(dtype, compression) for dtype, compression in product(("bf16", "fp8", "fp32"), ("none", "lz4"))]
COUNT = int(np.prod(GRID))


@pytest.fixture(scope="module", params=[None, 20_000], ids=["one chunk", "several chunks"])
def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Kind, Store]]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param is not None:
            patch.setattr(layout, "MAX_CHUNK", request.param)
        yield {kind: make_store(tmp_path_factory.mktemp(str(kind)) / "s", kind) for kind in KINDS}


def some(length: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, length - 1), min_size=1, max_size=2 * length)


@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    raw=st.booleans(),
    reads=st.lists(
        st.one_of(
            st.fixed_dictionaries({"tokens": some(COUNT)}),
            st.fixed_dictionaries(
                {"tokens": st.lists(st.tuples(*(st.integers(0, n - 1) for n in GRID)), min_size=1)}
            ),
            st.fixed_dictionaries(
                {}, optional={"frames": some(GRID[0]), "rows": some(GRID[1]), "cols": some(GRID[2])}
            ),
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_parts_are_those_of_the_whole(
    stores: dict[Kind, Store], kind: Kind, raw: bool, reads: list[dict[str, Any]]
) -> None:
    made = making.slab("a", 0, 2, 10, kind, "full")
    whole = made.raw if raw else made.values
    # Opened anew, so that nothing is known to be whole at first, and something is afterwards.
    with stores[kind].run("a", 0) as run:
        for chosen in reads:
            found = run.read("resid", 2, 10, raw=raw, **chosen)
            assert found.dtype == whole.dtype
            assert np.array_equal(found, expected(whole, **chosen))


def expected(whole: np.ndarray, tokens: Any = None, **axes: list[int]) -> np.ndarray:
    if tokens is not None:
        places = np.asarray(tokens)
        return whole.reshape(COUNT, CHANNELS)[places] if places.ndim == 1 else whole[tuple(places.T)]
    for axis, name in enumerate(("frames", "rows", "cols")):
        if name in axes:
            whole = whole.take(sorted(set(axes[name])), axis)
    return whole


def test_selections_are_written_as_those_of_steps(stores: dict[Kind, Store]) -> None:
    store, whole = stores[KINDS[0]], making.slab("a", 0, 0, 0, KINDS[0], "full").values
    found = store.read("resid", 0, 0, "a", 0, frames="1-2", rows=-1, cols=slice(2, 5))
    assert np.array_equal(found, whole[1:3, -1:, 2:5])
    assert np.array_equal(store.read("resid", 0, 0, "a", 0, tokens=3), whole.reshape(COUNT, -1)[[3]])
    (entry, *_, array) = next(store.iter("resid", frames="0", rows="0"))
    assert (entry.sample, array.shape) == ("a", (1, 1, GRID[2], CHANNELS))
    assert np.array_equal(array, whole[:1, :1])


@pytest.mark.parametrize(
    ("chosen", "kind", "message"),
    [
        ({"frames": "4"}, SelectionError, "there is no frame 4; site resid of this run has frames 0-3"),
        ({"cols": [17]}, SelectionError, "there is no col 17; site resid of this run has cols 0-16"),
        ({"rows": []}, SelectionError, "rows: nothing is selected"),
        ({"tokens": []}, SelectionError, "tokens: nothing is selected"),
        (
            {"tokens": [0, COUNT]},
            SelectionError,
            r"there is no token 884; .* grid 4x13x17 .* has tokens 0-883",
        ),
        ({"tokens": [-1]}, SelectionError, "there is no token -1"),
        ({"tokens": [(0, 13, 0)]}, SelectionError, r"\(0, 13, 0\) is outside the token grid 4x13x17"),
        ({"tokens": [0.5]}, SelectionError, "give flat indices into the token grid"),
        ({"tokens": [[0, 1]]}, SelectionError, "give flat indices into the token grid"),
        ({"tokens": [True]}, SelectionError, "give flat indices into the token grid"),
        ({"tokens": [0], "rows": "0"}, StoreError, "select either tokens, or frames, rows and columns"),
    ],
)
def test_what_cannot_be_selected_is_named(
    stores: dict[Kind, Store], chosen: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        stores[KINDS[0]].read("resid", 0, 0, "a", 0, **chosen)
    assert "\n" not in str(caught.value)


def test_reduced_sites_can_be_selected_from_by_the_axes_that_they_have(tmp_path: Path) -> None:
    kind = Kind("fp8", reductions=("norm", "frames", "project:8", "tokens:5", "mean"))
    store = make_store(tmp_path / "s", kind)

    def read(reduction: str, **chosen: Any) -> np.ndarray:
        return store.read("resid", 0, 10, "a", 0, reduction=reduction, **chosen)

    def values(reduction: str) -> np.ndarray:
        return making.slab("a", 0, 0, 10, kind, reduction).values

    assert np.array_equal(read("norm", frames="1", cols="3-5"), values("norm")[1:2, :, 3:6])
    assert np.array_equal(read("norm", tokens=[40, 3, 40]), values("norm").reshape(-1)[[40, 3, 40]])
    assert np.array_equal(read("frames", frames="1,3"), values("frames")[[1, 3]])
    assert np.array_equal(read("project:8", rows="2"), values("project:8")[:, 2:3])
    with pytest.raises(
        StoreError, match="site resid@frames: rows cannot be selected, its axes are frame, channel"
    ):
        read("frames", rows="0")
    with pytest.raises(
        StoreError, match="site resid@tokens:5: tokens cannot be selected, its axes are token, channel"
    ):
        read("tokens:5", tokens=[0])
    with pytest.raises(StoreError, match="site resid@mean: frames cannot be selected, its axes are channel"):
        read("mean", frames="0")


class Reads:
    """Counts the bytes that are read past HDF5."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        preadv = os.preadv

        def counting(fd: int, buffers: list[memoryview], offset: int) -> int:
            self.sizes.append(sum(map(len, buffers)))
            return preadv(fd, buffers, offset)

        monkeypatch.setattr(os, "preadv", counting)

    def of(self, run: Run, **chosen: Any) -> tuple[int, int]:
        """(how often, how many bytes) a read of these takes."""
        self.sizes.clear()
        run.read("resid", 0, 0, **chosen)
        return len(self.sizes), sum(self.sizes)


def test_no_more_is_read_than_the_blocks_that_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = create_store(tmp_path / "s", making.settings(Kind()))
    grid, channels = (4, 32, 32), 512
    token, slab = 2 * channels, 2 * channels * 4 * 32 * 32
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000], [1.0, 0.0])
        writer.add_site("resid", [0], [0], ["cond"], grid, channels)
        writer.write("resid", 0, 0, "cond", np.zeros((*grid, channels), np.uint16))
        writer.finish()
    checksums = slab // layout.BLOCK * 8
    with store.run("a", 0) as run:
        reads = Reads(monkeypatch)
        assert reads.of(run, tokens=[100, 2000]) == (3, 2 * layout.BLOCK + checksums)
        # In blocks that are known to be whole by now.
        assert reads.of(run, tokens=[100, 2000], raw=True) == (2, 2 * token)
        assert reads.of(run, tokens=[100, 110]) == (1, 11 * token)
        assert reads.of(run, tokens=[3]) == (2, layout.BLOCK + checksums)
        # Most blocks of frame 1, and then exactly those bytes.
        assert reads.of(run, frames="1")[1] == slab // 4 + checksums
        assert reads.of(run, frames="1") == (1, slab // 4)
        # Neighbours are read at once, with what lies between them; what lies far apart is not.
        assert reads.of(run, frames="1", cols="0,15")[0] == 1
        assert reads.of(run, frames="1", cols="0") == (32, 32 * token)
