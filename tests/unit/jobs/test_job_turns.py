"""Who goes first: jobs that wait for GPUs, or for their place among those without."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosinterp.devices.gpu import Gpu
from cosinterp.jobs.limits import Limits, check_limits
from cosinterp.jobs.turns import Queue, Turn
from cosinterp.jobs.wants import Wants, environment_for, known_gpus, usable_gpus, wanted
from tests.unit.devices.fake_nvml import FakeGpu, FakeNvml

GIB = 1024**3
_ONE_EACH = Limits(per_gpu=1, without_gpu=1, patience=0)
ANY, TWO, NONE, A, B = (
    Wants(count=1),
    Wants(count=2),
    Wants(),
    Wants(named=("GPU-a",)),
    Wants(named=("GPU-b",)),
)


def gpu(name: str, used: float = 0, total: int | None = 80) -> Gpu:
    sizes = (None, None, None) if total is None else (total * GIB, int(used * GIB), int((total - used) * GIB))
    return Gpu(ord(name) - ord("a"), f"GPU-{name}", "H200", *sizes, 0, 40, ())


class Waiting:
    """A job that waits: call it for what it is given, or why it is not."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._turn = Turn()

    def __call__(self) -> str | list[str]:
        why = self._queue.take(self._turn)
        return [gpu.uuid for gpu in self._turn.chosen] if why is None else why

    def leave(self) -> None:
        self._queue.leave()

    def end(self) -> None:
        self._turn.end()


class Machine:
    """A machine with GPUs. Its jobs are all of this process: a lock is of what was opened, not of who did."""

    def __init__(self, folder: Path, gpus: list[Gpu]) -> None:
        self.gpus = gpus
        self.folder = folder
        self._waiting: list[Waiting] = []

    def wait(self, job: str, wants: Wants, limits: Limits = _ONE_EACH) -> Waiting:
        self._waiting.append(Waiting(Queue(self.folder, job, wants, limits, lambda: self.gpus)))
        return self._waiting[-1]

    def close(self) -> None:
        for waiting in self._waiting:
            waiting.leave()
            waiting.end()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "slots", [gpu("a"), gpu("b")])
    yield made
    made.close()


def test_the_emptiest_gpu_is_given_first(machine: Machine) -> None:
    machine.gpus = [gpu("a", used=3), gpu("b", used=1), gpu("c", used=2)]
    assert machine.wait("one", TWO)() == ["GPU-b", "GPU-c"]
    assert machine.wait("two", ANY)() == ["GPU-a"]
    assert machine.wait("three", ANY)() == (
        "1 free GPU wanted, 0 there; taken: GPU 0 by 1 job, GPU 1 by 1 job, GPU 2 by 1 job"
    )


def test_what_others_have_mostly_taken_is_not_free_unless_named(machine: Machine) -> None:
    machine.gpus = [gpu("a", used=41), gpu("b", used=79)]
    why = machine.wait("any", ANY)()
    taken = "GPU 0 by others (44.0 GB of 85.9 GB), GPU 1 by others (84.8 GB of 85.9 GB)"
    assert why == f"1 free GPU wanted, 0 there; taken: {taken}"
    assert machine.wait("named", A)() == []
    # What the driver does not tell cannot be held against a GPU.
    machine.gpus = [gpu("b", total=None)]
    assert machine.wait("behind", ANY)() == "its turn comes after any"


def test_several_jobs_share_a_gpu_where_that_is_wanted(machine: Machine) -> None:
    shared = Limits(per_gpu=2, without_gpu=1, patience=0)
    machine.gpus = [gpu("a")]
    assert machine.wait("one", ANY, shared)() == ["GPU-a"]
    # What it takes is that of our own job, which the user allows another beside.
    machine.gpus = [gpu("a", used=60)]
    assert machine.wait("two", ANY, shared)() == ["GPU-a"]
    assert "taken: GPU 0 by 2 jobs" in machine.wait("three", ANY, shared)()


