"""The writers: order, errors, interrupts."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosinterp.capture.writers import Writers

THREADS = [1, 3]


def nothing() -> None:
    pass


def writer_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("cosinterp-writer")]


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.booleans()), max_size=40),
    st.sampled_from(THREADS),
)
def test_nothing_crosses_a_then_of_its_own_lane(jobs: list[tuple[int, bool, bool]], threads: int) -> None:
    begun: list[int] = []
    ended: list[int] = []
    lock = threading.Lock()

    def job(number: int, slow: bool) -> Callable[[], None]:
        def act() -> None:
            with lock:
                begun.append(number)
                seen[number] = set(ended)
            if slow:
                time.sleep(0.0005)
            with lock:
                ended.append(number)

        return act

    seen: dict[int, set[int]] = {}
    with Writers(threads, nothing) as writers:
        lanes = [writers.lane() for _ in range(3)]
        for number, (lane, barrier, slow) in enumerate(jobs):
            (lanes[lane].then if barrier else lanes[lane].put)(job(number, slow))
    assert sorted(begun) == list(range(len(jobs)))
    for number, (lane, barrier, _) in enumerate(jobs):
        earlier = [n for n in range(number) if jobs[n][0] == lane]
        barriers = [n for n in earlier if jobs[n][1]]
        must_be_over = earlier if barrier else [n for n in earlier if barriers and n <= barriers[-1]]
        assert seen[number] >= set(must_be_over)


def test_what_is_put_is_done_side_by_side() -> None:
    meeting = threading.Barrier(3, timeout=10)
    with Writers(3, nothing) as writers:
        lane = writers.lane()
        for _ in range(3):
            lane.put(meeting.wait)


def test_a_lane_that_waits_does_not_hold_up_another() -> None:
    gate, passed = threading.Event(), threading.Event()
    with Writers(2, nothing) as writers:
        one, other = writers.lane(), writers.lane()
        one.put(lambda: gate.wait(10))
        one.then(nothing)
        one.put(nothing)
        other.then(passed.set)
        assert passed.wait(10)
        gate.set()


@pytest.mark.parametrize("threads", THREADS)
def test_an_error_reaches_the_next_submission_and_whoever_waits_elsewhere(threads: int) -> None:
    told = threading.Event()

    def fail() -> None:
        raise OSError("disk full")

    def feed(writers: Writers) -> None:
        lane = writers.lane()
        lane.put(fail)
        assert told.wait(10)
        lane.put(nothing)

    with pytest.raises(OSError, match="disk full"), Writers(threads, told.set) as writers:
        feed(writers)
    assert not writer_threads()


@pytest.mark.parametrize("threads", THREADS)
def test_an_error_of_the_last_job_reaches_close(threads: int) -> None:
    writers = Writers(threads, nothing)
    writers.lane().put(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        writers.close()


def test_nothing_runs_after_an_error() -> None:
    ran: list[int] = []
    gate = threading.Event()

    def fail() -> None:
        gate.wait(5)
        raise OSError("disk full")

    writers = Writers(1, nothing)
    lane = writers.lane()
    lane.put(fail)
    lane.put(lambda: ran.append(1))
    gate.set()
    with pytest.raises(OSError, match="disk full"):
        writers.close()
    with pytest.raises(OSError, match="disk full"):
        lane.put(lambda: ran.append(2))
    assert ran == []


def test_an_exception_in_the_block_drops_the_queue() -> None:
    gate = threading.Event()
    ran: list[int] = []

    def block() -> None:
        with Writers(1, nothing) as writers:
            lane = writers.lane()
            lane.put(lambda: gate.wait(5))
            for number in range(10):
                lane.put(lambda number=number: ran.append(number))
            threading.Timer(0.05, gate.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        block()
    assert ran == []
    assert not writer_threads()


def test_ctrl_c_while_closing_drops_the_queue_and_waits_for_the_job_under_way() -> None:
    ran: list[str] = []
    writers = Writers(1, nothing)
    lane = writers.lane()

    def slow() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.2)
        ran.append("under way")

    lane.put(lambda: time.sleep(0.1))
    lane.put(slow)
    lane.put(lambda: ran.append("dropped"))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), writers:
            pass
        assert ran == ["under way"]
        assert not writer_threads()
    finally:
        signal.signal(signal.SIGINT, before)
