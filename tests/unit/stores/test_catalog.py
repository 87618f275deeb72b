"""The catalog while one process rewrites it and others go on: no run is lost, and none that is gone stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores import Store, catalog, open_store
from stores.catalog import Catalog
from stores.tools.remove import find_runs, remove_runs
from tests.unit.stores.making import make_store, write_run


def seeds(store: Store) -> list[int]:
    return [entry.seed for entry in store.runs()]


def lines(store: Store) -> list[int]:
    """The seeds that the catalog names, whatever files there are."""
    found = Catalog(store.path)
    found.refresh()
    return [entry.seed for entry in found.entries()]


def test_who_reads_on_sees_what_a_writer_finishes_after_runs_were_removed(tmp_path: Path) -> None:
    writer = make_store(tmp_path / "s", [("a", 0)])
    reader, other = open_store(writer.path), open_store(writer.path)
    assert seeds(reader) == [0]
    remove_runs(other, find_runs(other))
    write_run(writer, "a", 1)
    assert seeds(reader) == [1]
    write_run(writer, "a", 2)
    assert seeds(reader) == [1, 2]
    assert reader.verify() == []


def test_who_reads_on_sees_another_file_of_the_same_name_and_size(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", [("a", 0), ("a", 1)])
    reader = open_store(store.path)
    assert seeds(reader) == [0, 1]
    (path,) = (store.path / "catalog").glob("*.jsonl")
    (store.path / "runs/a/0.h5").rename(store.path / "runs/a/2.h5")
    draft = path.with_suffix(".draft")
    draft.write_text(path.read_text().replace('"seed":0', '"seed":2').replace("a/0.h5", "a/2.h5"))
    draft.replace(path)
    assert seeds(reader) == [1, 2]


def test_reindexing_keeps_the_lines_of_runs_that_are_finished_meanwhile(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", [("a", 0)])
    other = open_store(store.path)
    store.reindex(lambda *_: write_run(other, "a", 1) and None)
    assert lines(store) == [0, 1]
    assert seeds(store) == seeds(other) == [0, 1]


def test_reindexing_passes_over_a_run_that_is_removed_meanwhile(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", [("a", 0), ("a", 1), ("a", 2)])

    def remove(done: int, _: int, __: str) -> None:
        # One that is read already, and one that is yet to be.
        for seed in (0, 2) if done == 1 else ():
            (store.path / f"runs/a/{seed}.h5").unlink()

    assert store.reindex(remove) == []
    assert lines(store) == [1]


def test_a_line_that_goes_to_a_file_that_is_gone_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "s", [("a", 0)])
    entries = store.runs()
    write = catalog._write_all

    def write_late(fd: int, text: bytes) -> None:
        monkeypatch.setattr(catalog, "_write_all", write)
        Catalog(store.path).rewrite(entries)
        write(fd, text)

    # Else who rewrites it would find the run by its file.
    monkeypatch.setattr(Catalog, "reconcile", lambda _: None)
    monkeypatch.setattr(catalog, "_write_all", write_late)
    write_run(store, "a", 1)
    assert lines(store) == [0, 1]
