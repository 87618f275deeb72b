"""Removing takes the runs that are selected and nothing else, and leaves a store that verifies."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stores import Store, StoreError, open_store
from stores.catalog import Catalog
from stores.claim import Claim
from stores.tools.remove import (
    StoredFile,
    find_gone,
    find_leftovers,
    find_runs,
    forget_gone,
    remove_leftovers,
    remove_runs,
)
from tests.unit.stores.making import make_store, write_run

RUNS = [("maze-3", 0), ("maze-3", 1), ("maze-4", 0)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = make_store(tmp_path / "s", RUNS)
    write_run(made, "maze-3", 0, "patched")
    return made


def names(found: list[StoredFile]) -> list[str]:
    return [one.file for one in found]


def test_runs_are_found_by_sample_seed_and_variant(store: Store) -> None:
    base = ["runs/maze-3/0.h5", "runs/maze-3/1.h5", "runs/maze-4/0.h5"]
    patched = "runs/maze-3/0.patched.h5"
    assert names(find_runs(store)) == [base[0], patched, base[1], base[2]]
    assert names(find_runs(store, samples=["maze-4", "other"])) == [base[2]]
    assert names(find_runs(store, seeds="0", variant="base")) == [base[0], base[2]]
    assert names(find_runs(store, samples=["maze-3"], seeds="0-5")) == [base[0], patched, base[1]]
    assert names(find_runs(store, variant="patched")) == [patched]
    assert names(find_runs(store, variant="noised")) == []
    assert [run.size for run in find_runs(store)] == [entry.size for entry in store.runs()]


def test_what_is_removed_is_gone_and_the_rest_verifies(store: Store) -> None:
    before = {entry.key: (store.path / entry.file).read_bytes() for entry in store.runs()}
    remove_runs(store, find_runs(store, samples=["maze-3"], seeds="0"))
    for view in (store, open_store(store.path)):
        assert [entry.key for entry in view.runs()] == [("maze-3", 1, "base"), ("maze-4", 0, "base")]
        assert view.verify() == []
    assert {entry.key: (store.path / entry.file).read_bytes() for entry in store.runs()} == {
        key: content
        for key, content in before.items()
        if key in {("maze-3", 1, "base"), ("maze-4", 0, "base")}
    }


def test_a_run_can_be_made_anew_after_it_was_removed(store: Store) -> None:
    remove_runs(store, find_runs(store, samples=["maze-4"]))
    assert not store.has("maze-4", 0)
    write_run(store, "maze-4", 0)
    assert store.verify() == []
    assert len(store.runs()) == 4


def test_a_damaged_run_and_one_without_a_line_are_found_as_well(store: Store) -> None:
    (store.path / "runs/maze-4/0.h5").write_bytes(b"damaged")
    for catalog in (store.path / "catalog").iterdir():
        catalog.unlink()
    opened = open_store(store.path)
    assert ("maze-4", 0, "base") not in {entry.key for entry in opened.runs()}
    remove_runs(opened, find_runs(opened, samples=["maze-4"]))
    assert opened.verify() == []
    assert len(opened.runs()) == 3


def test_all_can_be_removed(store: Store) -> None:
    remove_runs(store, find_runs(store))
    assert open_store(store.path).runs() == []
    assert open_store(store.path).verify() == []
    assert list((store.path / "runs").iterdir()) == []


def test_the_folder_of_a_sample_may_go_while_a_run_of_it_is_begun(store: Store) -> None:
    folder = store.path / "runs/maze-9"
    claim = Claim(folder / "0.h5.partial", "maze-9 0")
    assert folder.is_dir()
    remove_runs(store, find_runs(store))
    assert [path.name for path in (store.path / "runs").iterdir()] == ["maze-9"]
    claim.release()
    (folder / "0.h5.partial").write_bytes(b"half a run")
    remove_leftovers(store, find_leftovers(store))
    assert list((store.path / "runs").iterdir()) == []


def test_who_reads_a_run_reads_on(store: Store) -> None:
    with store.run("maze-3", 0) as run:
        remove_runs(store, find_runs(store))
        assert run.read("resid", 2, 20).shape == (3, 4, 5, 6)
        assert run.video is not None
    with pytest.raises(StoreError, match="no runs"):
        store.run("maze-3", 0)


def test_what_was_removed_before_an_interruption_is_gone_from_the_catalog(store: Store) -> None:
    def interrupt(done: int, total: int, file: str) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remove_runs(store, find_runs(store), interrupt)
    assert 0 < len(open_store(store.path).runs()) < 4
    assert open_store(store.path).verify() == []


def test_a_kill_between_files_and_catalog_is_named_and_mended(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise SystemExit(137)

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "rewrite", killed)
        with pytest.raises(SystemExit):
            remove_runs(store, find_runs(store, samples=["maze-3"]))
    opened = open_store(store.path)
    assert [entry.sample for entry in opened.runs()] == ["maze-4"]
    problems = opened.verify()
    assert {problem.kind for problem in problems} == {"catalog"}
    assert all("it is gone; run store reindex" in problem.message for problem in problems)
    assert opened.reindex() == []
    assert opened.verify() == []


def test_what_a_killed_removal_left_is_found_and_forgotten(store: Store) -> None:
    for file in ("maze-3/0.h5", "maze-4/0.h5"):
        (store.path / "runs" / file).unlink()
    opened = open_store(store.path)
    gone = find_gone(opened, samples=["maze-4"])
    assert [entry.key for entry in gone] == [("maze-4", 0, "base")]
    assert [entry.sample for entry in find_gone(opened)] == ["maze-3", "maze-4"]
    assert find_gone(opened, seeds="1-5") == find_gone(opened, variant="patched") == []
    assert find_runs(opened, samples=["maze-4"]) == []
    forget_gone(opened, gone)
    assert find_gone(opened) == []
    assert not (store.path / "runs/maze-4").exists()
    assert opened.verify() == open_store(store.path).verify() == []
    assert len(opened.runs()) == 2


def test_a_run_that_another_process_finishes_meanwhile_keeps_its_line(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Catalog.rewrite
    late = [("maze-9", 0)]

    def rewrite(catalog: Catalog, *entries: object) -> None:
        if late:
            write_run(open_store(store.path), *late.pop())
        plain(catalog, *entries)

    monkeypatch.setattr(Catalog, "rewrite", rewrite)
    remove_runs(store, find_runs(store, samples=["maze-4"]))
    assert open_store(store.path).verify() == []
    assert open_store(store.path).has("maze-9", 0)


def test_what_is_gone_already_is_passed_over(store: Store) -> None:
    found = find_runs(store)
    (store.path / "runs/maze-3/1.h5").unlink()
    remove_runs(store, found)
    assert open_store(store.path).verify() == []


def test_progress_counts_bytes(store: Store) -> None:
    calls: list[tuple[int, int, str]] = []
    found = find_runs(store)
    remove_runs(store, found, lambda *call: calls.append(call))
    sizes = [run.size for run in found]
    assert calls == [(sum(sizes[:n]), sum(sizes), run.file) for n, run in enumerate(found)]


def test_leftovers_of_killed_processes_are_found_and_removed(store: Store) -> None:
    partial = store.path / "runs/maze-3/7.h5.partial"
    partial.write_bytes(b"half a run")
    drafts = [store.path / ".store.json.12-ab", store.path / "catalog/host-12-ab.draft"]
    for draft in drafts:
        draft.write_bytes(b"x")
    found = find_leftovers(store)
    assert [(one.file, one.size) for one in found] == [
        ("runs/maze-3/7.h5.partial", 10),
        (".store.json.12-ab", 1),
        ("catalog/host-12-ab.draft", 1),
    ]
    assert sorted(problem.file for problem in store.verify()) == sorted(names(found))
    assert remove_leftovers(store, found) == found
    assert find_leftovers(store) == []
    assert store.verify() == []
    assert len(open_store(store.path).runs()) == 4


def test_a_run_that_is_being_made_is_no_leftover(store: Store) -> None:
    with store.writer("maze-9", 0):
        assert find_leftovers(store) == []
        partial = StoredFile("runs/maze-9/0.h5.partial", 0)
        assert remove_leftovers(store, [partial]) == []
        assert (store.path / partial.file).exists()


def test_a_leftover_that_a_trace_takes_up_again_stays(store: Store) -> None:
    partial = store.path / "runs/maze-3/7.h5.partial"
    partial.write_bytes(b"half a run")
    found = find_leftovers(store)
    claim = Claim(partial, "maze-3 7")
    assert remove_leftovers(store, found) == []
    claim.release()
    assert remove_leftovers(store, found) == found
    assert not partial.exists()


def test_without_locks_a_leftover_of_this_machine_is_known_by_its_process(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for seed, owner in ((7, f"{socket.gethostname()} {dead.pid}"), (8, "node-17 1234")):
        partial = store.path / f"runs/maze-3/{seed}.h5.partial"
        partial.write_bytes(b"half a run")
        partial.with_name(partial.name + ".claim").write_text(owner)
    found = find_leftovers(store)
    assert names(found) == ["runs/maze-3/7.h5.partial"]
    assert [problem.file for problem in store.verify()] == names(found)
    assert remove_leftovers(store, found) == found
    assert sorted(path.name for path in (store.path / "runs/maze-3").glob("*.partial*")) == [
        "8.h5.partial",
        "8.h5.partial.claim",
    ]


def test_files_that_are_no_runs_are_left_alone(store: Store) -> None:
    for name in ("notes.txt", "7.h5.partial.bak", "x.h5.partial"):
        (store.path / "runs/maze-3" / name).write_text("mine")
    assert find_leftovers(store) == []
    remove_runs(store, find_runs(store))
    assert len(list((store.path / "runs/maze-3").iterdir())) == 3


def test_a_store_that_cannot_be_written_is_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    found = find_runs(store)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(StoreError, match=r"runs/maze-3/0\.h5: cannot be removed: Permission denied"):
        remove_runs(store, found)
    (store.path / ".store.json.12-ab").write_bytes(b"x")
    with pytest.raises(StoreError, match="Permission denied"):
        remove_leftovers(store, find_leftovers(store))
