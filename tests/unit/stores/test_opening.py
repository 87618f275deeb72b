"""The tools that take a store take its folder as well, as a text or a path."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cosinterp as ci
import stores
from tests.unit.stores.making import make_store

RUNS = [("maze-3", 0), ("maze-3", 1)]


@pytest.mark.parametrize("kind", [str, Path, ci.open])
def test_tools_take_stores_and_folders(tmp_path: Path, kind: Callable[[Any], Any]) -> None:
    a, b = (kind(make_store(tmp_path / name, runs).path) for name, runs in (("a", RUNS), ("b", RUNS[:1])))
    found = ci.diff(a, b)
    assert ([entry.seed for entry in found.only_a], len(found.same)) == ([1], 1)
    assert len(ci.merge(str(tmp_path / "out"), [b, a]).copied) == 2
    assert ci.diff(tmp_path / "out", a).equal
    assert len(ci.merge(tmp_path / "alone", b).copied) == 1
    assert ci.export(a, str(tmp_path / "out.h5"), ci.Wanted(sites="resid")) > 0
    assert (tmp_path / "out.h5").is_file()


def test_the_tools_of_the_package_are_among_its_names() -> None:
    assert {"diff_stores", "merge_stores", "export_store", "Wanted", "Merged"} <= set(stores.__all__)
    assert (ci.diff, ci.merge, ci.export) == (stores.diff_stores, stores.merge_stores, stores.export_store)


def test_a_folder_without_a_store_is_named(tmp_path: Path) -> None:
    store = make_store(tmp_path / "a", RUNS)
    missing = str(tmp_path / "missing")
    for call in (
        lambda: ci.diff(store, missing),
        lambda: ci.merge(tmp_path / "out", [store, missing]),
        lambda: ci.export(missing, tmp_path / "out.h5"),
    ):
        with pytest.raises(ci.StoreError, match=missing):
            call()
