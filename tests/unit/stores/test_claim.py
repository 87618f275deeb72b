"""One process makes a run; what a killed one leaves behind is in nobody's way."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stores import RunEntry, RunWriter, Store, StoreError, claim, open_store
from tests.unit.stores.making import make_store, write_run

ROOT = Path(__file__).parents[3]

HOLD = """
import sys, time
from stores import open_store
from tests.unit.stores.making import SIGMA, bits
writer = open_store(sys.argv[1]).writer("a", 0)
writer.set_schedule(1000 * SIGMA[:-1], SIGMA)
writer.add_site("resid", [0], [0], ["cond"], (3, 4, 5), 6)
writer.write("resid", 0, 0, "cond", bits("a", 0, 0, 0, "cond"))
print("held", flush=True)
sys.stdin.read()
writer.finish()
print("finished", flush=True)
"""

RACE = """
import sys
from stores import StoreError, open_store
from tests.unit.stores.making import write_run
store = open_store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for seed in range(20):
    try:
        write_run(store, "a", seed)
        print("made", seed, flush=True)
    except StoreError as error:
        assert "another process is making this run" in str(error) or "this run exists" in str(error), error
        print("left", seed, flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "s")


def start(code: str, store: Store) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(store.path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


@contextmanager
def held_elsewhere(store: Store) -> Iterator[subprocess.Popen[str]]:
    """Another process is in the middle of making sample a, seed 0."""
    process = start(HOLD, store)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_while_one_process_makes_a_run_another_is_told_so(store: Store) -> None:
    with held_elsewhere(store) as owner:
        with pytest.raises(StoreError, match=r"a/0\.h5: another process is making this run; wait for it"):
            store.writer("a", 0)
        write_run(store, "a", 1)
        assert store.verify() == []
        said, _ = owner.communicate("")
    assert said == "finished\n"
    assert [entry.seed for entry in store.runs()] == [0, 1]
    # It holds less than the store says, and is whole.
    assert {(problem.file, problem.kind) for problem in store.verify()} == {("runs/a/0.h5", "settings")}


def test_two_writers_of_one_process_cannot_make_the_same_run(store: Store) -> None:
    with store.writer("a", 0):
        with pytest.raises(StoreError, match="another process is making this run"):
            open_store(store.path).writer("a", 0)
        assert (store.path / "runs/a/0.h5.partial").exists()


def test_a_run_can_be_read_as_soon_as_the_catalog_names_it(store: Store) -> None:
    read: list[int] = []

    def record(entry: RunEntry) -> None:
        with open_store(store.path).run(*entry.key) as run:
            read.append(run.num_steps)

    with RunWriter(store.path, "a", 0, "base", "bf16", "none", record) as writer:
        writer.set_schedule([1000], [1.0, 0.0])
        writer.finish()
    assert read == [1]


def test_a_killed_writer_blocks_nobody(store: Store) -> None:
    with held_elsewhere(store) as owner:
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
        partial = store.path / "runs/a/0.h5.partial"
        assert partial.exists()
        assert store.runs() == []
        assert not store.has("a", 0)
        (problem,) = store.verify()
        assert (problem.file, problem.kind) == ("runs/a/0.h5.partial", "leftover")
        write_run(store, "a", 0)
    assert not partial.exists()
    assert store.verify() == []


def test_of_two_processes_that_want_the_same_runs_one_makes_each(store: Store) -> None:
    racers = [start(RACE, store) for _ in range(2)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = [racer.communicate(timeout=60)[0].splitlines() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    made = sorted(int(line.split()[1]) for lines in said for line in lines if line.startswith("made"))
    assert made == list(range(20))
    assert [entry.seed for entry in store.runs()] == list(range(20))
    assert store.verify() == []


def test_a_forked_child_does_not_keep_the_claim(store: Store) -> None:
    with store.writer("a", 0):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
        os.close(reading)
    # The writer is gone, the child still lives.
    write_run(store, "a", 0)
    os.close(writing)
    os.waitpid(child, 0)
    assert store.has("a", 0)


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks, as NFS may be."""

    def flock(fd: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_file_is_the_claim(store: Store) -> None:
    sidecar = store.path / "runs/a/0.h5.partial.claim"
    with store.writer("a", 0) as writer:
        assert sidecar.read_text() == f"{socket.gethostname()} {os.getpid()}"
        with pytest.raises(
            StoreError, match=rf"process {os.getpid()} on .* is making this run; if it is gone, delete"
        ):
            store.writer("a", 0)
        assert sidecar.exists()
        assert store.verify() == []
        writer.discard()
    assert not sidecar.exists()
    write_run(store, "a", 0)
    assert not sidecar.exists()


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_dead_process_of_this_machine_blocks_nobody(store: Store) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    sidecar = store.path / "runs/a/0.h5.partial.claim"
    sidecar.parent.mkdir()
    sidecar.write_text(f"{socket.gethostname()} {dead.pid}")
    write_run(store, "a", 0)
    assert store.has("a", 0)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_claim_that_was_taken_over_in_between_is_left_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    sidecar = store.path / "runs/a/0.h5.partial.claim"
    sidecar.parent.mkdir()
    sidecar.write_text(f"{socket.gethostname()} {dead.pid}")
    alive = f"{socket.gethostname()} {os.getppid()}"
    is_gone = claim._is_gone

    def taken_over_meanwhile(*owner: str) -> bool:
        gone = is_gone(*owner)
        if gone:
            sidecar.unlink()
            sidecar.write_text(alive)
        return gone

    monkeypatch.setattr(claim, "_is_gone", taken_over_meanwhile)
    with pytest.raises(StoreError, match=rf"process {os.getppid()} on .* is making this run"):
        store.writer("a", 0)
    assert sidecar.read_text() == alive
    assert [path.name for path in sidecar.parent.glob("*.claim*")] == [sidecar.name]


@pytest.mark.usefixtures("no_locks")
def test_without_locks_another_machine_is_named_and_left_alone(store: Store) -> None:
    sidecar = store.path / "runs/a/0.h5.partial.claim"
    sidecar.parent.mkdir()
    sidecar.write_text("node-17 1234")
    with pytest.raises(
        StoreError, match=r"process 1234 on node-17 is making this run; if it is gone, delete .*\.claim"
    ):
        store.writer("a", 0)
    assert sidecar.exists()
