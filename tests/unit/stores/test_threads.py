"""Several threads write one file, and finished runs are read while others are written."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from stores import RunWriter, Store, StoreError, create_store, layout, open_store
from stores.slabs.parallel import for_each
from tests.unit.stores import making_kinds as making
from tests.unit.stores.making_kinds import CHANNELS, GRID, Kind, make_store
from tests.unit.stores.scripts import output_of

ROOT = Path(__file__).parents[3]
KINDS = [Kind("bf16"), Kind("fp8", "lz4"), Kind("bf16", "zstd")]
NUM_STEPS, NUM_LAYERS = 5, 6
THREADS = 8


def latent(index: int) -> np.ndarray:
    return np.random.default_rng(index).normal(size=(2, 3, 4, 5)).astype(np.float32)


def announce(writer: RunWriter, kind: Kind) -> None:
    writer.set_schedule(np.arange(NUM_STEPS, 0, -1), np.arange(NUM_STEPS, -1, -1))
    for text in kind.reductions:
        writer.add_site("resid", range(NUM_LAYERS), range(NUM_STEPS), ["cond"], GRID, CHANNELS, text)


def writes(writer: RunWriter, kind: Kind) -> Iterable[Callable[[], None]]:
    """Everything that can be written at once, each as a call."""

    for step, layer, text in product(range(NUM_STEPS), range(NUM_LAYERS), kind.reductions):
        made = making.slab("a", 0, step, layer, kind, text)
        yield partial(writer.write, "resid", step, layer, "cond", made.raw, text, made.factors)
    for index in range(NUM_STEPS + 1):
        yield partial(writer.write_noisy, index, latent(index))
    for step in range(NUM_STEPS):
        yield partial(writer.write_prediction, step, latent(100 + step))


@pytest.mark.parametrize("chunk", [layout.MAX_CHUNK, 20_000], ids=["one chunk", "several chunks"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_many_threads_write_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, chunk: int
) -> None:
    monkeypatch.setattr(layout, "MAX_CHUNK", chunk)
    kind = Kind(kind.dtype, kind.compression, ("full", "norm"))
    store = create_store(tmp_path / "s", making.settings(kind))
    order = np.random.default_rng(0)
    with store.writer("a", 0) as writer, ThreadPoolExecutor(THREADS) as threads:
        announce(writer, kind)
        actions = list(writes(writer, kind))
        order.shuffle(actions)
        start = threading.Barrier(THREADS)
        for waiting in [threads.submit(start.wait) for _ in range(THREADS)]:
            waiting.result()
        for done in [threads.submit(action) for action in actions]:
            done.result()
        writer.finish()
    with store.run("a", 0) as run:
        for step, layer, text in product(range(NUM_STEPS), range(NUM_LAYERS), kind.reductions):
            expected = making.slab("a", 0, step, layer, kind, text).values
            assert np.array_equal(run.read("resid", step, layer, reduction=text), expected)
        for index in range(NUM_STEPS + 1):
            assert np.array_equal(run.noisy(index), latent(index))
        for step in range(NUM_STEPS):
            assert np.array_equal(run.prediction(step), latent(100 + step))
    assert {problem.kind for problem in store.verify()} == {"settings"}, "it says other steps and layers"


FULL_DISK = """
import resource, signal, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from stores import StoreError, open_store
from tests.unit.stores import making_kinds as making
from tests.unit.stores.test_threads import announce, writes
kind = making.Kind(*sys.argv[2:4])
store = open_store(sys.argv[1])
def make(seed):
    with store.writer("a", seed) as writer:
        announce(writer, kind)
        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(action) for action in writes(writer, kind)]:
                done.result()
        return writer.finish().size
