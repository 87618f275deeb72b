"""Merging keeps every run once, refuses what does not fit together, and goes on after an interruption."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from stores import Store, StoreError, create_store, diff_stores, open_store
from stores.tools import merge
from stores.tools.merge import bring_runs, merge_stores, plan_merge
from tests.unit.stores import making
from tests.unit.stores.making import make_store, settings, write_run

A = [("maze-3", 0), ("maze-3", 1)]
B = [("maze-3", 1), ("maze-4", 0)]
ALL = [("maze-3", 0), ("maze-3", 1), ("maze-4", 0)]


@pytest.fixture
def a(tmp_path: Path) -> Store:
    return make_store(tmp_path / "a", A)


@pytest.fixture
def b(tmp_path: Path) -> Store:
    return make_store(tmp_path / "b", B)


def files(store: Path) -> dict[str, bytes]:
    return {
        path.relative_to(store).as_posix(): path.read_bytes()
        for path in sorted((store / "runs").rglob("*"))
        if path.is_file()
    }


def keys(store: Store) -> list[tuple[str, int]]:
    return [(entry.sample, entry.seed) for entry in store.runs()]


def another_run(monkeypatch: pytest.MonkeyPatch, store: Store, sample: str, seed: int) -> None:
    """A run of that name whose activations are others."""
    plain = making.bits
    with monkeypatch.context() as patch:
        patch.setattr(making, "bits", lambda *where: plain(*where) ^ np.uint16(1))
        write_run(store, sample, seed)


def test_a_merge_holds_every_run_once(a: Store, b: Store, tmp_path: Path) -> None:
    merged = merge_stores(tmp_path / "out", [a, b])
    store = open_store(tmp_path / "out")
    assert keys(store) == ALL
    assert sorted(entry.key for entry in merged.copied) == [entry.key for entry in store.runs()]
    assert merged.linked == ()
    assert files(store.path) == files(b.path) | files(a.path)
    assert store.settings == a.settings
    assert store.verify() == []
    assert diff_stores(store, make_store(tmp_path / "at-once", ALL)).equal


def test_the_sources_are_as_they_were(a: Store, b: Store, tmp_path: Path) -> None:
    before = files(a.path), files(b.path)
    bring_runs(plan_merge(tmp_path / "out", [a, b], link=True))
    assert (files(a.path), files(b.path)) == before
    assert a.verify() == b.verify() == []


def test_a_store_that_is_there_gains_runs(a: Store, b: Store) -> None:
    inode = os.stat(a.path / "runs/maze-3/1.h5").st_ino
    plan = plan_merge(a.path, [b])
    assert [transfer.entry.key for transfer in plan.transfers] == [("maze-4", 0, "base")]
    assert plan.present == (("maze-3", 1, "base"),)
    bring_runs(plan)
    assert keys(a) == ALL
    assert os.stat(a.path / "runs/maze-3/1.h5").st_ino == inode
    assert open_store(a.path).verify() == []


def test_merging_again_has_nothing_to_do(a: Store, b: Store, tmp_path: Path) -> None:
    bring_runs(plan_merge(tmp_path / "out", [a, b]))
    plan = plan_merge(tmp_path / "out", [a, b])
    assert (plan.transfers, plan.copied_bytes) == ((), 0)
    assert [key[:2] for key in plan.present] == ALL
    assert bring_runs(plan).copied == ()


def test_a_store_named_twice_counts_once(a: Store, tmp_path: Path) -> None:
    (tmp_path / "same").symlink_to(a.path)
    assert len(plan_merge(tmp_path / "out", [a, a, open_store(tmp_path / "same")]).transfers) == 2
    assert plan_merge(a.path, [open_store(tmp_path / "same")]).transfers == ()


def test_linked_runs_share_their_files(a: Store, b: Store, tmp_path: Path) -> None:
    plan = plan_merge(tmp_path / "out", [a, b], link=True)
    assert plan.copied_bytes == 0
    assert plan.size == sum(transfer.entry.size for transfer in plan.transfers) > 0
    merged = bring_runs(plan)
    assert len(merged.linked) == 3
    assert (tmp_path / "out/runs/maze-3/0.h5").samefile(a.path / "runs/maze-3/0.h5")
    assert open_store(tmp_path / "out").verify() == []


@pytest.mark.parametrize("number", [errno.EPERM, errno.EXDEV, errno.EMLINK])
def test_where_links_are_refused_runs_are_copied(
    a: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    plan = plan_merge(tmp_path / "out", [a], link=True)
    create_store(plan.out, plan.settings)
    monkeypatch.setattr(merge.os, "link", refuse)
    merged = bring_runs(plan)
    assert len(merged.copied) == 2
    assert not (tmp_path / "out/runs/maze-3/0.h5").samefile(a.path / "runs/maze-3/0.h5")
    assert open_store(tmp_path / "out").verify() == []


def test_where_the_kernel_cannot_copy_python_does(
    a: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EXDEV, "no")

    monkeypatch.setattr(os, "copy_file_range", refuse, raising=False)
    bring_runs(plan_merge(tmp_path / "out", [a]))
    assert files(tmp_path / "out") == files(a.path)


def test_other_settings_are_named_line_by_line(a: Store, tmp_path: Path) -> None:
    b = create_store(tmp_path / "b", settings(layers=[0, 10], dtype="fp16"))
    with pytest.raises(StoreError) as error:
        plan_merge(tmp_path / "out", [a, b])
    assert str(error.value).splitlines() == [
        f"{b.path}: other settings than {a.path}, so the two cannot be merged",
        "  capture.layers: 0,10,20 there, 0,10 here",
        "  capture.dtype: bf16 there, fp16 here",
    ]
    assert not (tmp_path / "out").exists()


def test_a_conflict_is_named_before_anything_is_copied(
    a: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = make_store(tmp_path / "b", [("maze-4", 0)])
    another_run(monkeypatch, b, "maze-3", 1)
    with pytest.raises(StoreError) as error:
        plan_merge(tmp_path / "out", [a, b])
    head, line = str(error.value).splitlines()
    assert head.startswith("nothing was merged")
    assert line.startswith(
        f"  runs/maze-3/1.h5 in {a.path} (A) and {b.path} (B): activations/resid: 12 of 12 "
    )
    assert not (tmp_path / "out").exists()
    with pytest.raises(StoreError, match="runs/maze-3/1.h5"):
        plan_merge(a.path, [b])
    assert keys(open_store(a.path)) == A


def test_many_conflicts_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = make_store(tmp_path / "a", [("m", seed) for seed in range(10)]), make_store(tmp_path / "b")
    for seed in range(10):
        another_run(monkeypatch, b, "m", seed)
    with pytest.raises(StoreError) as error:
        plan_merge(tmp_path / "out", [a, b])
    lines = str(error.value).splitlines()
    assert (len(lines), lines[-1]) == (10, "  and 2 more")


def test_variants_of_a_run_are_runs_of_their_own(a: Store, tmp_path: Path) -> None:
    b = make_store(tmp_path / "b")
    write_run(b, "maze-3", 1, "patched")
    bring_runs(plan_merge(a.path, [b]))
    assert [entry.key for entry in a.runs("maze-3", 1)] == [("maze-3", 1, "base"), ("maze-3", 1, "patched")]


def test_a_damaged_run_is_named_before_anything_is_copied(a: Store, b: Store, tmp_path: Path) -> None:
    path = b.path / "runs/maze-4/0.h5"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=f"{path}: damaged"):
        plan_merge(tmp_path / "out", [a, b])
    assert not (tmp_path / "out").exists()


def flip_in_a_chunk(store: Store, sample: str, seed: int) -> Path:
    path = store.path / f"runs/{sample}/{seed}.h5"
    with h5py.File(path) as file:
        offset = file["activations/resid"].id.get_chunk_info(3).byte_offset
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 4]))
    return path


@pytest.mark.parametrize("link", [False, True])
def test_of_a_run_whose_chunk_is_damaged_another_copy_is_taken(tmp_path: Path, link: bool) -> None:
    a = make_store(tmp_path / "a", A)
    shutil.copytree(a.path, tmp_path / "b")
    whole = files(tmp_path / "b")
    damaged = flip_in_a_chunk(a, "maze-3", 1)
    plan = plan_merge(tmp_path / "out", [a, open_store(tmp_path / "b")], link=link)
    assert len(plan.damaged) == 1
    assert plan.damaged[0].startswith(f"{damaged}: damaged, the chunk of /activations/resid at (0, 1, 1, 0)")
    bring_runs(plan)
    assert files(tmp_path / "out") == whole
    assert open_store(tmp_path / "out").verify() == []


def test_of_a_run_that_cannot_be_opened_another_copy_is_taken(tmp_path: Path) -> None:
    a = make_store(tmp_path / "a", A)
    shutil.copytree(a.path, tmp_path / "b")
    (a.path / "runs/maze-3/1.h5").write_bytes(b"damaged")
    b = open_store(tmp_path / "b")
    plan = plan_merge(tmp_path / "out", [a, b])
    assert [line.partition(": ")[0] for line in plan.damaged] == [str(a.path / "runs/maze-3/1.h5")]
    bring_runs(plan)
    assert open_store(tmp_path / "out").verify() == []
    # Whoever has the damaged one already would keep it.
    with pytest.raises(StoreError, match=rf"nothing was merged(?s:.*){a.path}/runs/maze-3/1.h5: damaged"):
        plan_merge(a.path, [b])


@pytest.mark.parametrize("link", [False, True])
def test_a_damaged_chunk_is_named_before_anything_is_brought(
    a: Store, b: Store, tmp_path: Path, link: bool
) -> None:
    damaged = [flip_in_a_chunk(a, "maze-3", 0), flip_in_a_chunk(b, "maze-4", 0)]
    with pytest.raises(StoreError) as error:
        plan_merge(tmp_path / "out", [a, b], link=link)
    head, *lines = str(error.value).splitlines()
    assert head == "nothing was merged, because of some runs there is no whole copy"
    assert [line.partition(": ")[0] for line in lines] == [f"  {path}" for path in damaged]
    assert not (tmp_path / "out").exists()


def test_too_little_space_is_said_with_both_numbers(
    a: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("stores.files.shutil.disk_usage", lambda _: free)
    needed = sum(entry.size for entry in a.runs())
    with pytest.raises(StoreError, match=rf"copying 2 runs needs {needed:,} bytes .* has 1,000 free"):
        plan_merge(tmp_path / "out", [a])
    assert plan_merge(tmp_path / "out", [a], link=True).copied_bytes == 0


def test_a_line_of_a_run_that_was_deleted_does_not_stand_for_the_one_that_comes(
    a: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, _: Any = None) -> datetime:
            return datetime(2041, 1, 1, tzinfo=UTC)

    with monkeypatch.context() as patch:
        patch.setattr("stores.writer.datetime", Later)
        out = make_store(tmp_path / "out", A[:1])
    (out.path / "runs/maze-3/0.h5").unlink()
    bring_runs(plan_merge(out.path, [a]))
    store = open_store(out.path)
    assert store.verify() == []
    assert [entry.finished for entry in store.runs()] == [entry.finished for entry in a.runs()]


def test_what_is_there_and_no_store_is_left_alone(a: Store, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thesis.tex").write_text("")
    (tmp_path / "file").write_text("")
    for name in ("full", "file"):
        with pytest.raises(StoreError, match="no store"):
            plan_merge(tmp_path / name, [a])
    with pytest.raises(StoreError, match="nothing to merge"):
        plan_merge(tmp_path / "out", [])


def test_an_interrupted_merge_leaves_whole_runs_and_goes_on(a: Store, b: Store, tmp_path: Path) -> None:
    def interrupt(done: int, total: int, file: str) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        bring_runs(plan_merge(out, [a, b]), interrupt)
    store = open_store(out)
    assert 0 < len(store.runs()) < 3
    assert store.verify() == []
    bring_runs(plan_merge(out, [a, b]))
    assert keys(store) == ALL
    assert store.verify() == []


KILLED = """
import os, signal, sys
from stores import open_store
from stores.tools import merge

