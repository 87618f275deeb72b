"""Writing: all or nothing, and mistakes named."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread, current_thread, main_thread
from typing import Any

import numpy as np
import pytest

from stores import RunWriter, Store, StoreError, create_store
from stores.verify import Problem
from tests.unit.stores.making import CHANNELS, GRID, bits, latent, make_store, settings, write_run
from tests.unit.stores.scripts import output_of

ROOT = Path(__file__).parents[3]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return create_store(tmp_path / "s", settings())


def files(store: Store) -> list[str]:
    return sorted(path.relative_to(store.path).as_posix() for path in (store.path / "runs").rglob("*.h5*"))


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_an_exception_leaves_nothing_behind(store: Store, error: BaseException) -> None:
    def break_off() -> None:
        with store.writer("a", 0) as writer:
            writer.set_schedule([1000], [1.0, 0.0])
            writer.write_noisy(0, latent(0, 0))
            assert files(store) == ["runs/a/0.h5.partial"]
            raise error

    with pytest.raises(type(error)):
        break_off()
    assert files(store) == []
    assert store.runs() == []
    write_run(store, "a", 0)
    assert store.has("a", 0)


def test_a_writer_that_is_not_finished_leaves_nothing_behind(store: Store) -> None:
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000], [1.0, 0.0])
    assert files(store) == []
    assert not store.has("a", 0)


def test_a_run_is_there_only_once_it_is_finished(store: Store) -> None:
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000], [1.0, 0.0])
        assert not store.has("a", 0)
        with pytest.raises(StoreError, match="sample 'a': .* has no runs"):
            store.run("a", 0)
        entry = writer.finish()
    assert store.has("a", 0)
    assert files(store) == ["runs/a/0.h5"]
    assert store.runs() == [entry]
    assert entry.size == (store.path / entry.file).stat().st_size


def test_a_run_that_exists_is_not_made_again(store: Store) -> None:
    write_run(store, "a", 0)
    with pytest.raises(StoreError, match=r"0\.h5: this run exists; skip it with --resume"):
        store.writer("a", 0)
    assert files(store) == ["runs/a/0.h5"]


def test_what_was_announced_has_to_be_written(store: Store) -> None:
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000, 500], [1.0, 0.5, 0.0])
        writer.add_site("resid", [0, 1], [0, 1], ["cond"], GRID, CHANNELS)
        for step, layer in ((0, 0), (0, 1), (1, 0)):
            writer.write("resid", step, layer, "cond", bits("a", 0, step, layer, "cond"))
        with pytest.raises(
            ValueError, match=r"1 slabs of activations/resid were not written, first \(1, 1, 0\)"
        ):
            writer.finish()
        writer.write("resid", 1, 1, "cond", bits("a", 0, 1, 1, "cond"))
        writer.write_noisy(0, latent(0, 0))
        with pytest.raises(ValueError, match=r"2 slabs of latents/noisy were not written, first \(1,\)"):
            writer.finish()
    assert files(store) == []


MISTAKES: dict[str, tuple[Callable[[RunWriter], Any], type[Exception], str]] = {
    "another dtype": (
        lambda w: w.write("resid", 0, 0, "cond", np.zeros((*GRID, CHANNELS), np.float32)),
        TypeError,
        "activations/resid: expected uint16, got float32",
    ),
    "another shape": (
        lambda w: w.write("resid", 0, 0, "cond", np.zeros((*GRID, 1), np.uint16)),
        ValueError,
        "activations/resid: expected the shape",
    ),
    "no such layer": (lambda w: w.write("resid", 0, 3, "cond", bits("a", 0, 0, 3, "cond")), KeyError, "3"),
    "double latents": (
        lambda w: w.write_noisy(0, np.zeros((1, 2, 3, 4))),
        TypeError,
        "expected float32, got float64",
    ),
    "flat latents": (
        lambda w: w.write_noisy(0, np.zeros(3, np.float32)),
        ValueError,
        r"a latent is \(channel, frame",
    ),
    "beyond the schedule": (lambda w: w.write_prediction(1, latent(0, 0)), IndexError, "1 is beyond the 1"),
    "attributes of the store": (
        lambda w: w.set_attrs({"seed": 3}),
        ValueError,
        "the store itself sets the attributes seed",
    ),
    "an attribute of no kind": (
        lambda w: w.set_attrs({"x": {"y": object()}}),
        TypeError,
        r"x\.y: a object cannot be",
    ),
    "layers backwards": (
        lambda w: w.add_site("mlp", [2, 1], [0], ["cond"], GRID, 1),
        ValueError,
        "layers must ascend",
    ),
    "steps beyond": (
        lambda w: w.add_site("mlp", [0], [1], ["cond"], GRID, 1),
        ValueError,
        "beyond the schedule of 1",
    ),
    "a branch of no kind": (
        lambda w: w.add_site("mlp", [0], [0], ["Both"], GRID, 1),
        ValueError,
        "branches must be different names",
    ),
    "a site's name": (
        lambda w: w.add_site("a/b", [0], [0], ["cond"], GRID, 1),
        ValueError,
        "cannot be a site's name",
    ),
    "an empty axis": (
        lambda w: w.add_site("mlp", [0], [0], ["cond"], GRID, 0),
        ValueError,
        "no axis may be empty",
    ),
    "a truth of no kind": (
        lambda w: w.set_truth({"x": None}),
        TypeError,
        "x: a NoneType is no text, number or array",
    ),
    "a truth's name": (lambda w: w.set_truth({"a/b": 1}), ValueError, "'a/b' cannot name a value"),
    "a grey image": (lambda w: w.set_condition("", np.zeros((4, 4), np.uint8)), ValueError, "an image is"),
    "a grey video": (lambda w: w.set_video(np.zeros((2, 4, 4), np.uint8)), ValueError, "a video is"),
    "a float video": (
        lambda w: w.set_video(np.zeros((2, 4, 4, 3))),
        TypeError,
        "video: expected uint8, got float64",
    ),
    "a short schedule": (
        lambda w: w.set_schedule([2, 1], [1.0, 0.0]),
        ValueError,
        "N timesteps, N \\+ 1 sigmas",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named(
    store: Store, mistake: tuple[Callable[[RunWriter], Any], type[Exception], str]
) -> None:
    make, kind, message = mistake
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000], [1.0, 0.0])
        writer.add_site("resid", [0], [0], ["cond"], GRID, CHANNELS)
        with pytest.raises(kind, match=message):
            make(writer)


def test_latents_need_a_schedule(store: Store) -> None:
    with store.writer("a", 0) as writer, pytest.raises(ValueError, match="the schedule must be set first"):
        writer.write_noisy(0, latent(0, 0))


@pytest.mark.parametrize(
    ("sample", "seed", "variant", "message"),
    [
        ("../up", 0, "base", "sample name '../up'"),
        ("a/b", 0, "base", "sample name 'a/b'"),
        ("", 0, "base", "sample name ''"),
        (".hidden", 0, "base", "sample name"),
        ("x" * 129, 0, "base", "sample name"),
        ("a", -1, "base", "seed -1: a seed is a whole number from 0"),
        ("a", 2**63, "base", "a seed is a whole number"),
        ("a", True, "base", "seed True"),
        ("a", 0, "Base", "variant 'Base'"),
        ("a", 0, "../x", "variant"),
    ],
)
def test_names_that_cannot_be(store: Store, sample: str, seed: int, variant: str, message: str) -> None:
    with pytest.raises(StoreError, match=message):
        store.writer(sample, seed, variant)
    assert files(store) == []


def test_tokens_need_not_be_contiguous(store: Store) -> None:
    tokens = bits("a", 0, 0, 0, "cond")
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000], [1.0, 0.0])
        writer.add_site("resid", [0], [0], ["cond"], GRID, CHANNELS)
        writer.write("resid", 0, 0, "cond", np.asfortranarray(tokens))
        writer.finish()
    assert np.array_equal(store.read("resid", 0, 0, "a", 0, raw=True), tokens)


FULL_DISK = """
import resource, signal, sys
from stores import StoreError, open_store
from tests.unit.stores.making import write_run
store = open_store(sys.argv[1])
size = write_run(store, "a", 0).size
# A limit on the size of files refuses a write as a full disk does, without needing one.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
for seed, limit in enumerate(range(0, size, size // 30), start=1):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    try:
        write_run(store, "a", seed)
    except StoreError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        print(error)
"""


def test_a_disk_that_refuses_anywhere_in_a_run_is_a_clear_error_and_spares_the_finished_runs(
    store: Store,
) -> None:
    lines = output_of(FULL_DISK, store.path).splitlines()
    assert len(lines) >= 30
    assert all("cannot be written: File too large" in line for line in lines)
    assert files(store) == ["runs/a/0.h5"]
    assert store.verify() == []


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s")
    (store.path / "runs" / "a").write_text("in the way")
    with pytest.raises(StoreError, match=r"0\.h5: cannot be written: (File exists|Not a directory)"):
        store.writer("a", 0)


def test_a_forked_child_leaves_the_run_to_its_parent(store: Store, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000], [1.0, 0.0])
        child = os.fork()
        if child == 0:
            status = 1
            try:
                # It gets the number that the run's file had.
                with other.open("wb"):
                    with pytest.raises(StoreError, match="only the process that began this run"):
                        writer.finish()
                    writer.__exit__(SystemExit, SystemExit(), None)
                    writer._file.close()
                    status = int(other.stat().st_size > 0)
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert files(store) == ["runs/a/0.h5.partial"]
        writer.finish()
    assert store.verify() == [Problem("runs/a/0.h5", "settings", "site resid of store.json is not stored")]


def test_what_is_still_being_written_when_a_run_is_discarded_goes_to_no_other_file(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = store.writer("a", 0)
    writer.set_schedule([1000], [1.0, 0.0])
    writer.add_site("resid", [0], [0], ["cond"], GRID, CHANNELS)
    writing, go_on = Event(), Event()
    pwrite = os.pwrite

    def slow(*given: Any) -> int:
        if current_thread() is not main_thread():
            writing.set()
            go_on.wait(60)
        return pwrite(*given)

    monkeypatch.setattr(os, "pwrite", slow)
    slab = bits("a", 0, 0, 0, "cond")

    def write() -> None:
        with contextlib.suppress(StoreError):
            writer.write("resid", 0, 0, "cond", slab)

    thread = Thread(target=write)
    thread.start()
    assert writing.wait(60)
    writer.discard()
    writer.discard()
    with (tmp_path / "other").open("wb"):
        go_on.set()
        thread.join()
    assert (tmp_path / "other").stat().st_size == 0
    assert files(store) == []
    write_run(store, "a", 0)


INTERRUPTED = """
import random, signal, sys
from stores import open_store
from tests.unit.stores.making import write_run
store = open_store(sys.argv[1])
signal.signal(signal.SIGALRM, signal.default_int_handler)
moments = random.Random(0)
interrupted = 0
for seed in range(60):
    signal.setitimer(signal.ITIMER_REAL, moments.uniform(0.0005, 0.02))
    try:
        # Inside, because the timer may fire when the run is written and it is not stopped yet.
        try:
            write_run(store, "a", seed)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupted += 1
print(interrupted)
"""


def test_ctrl_c_at_any_moment_leaves_whole_runs_or_nothing(store: Store) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(store.path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5
    # An interrupt of the first or last moment of a writer may leave its empty file, which is in nobody's way.
    assert {problem.kind for problem in store.verify()} <= {"catalog", "leftover"}
    assert len(store.runs()) >= 60 - int(done.stdout)
    for seed in range(61):
        if not store.has("a", seed):
            write_run(store, "a", seed)
    assert store.verify() == []
    assert files(store) == sorted(f"runs/a/{seed}.h5" for seed in range(61))
