"""A store behaves as a dictionary of runs would, whatever is done to it in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stores import StoreError, StoreSettings, create_store, layout, open_store
from stores.dtypes import DTYPES
from stores.reduction import parse_reduction
from stores.slabs.compression import COMPRESSIONS
from tests.unit.stores import making_kinds as making
from tests.unit.stores.making_kinds import LAYERS, STEPS, Kind

GRID = (4, 3, 5)
REDUCTIONS = ("full", "project:3", "tokens:4", "norm", "frames")

samples = st.sampled_from(["a", "b"])
seeds = st.integers(0, 3)
variants = st.sampled_from(["base", "patched"])
kinds = st.builds(Kind, st.sampled_from(DTYPES), st.sampled_from(COMPRESSIONS), st.just(REDUCTIONS))


def numbers(count: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, count - 1), min_size=1, max_size=6)


parts = st.one_of(
    st.fixed_dictionaries(
        {}, optional={"frames": numbers(GRID[0]), "rows": numbers(GRID[1]), "cols": numbers(GRID[2])}
    ),
    st.fixed_dictionaries({"tokens": numbers(GRID[0] * GRID[1] * GRID[2])}),
)


def part_of(whole: np.ndarray, axes: tuple[str, ...], part: dict[str, Any]) -> np.ndarray | None:
    """What a read of a part should give; None if the axes do not allow it."""
    if "tokens" in part:
        if axes[:3] != ("frame", "row", "col"):
            return None
        return whole.reshape(-1, *whole.shape[3:])[part["tokens"]]
    for name, chosen in part.items():
        axis = name.removesuffix("s")
        if axis not in axes:
            return None
        whole = whole.take(sorted(set(chosen)), axes.index(axis))
    return whole


class StoreAgainstDictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(making, "GRID", GRID)
        self.patch.setattr(making, "CHANNELS", 6)
        # Chunks of one frame or two.
        self.patch.setattr(layout, "MAX_CHUNK", 200)
        self.folder = Path(tempfile.mkdtemp(prefix="store-"))
        capture = {"sites": ["resid"], "reductions": {"resid": REDUCTIONS}}
        self.store = create_store(self.folder / "s", StoreSettings(capture=capture))
        self.other = open_store(self.folder / "s")
        self.model: dict[tuple[str, int, str], tuple[int, Kind]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)
        self.patch.undo()

    @rule(sample=samples, seed=seeds, variant=variants, kind=kinds, by_other=st.booleans())
    def write(self, sample: str, seed: int, variant: str, kind: Kind, by_other: bool) -> None:
        writer = self.other if by_other else self.store
        if (sample, seed, variant) in self.model:
            with pytest.raises(StoreError, match="this run exists"):
                making.write_run(writer, sample, seed, kind, variant)
        else:
            entry = making.write_run(writer, sample, seed, kind, variant)
            self.model[sample, seed, variant] = entry.size, kind

    @rule(sample=samples, seed=seeds, variant=variants)
    def give_up(self, sample: str, seed: int, variant: str) -> None:
        if (sample, seed, variant) not in self.model:
            with self.store.writer(sample, seed, variant) as writer:
                writer.set_schedule([1], [1, 0])

    @rule(
        sample=samples,
        seed=seeds,
        variant=variants,
        step=st.sampled_from(STEPS),
        layer=st.sampled_from(LAYERS),
        reduction=st.sampled_from(REDUCTIONS),
        part=parts,
        raw=st.booleans(),
    )
    def read(
        self,
        sample: str,
        seed: int,
        variant: str,
        step: int,
        layer: int,
        reduction: str,
        part: dict[str, Any],
        raw: bool,
    ) -> None:
        place = ("resid", step, layer, sample, seed, "cond", variant)
        _, kind = self.model.get((sample, seed, variant), (0, None))
        expected = None
        if kind is not None:
            made = making.slab(sample, seed, step, layer, kind, reduction)
            expected = part_of(made.raw if raw else made.values, parse_reduction(reduction).axes, part)
        if expected is None:
            with pytest.raises(StoreError):
                self.store.read(*place, reduction=reduction, raw=raw, **part)
        else:
            found = self.store.read(*place, reduction=reduction, raw=raw, **part)
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            assert np.array_equal(found, expected)

    @rule(reduction=st.sampled_from(REDUCTIONS), layer=st.sampled_from(LAYERS), variant=variants)
    def go_through(self, reduction: str, layer: int, variant: str) -> None:
        found = self.other.iter("resid", layers=layer, variant=variant, reduction=reduction)
        for key in sorted(key for key in self.model if key[2] == variant):
            for step in STEPS:
                entry, *place, array = next(found)
                assert (entry.key, place) == (key, [step, layer, "cond"])
                _, kind = self.model[key]
                made = making.slab(key[0], key[1], step, layer, kind, reduction)
                assert np.array_equal(array, made.values)
        assert next(found, None) is None

    @rule()
    def reindex(self) -> None:
        assert self.store.reindex() == []

    @rule()
    def lose_the_catalog(self) -> None:
        shutil.rmtree(self.folder / "s/catalog", ignore_errors=True)

    @rule()
    def open_again(self) -> None:
        self.store = open_store(self.folder / "s")

    @rule()
    def verify(self) -> None:
        # A lost catalog is all that this test breaks.
        assert {problem.kind for problem in self.other.verify()} <= {"catalog"}

    @invariant()
    def the_runs_are_those_that_were_finished(self) -> None:
        sizes = {key: size for key, (size, _) in self.model.items()}
        for store in (self.store, self.other):
            assert {entry.key: entry.size for entry in store.runs()} == sizes
        for sample in ("a", "b"):
            listed = [entry.key for entry in self.store.runs(sample, slice(1, 3), "base")]
            assert listed == sorted(
                k for k in self.model if k[0] == sample and k[1] in (1, 2) and k[2] == "base"
            )
        assert all(self.store.has(*key) for key in self.model)


TestStoreAgainstDictionary = StoreAgainstDictionary.TestCase
TestStoreAgainstDictionary.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
