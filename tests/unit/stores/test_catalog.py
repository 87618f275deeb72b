"""The catalog while one process rewrites it and others go on: no run is lost, and none that is gone stays."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from stores import Store, StoreError, catalog, open_store
from stores.catalog import Catalog
from stores.tools.remove import find_runs, remove_runs
from tests.unit.stores.making import keys, make_store, write_run


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


def test_runs_of_other_writers_appear_by_themselves(tmp_path: Path) -> None:
    reader = make_store(tmp_path / "s")
    assert reader.runs() == []
    writers = [open_store(tmp_path / "s") for _ in range(2)]
    for seed, writer in enumerate(writers):
        write_run(writer, "a", seed)
        assert keys(reader) == [("a", n) for n in range(seed + 1)]
    assert len(list((tmp_path / "s/catalog").glob("*.jsonl"))) == 2


def test_a_run_whose_line_was_lost_is_found_and_a_lost_run_is_not_listed(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", [("a", 0), ("a", 1)])
    (catalog,) = (store.path / "catalog").glob("*.jsonl")
    first, second = catalog.read_text().splitlines(keepends=True)
    expected = store.runs()
    # The second line was being written when its process was killed.
    catalog.write_text(first + second[:30])
    again = open_store(store.path)
    assert again.runs() == expected
    write_run(again, "a", 2)
    assert again.verify() == [], "the next run that is finished brings the lost line back"
    (store.path / "runs/a/0.h5").unlink()
    assert [entry.seed for entry in open_store(store.path).runs()] == [1, 2]


def test_without_a_catalog_everything_is_found_and_reindex_writes_it_again(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", [("a", 0), ("a", 5), ("b", 0)])
    expected = store.runs()
    shutil.rmtree(store.path / "catalog")
    again = open_store(store.path)
    assert again.runs() == expected
    assert {problem.kind for problem in again.verify()} == {"catalog"}
    assert again.reindex() == []
    assert again.verify() == []
    assert open_store(store.path).runs() == expected


def test_reindex_names_what_it_leaves_out(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", [("a", 0), ("a", 1)])
    (store.path / "runs/a/0.h5").write_bytes(b"no HDF5")
    (failure,) = store.reindex()
    assert "runs/a/0.h5: damaged, it is cut short, or no run" in str(failure)
    assert keys(store) == [("a", 1)]


def test_a_catalog_of_10_000_runs_is_read_without_opening_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make_store(tmp_path / "s", [("maze-0", 0)])
    entry = store.runs()[0].to_json()
    lines = []
    for number in range(10_000):
        sample, seed = f"maze-{number // 100}", number % 100
        file = store.path / f"runs/{sample}/{seed}.h5"
        file.parent.mkdir(exist_ok=True)
        file.touch()
        lines.append(json.dumps(entry | {"sample": sample, "seed": seed, "file": f"runs/{sample}/{seed}.h5"}))
    (store.path / "catalog/other.jsonl").write_text("\n".join(lines) + "\n")

    def fail(*_: object) -> None:
        raise AssertionError("a run was opened")

    monkeypatch.setattr("stores.catalog.open_run", fail)
    opened = open_store(store.path)
    assert len(opened.runs()) == 10_000
    assert len(opened.runs(seed=slice(0, 3))) == 300
    assert keys(opened, sample="maze-99", seed=99) == [("maze-99", 99)]


def test_half_a_line_on_a_full_disk_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(tmp_path / "s", [("a", 0)])
    write, full = os.write, True

    def half(fd: int, data: bytes) -> int:
        if not full:
            return write(fd, data)
        write(fd, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(StoreError, match="No space left"):
            write_run(store, "a", 1)
        full = False
        write_run(store, "a", 2)
    assert [entry.seed for entry in open_store(tmp_path / "s").runs()] == [0, 1, 2]
    assert [problem.kind for problem in store.verify()] == []
