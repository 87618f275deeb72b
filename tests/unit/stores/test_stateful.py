"""A store behaves as a dictionary of runs would, whatever is done to it in whatever order."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from stores import StoreError, open_store
from tests.unit.stores.making import BRANCHES, LAYERS, STEPS, bits, make_store, write_run

samples = st.sampled_from(["a", "b"])
seeds = st.integers(0, 3)
variants = st.sampled_from(["base", "patched"])


class StoreAgainstDictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="store-"))
        self.store = make_store(self.folder / "s")
        self.other = open_store(self.folder / "s")
        self.model: dict[tuple[str, int, str], int] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(sample=samples, seed=seeds, variant=variants, by_other=st.booleans())
    def write(self, sample: str, seed: int, variant: str, by_other: bool) -> None:
        writer = self.other if by_other else self.store
        if (sample, seed, variant) in self.model:
            with pytest.raises(StoreError, match="this run exists"):
                write_run(writer, sample, seed, variant)
        else:
            self.model[sample, seed, variant] = write_run(writer, sample, seed, variant).size

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
        branch=st.sampled_from(BRANCHES),
    )
    def read(self, sample: str, seed: int, variant: str, step: int, layer: int, branch: str) -> None:
        place = ("resid", step, layer, sample, seed, branch, variant)
        if (sample, seed, variant) in self.model:
            written = bits(sample, seed, step, layer, branch)
            assert np.array_equal(self.store.read(*place, raw=True), written)
        else:
            with pytest.raises(StoreError):
                self.store.read(*place)

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
        for store in (self.store, self.other):
            assert {entry.key: entry.size for entry in store.runs()} == self.model
        for sample in ("a", "b"):
            listed = [entry.key for entry in self.store.runs(sample, slice(1, 3), "base")]
            assert listed == sorted(
                k for k in self.model if k[0] == sample and k[1] in (1, 2) and k[2] == "base"
            )
        assert all(self.store.has(*key) for key in self.model)


TestStoreAgainstDictionary = StoreAgainstDictionary.TestCase
TestStoreAgainstDictionary.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
