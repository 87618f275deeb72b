"""Rows are what a reduction leaves of tokens, with the channels or components that it leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from probes.similarity.cka import linear_cka
from probes.similarity.compare import similarity
from stores import SelectionError, Store
from tests.unit.stores.making_kinds import Kind, make_store, slab

RUNS = (("a", 0), ("b", 0), ("c", 0), ("d", 0))
REDUCTIONS = ("frames", "mean", "tokens:5", "project:8", "norm")
KIND = Kind(reductions=REDUCTIONS)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "store", KIND, RUNS)


def rows(layer: int, reduction: str) -> np.ndarray:
    values = [slab(sample, 0, 0, layer, KIND, reduction).values for sample, _ in RUNS]
    return np.concatenate([one.reshape(-1, one.shape[-1]) for one in values])


@pytest.mark.parametrize(("reduction", "row"), [("frames", "frame"), ("tokens:5", "token"), ("mean", "run")])
def test_each_row_is_what_is_kept(store: Store, reduction: str, row: str):
    dataset = similarity(store, reduction=reduction, steps=0, tokens="all").dataset
    first, second = rows(0, reduction), rows(10, reduction)
    assert dataset["cka"].values[0, 0, 1] == pytest.approx(linear_cka(first, second), abs=1e-10)
    assert int(dataset["rows"]) == len(first)
    assert dataset.attrs["row"] == row


def test_components_stand_for_channels(store: Store):
    dataset = similarity(store, reduction="project:8", steps=0, tokens="all").dataset
    expected = linear_cka(rows(0, "project:8"), rows(10, "project:8"))
    assert dataset["cka"].values[0, 0, 1] == pytest.approx(expected, abs=1e-10)


def test_norms_have_no_geometry(store: Store):
    with pytest.raises(SelectionError, match="kept without its channels"):
        similarity(store, reduction="norm")