def killed(source, target, copied):
    global runs
    runs += 1
    if runs < 2:
        return plain(source, target, copied)
    os.write(target, os.read(source, 1000))
    os.kill(os.getpid(), signal.SIGKILL)

runs, plain, merge.copy_bytes = 0, merge.copy_bytes, killed
out, *sources = sys.argv[1:]
merge.bring_runs(merge.plan_merge(out, [open_store(source) for source in sources]))
"""


def test_a_killed_merge_leaves_whole_runs_and_goes_on(a: Store, b: Store, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = [sys.executable, "-c", KILLED, *map(str, (out, a.path, b.path))]
    done = subprocess.run(arguments, cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -signal.SIGKILL
    store = open_store(out)
    assert [(problem.file, problem.kind) for problem in store.verify()] == [
        ("runs/maze-3/1.h5.partial", "leftover")
    ]
    assert len(store.runs()) == 1
    bring_runs(plan_merge(out, [a, b]))
    assert keys(store) == ALL
    assert store.verify() == []


@pytest.mark.parametrize("link", [False, True])
def test_a_run_that_is_being_made_is_left_to_its_maker(a: Store, tmp_path: Path, link: bool) -> None:
    plan = plan_merge(tmp_path / "out", [a], link=link)
    store = create_store(tmp_path / "out", plan.settings)
    with store.writer("maze-3", 0):
        with pytest.raises(StoreError, match="another process is making this run"):
            bring_runs(plan)
        assert list(files(store.path)) == ["runs/maze-3/0.h5.partial"]
    bring_runs(plan)
    assert files(store.path) == files(a.path)


@pytest.mark.parametrize("link", [False, True])
def test_a_run_that_was_made_in_the_meantime_is_not_overwritten(
    a: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: bool
) -> None:
    plan = plan_merge(tmp_path / "out", [a], link=link)
    store = create_store(tmp_path / "out", plan.settings)
    another_run(monkeypatch, store, "maze-3", 0)
    before = files(store.path)
    with pytest.raises(StoreError, match="in the meantime; merge again"):
        bring_runs(plan)
    assert files(store.path) == before


def test_a_source_that_shrinks_is_an_error(a: Store, tmp_path: Path) -> None:
    plan = plan_merge(tmp_path / "out", [a])
    path = a.path / "runs/maze-3/0.h5"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreError, match=f"{path}: it has .* bytes, not"):
        bring_runs(plan)
    assert files(tmp_path / "out") == {}


def test_a_disk_that_refuses_is_said(a: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    plan = plan_merge(tmp_path / "out", [a])
    monkeypatch.setattr(merge, "copy_bytes", full)
    with pytest.raises(StoreError, match=r"0\.h5: cannot be written: No space left on device"):
        bring_runs(plan)
    assert files(tmp_path / "out") == {}


def test_progress_counts_bytes_and_reaches_the_end(a: Store, b: Store, tmp_path: Path) -> None:
    checked: list[tuple[int, int, str]] = []
    brought: list[tuple[int, int, str]] = []
    plan = plan_merge(tmp_path / "out", [a, b], progress=lambda *call: checked.append(call))
    bring_runs(plan, lambda *call: brought.append(call))
    assert (checked[0][0], checked[-1][0]) == (0, plan.size)
    assert {total for _, total, _ in checked} == {plan.size}
    assert [done for done, _, _ in checked] == sorted(done for done, _, _ in checked)
    assert len({done for done, _, _ in checked}) > 10
    assert brought[0][0] == 0
    assert brought[-1][:2] == (plan.size, plan.size)
    assert [done for done, _, _ in brought] == sorted(done for done, _, _ in brought)