def test_a_gpu_with_fewer_jobs_goes_first(machine: Machine) -> None:
    shared = Limits(per_gpu=2, without_gpu=1, patience=0)
    assert machine.wait("one", A, shared)() == []
    assert machine.wait("two", ANY, shared)() == ["GPU-b"]


@pytest.mark.parametrize("wants", [NONE, A])
def test_a_smaller_limit_counts_all_that_run(wants: Wants, machine: Machine) -> None:
    two_each = Limits(per_gpu=2, without_gpu=2, patience=0)
    first, second = (machine.wait(name, wants, two_each) for name in ("first", "second"))
    assert (first(), second()) == ([], [])
    first.end()
    third = machine.wait("third", wants)
    assert "1 job" in str(third())
    fourth = machine.wait("fourth", wants, two_each)
    third.leave()
    assert fourth() == []
    fourth.end()
    second.end()
    assert machine.wait("fifth", wants)() == []


def test_first_come_first_served(machine: Machine) -> None:
    machine.gpus = [gpu("a")]
    first = machine.wait("first", ANY)
    assert first() == ["GPU-a"]
    second, third = machine.wait("second", ANY), machine.wait("third", ANY)
    assert third() == "its turn comes after second"
    assert "taken: GPU 0 by 1 job" in second()
    first.end()
    assert third() == "its turn comes after second"
    assert second() == ["GPU-a"]


def test_one_that_wants_many_is_not_passed_for_ever(machine: Machine) -> None:
    one = machine.wait("one", ANY)
    assert one() == ["GPU-a"]
    two = machine.wait("two", TWO)
    assert two().startswith("2 free GPUs wanted, 1 there")
    assert machine.wait("three", ANY)() == "its turn comes after two"
    one.end()
    assert two() == ["GPU-a", "GPU-b"]


def test_who_wants_something_else_does_not_wait(machine: Machine) -> None:
    assert machine.wait("one", A)() == []
    assert machine.wait("two", A)() == "GPU 0 is taken by 1 job"
    assert machine.wait("three", B)() == []
    assert machine.wait("four", NONE)() == []
    assert machine.wait("five", NONE)() == "1 job without a GPU already running"
    assert machine.wait("six", A)() == "its turn comes after two"


def test_what_certain_gpus_are_waited_for_is_not_given_to_who_takes_any(machine: Machine) -> None:
    running = machine.wait("running", B)
    assert running() == []
    both = machine.wait("both", Wants(named=("GPU-a", "GPU-b")))
    assert both() == "GPU 1 is taken by 1 job"
    # GPU-a is free, and would be of use, but the one before waits for it.
    assert machine.wait("any", ANY)() == "1 free GPU wanted, 0 there"
    running.end()
    assert both() == []


def test_who_names_a_gpu_passes_only_where_it_takes_nothing_away(machine: Machine) -> None:
    machine.gpus = [gpu("a", used=70), gpu("b")]
    two = machine.wait("two", TWO)
    assert two().startswith("2 free GPUs wanted, 1 there")
    assert machine.wait("three", B)() == "its turn comes after two"
    assert machine.wait("four", A)() == []