size = make(0)
# A limit on the size of files refuses a write as a full disk does, without needing one.
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
# The sizes of compressed files differ a little with the order in which threads come.
for seed, limit in enumerate(range(0, size * 9 // 10, size // 14), start=1):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
    try:
        make(seed)
    except StoreError as error:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        print(error)
"""


@pytest.mark.parametrize("kind", KINDS[:2], ids=str)
def test_a_disk_that_refuses_one_of_several_threads_is_a_clear_error(tmp_path: Path, kind: Kind) -> None:
    store = create_store(tmp_path / "s", making.settings(kind))
    lines = output_of(FULL_DISK, store.path, kind.dtype, kind.compression).splitlines()
    assert len(lines) >= 12
    assert all("cannot be written: File too large" in line for line in lines)
    assert [path.name for path in (store.path / "runs/a").iterdir()] == ["0.h5"]


def everything_is_right(store: Store, kind: Kind, seed: int) -> bool:
    made = making.slab("a", seed, 2, 10, kind, "full").values
    return np.array_equal(store.read("resid", 2, 10, "a", seed), made) and np.array_equal(
        store.read("resid", 2, 10, "a", seed, tokens=[500, 3]), made.reshape(-1, CHANNELS)[[500, 3]]
    )


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_finished_runs_are_read_by_threads_while_others_are_written(tmp_path: Path, kind: Kind) -> None:
    store = make_store(tmp_path / "s", kind)
    finished, over = [0], threading.Event()

    def write() -> int:
        try:
            for seed in range(1, 12):
                making.write_run(store, "a", seed, kind)
                finished.append(seed)
        finally:
            over.set()
        return len(finished)

    def read(own: Store) -> int:
        reads = 0
        while not over.is_set():
            for seed in finished:
                assert everything_is_right(own, kind, seed)
                reads += 1
        return reads

    with ThreadPoolExecutor(3) as threads:
        writing = threads.submit(write)
        # One by the store that writes, one by another.
        readers = [threads.submit(read, own) for own in (store, open_store(store.path))]
        assert writing.result() == 12
        assert all(reader.result() > 0 for reader in readers)
    assert store.verify() == []


READING = """
import sys
from stores import open_store
from tests.unit.stores.making_kinds import Kind
from tests.unit.stores.test_threads import everything_is_right
store = open_store(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    seeds = [entry.seed for entry in store.runs()]
    print(*seeds, all(everything_is_right(store, Kind(), seed) for seed in seeds), flush=True)
"""


def test_another_process_reads_finished_runs_in_the_middle_of_a_run(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", Kind())
    reader = subprocess.Popen(
        [sys.executable, "-c", READING, store.path], cwd=ROOT, stdin=-1, stdout=-1, text=True, bufsize=1
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    assert reader.stdout.readline() == "ready\n"
    with reader, store.writer("a", 1) as writer:
        announce(writer, Kind())
        for action in writes(writer, Kind()):
            action()
            reader.stdin.write("\n")
            assert reader.stdout.readline() == "0 True\n"
        reader.stdin.close()


def test_every_number_is_taken_once() -> None:
    taken: list[int] = []
    for_each(1000, taken.append)
    assert sorted(taken) == list(range(1000))


def test_what_a_thread_raises_is_raised_and_ends_the_others() -> None:
    done: list[int] = []

    def act(number: int) -> None:
        if number == 3:
            raise ValueError("number 3")
        done.append(number)

    with pytest.raises(ValueError, match="number 3"):
        for_each(100_000, act)
    assert len(done) < 100_000


def test_reading_in_threads_goes_on_after_a_fork(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKED, tmp_path / "s"],
        cwd=ROOT,
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "True\nTrue\n"), done.stderr


FORKED = """
import os, sys
from stores import layout
from tests.unit.stores.making_kinds import Kind, make_store
from tests.unit.stores.test_threads import everything_is_right
# So that these small slabs are read by several threads.
layout.PIECE = layout.BLOCK
store = make_store(sys.argv[1], Kind())
print(everything_is_right(store, Kind(), 0), flush=True)
child = os.fork()
if child == 0:
    print(everything_is_right(store, Kind(), 0), flush=True)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_run_that_is_closed_is_not_read(tmp_path: Path) -> None:
    store = make_store(tmp_path / "s", Kind())
    with store.run("a", 0) as run:
        run.read("resid", 0, 0)
    with pytest.raises(StoreError, match=r"0\.h5: this file is closed; open it again to read it"):
        run.read("resid", 0, 0)


def test_runs_that_finish_at_once_have_one_line_each_in_one_catalog_file(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s", making.settings(KINDS[0]))
    together = threading.Barrier(THREADS)

    def make(seed: int) -> None:
        with store.writer("a", seed) as writer:
            writer.set_schedule([1], [1, 0])
            together.wait(30)
            writer.finish()

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(make, range(THREADS)))
    (catalog,) = (tmp_path / "s" / layout.CATALOG).iterdir()
    assert len(catalog.read_text(encoding="utf-8").splitlines()) == THREADS
    assert [entry.seed for entry in open_store(tmp_path / "s").runs()] == list(range(THREADS))