def test_a_place_is_free_when_its_owner_is_gone_however_that_came(machine: Machine) -> None:
    machine.gpus = [gpu("a")]
    pid = os.fork()
    if pid == 0:
        first, second = machine.wait("first", ANY), machine.wait("second", ANY)
        # Gone with a place and with a ticket, and without a word.
        os._exit(0 if first() == ["GPU-a"] and isinstance(second(), str) else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(list(machine.folder.glob("ticket-*"))) == 1
    assert machine.wait("third", ANY)() == ["GPU-a"]
    assert list(machine.folder.glob("ticket-*")) == []


def test_nobody_waits_behind_who_has_left(machine: Machine) -> None:
    assert machine.wait("one", NONE)() == []
    two, three = machine.wait("two", NONE), machine.wait("three", NONE)
    assert three() == "its turn comes after two"
    two.leave()
    assert three() == "1 job without a GPU already running"


THERE = [FakeGpu("GPU-a"), FakeGpu("GPU-b"), FakeGpu("GPU-c")]


@pytest.mark.parametrize(
    ("takes_device", "device", "wants"),
    [
        (False, None, NONE),
        (True, None, ANY),
        (True, "cuda", ANY),
        (True, "free", ANY),
        (True, "free:2", TWO),
        (True, "cpu", NONE),
        (True, "cpu,cpu", NONE),
        (True, "cuda:0", A),
        (True, "1", B),
        (True, "cuda:1,0", Wants(named=("GPU-b", "GPU-a"))),
        (True, "0-1", Wants(named=("GPU-a", "GPU-b"))),
    ],
)
def test_what_a_job_waits_for_follows_from_its_device(
    takes_device: bool, device: str | None, wants: Wants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(THERE))
    assert wanted(takes_device, device) == wants


def test_who_takes_all_waits_for_all_that_it_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(THERE))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert wanted(True, None, takes_all=True) == Wants(named=("GPU-a", "GPU-b"))
    assert wanted(True, "cpu", takes_all=True) == NONE


@pytest.mark.parametrize(
    ("device", "wants"), [(None, NONE), ("cuda", NONE), ("cpu", NONE), ("cuda:1", Wants(named=("cuda:1",)))]
)
def test_without_a_driver_only_what_is_named_is_waited_for(
    device: str | None, wants: Wants, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([], no_driver=True))
    assert wanted(True, device) == wants
    assert usable_gpus() == []


def test_a_job_is_given_none_but_the_gpus_that_may_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(THERE))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,1")
    assert [gpu.uuid for gpu in usable_gpus()] == ["GPU-c", "GPU-b"]
    assert wanted(True, "cuda:0") == Wants(named=("GPU-c",))
    chosen = environment_for(usable_gpus())
    assert chosen == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "GPU-c,GPU-b"}


def test_what_is_told_of_certain_gpus_is_of_these_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(THERE))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert [gpu.uuid for gpu in known_gpus(("GPU-c", "GPU-b", "cuda:7"))] == ["GPU-c", "GPU-b"]
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([], no_driver=True))
    assert known_gpus(("cuda:1",)) == []


def test_gpus_that_differ_are_chosen_from_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([FakeGpu("GPU-a", "T4"), FakeGpu("GPU-b", "H200")]))
    assert [gpu.uuid for gpu in usable_gpus()] == ["GPU-a", "GPU-b"]


def test_limits_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PER_GPU", "WITHOUT_GPU", "PATIENCE"):
        monkeypatch.delenv(f"COSINTERP_JOBS_{name}", raising=False)
    assert check_limits() == Limits(per_gpu=1, without_gpu=4, patience=30.0)
    monkeypatch.setenv("COSINTERP_JOBS_PER_GPU", "3")
    monkeypatch.setenv("COSINTERP_JOBS_WITHOUT_GPU", "7")
    monkeypatch.setenv("COSINTERP_JOBS_PATIENCE", "0.5")
    assert check_limits() == Limits(per_gpu=3, without_gpu=7, patience=0.5)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("COSINTERP_JOBS_PER_GPU", "0"),
        ("COSINTERP_JOBS_PER_GPU", "two"),
        ("COSINTERP_JOBS_WITHOUT_GPU", "-1"),
        ("COSINTERP_JOBS_PATIENCE", "soon"),
        ("COSINTERP_JOBS_PATIENCE", "inf"),
    ],
)
def test_a_limit_that_is_none_is_said(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cosinterp.errors import JobError

    monkeypatch.setenv(name, text)
    with pytest.raises(JobError, match=f"^{name}={text}: it has to be"):
        check_limits()
