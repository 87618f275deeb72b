"""The writer thread: order, bounds, errors."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from cosinterp.capture.writer_thread import WriterThread


def writer_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "cosinterp-writer"]


def test_actions_run_in_order_on_one_other_thread() -> None:
    seen: list[tuple[int, int]] = []
    with WriterThread(100) as thread:
        for number in range(50):
            thread.submit(lambda number=number: seen.append((number, threading.get_ident())), 10)
    assert [number for number, _ in seen] == list(range(50))
    assert {ident for _, ident in seen} != {threading.get_ident()}
    assert len({ident for _, ident in seen}) == 1
    assert not writer_threads()


def test_submitting_waits_while_the_budget_is_held() -> None:
    held, most = 0, 0
    lock = threading.Lock()

    def change(by: int) -> None:
        nonlocal held, most
        with lock:
            held += by
            most = max(most, held)

    def write() -> None:
        time.sleep(0.002)
        change(-30)

    with WriterThread(100) as thread:
        for _ in range(20):
            thread.submit(write, 30)
            change(30)
    # What is counted here is at most one action behind what the thread counts.
    assert most <= 100 + 30
    assert held == 0


def test_an_error_reaches_the_one_who_waits() -> None:
    gate = threading.Event()

    def fail() -> None:
        gate.wait(5)
        raise OSError("disk full")

    def feed(thread: WriterThread) -> None:
        thread.submit(fail, 60)
        threading.Timer(0.05, gate.set).start()
        thread.submit(lambda: None, 60)

    with pytest.raises(OSError, match="disk full"), WriterThread(100) as thread:
        feed(thread)
    assert not writer_threads()


def test_an_error_of_the_last_action_reaches_close() -> None:
    thread = WriterThread(100)
    thread.submit(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        thread.close()


def test_nothing_runs_after_an_error() -> None:
    ran: list[int] = []
    gate = threading.Event()

    def fail() -> None:
        gate.wait(5)
        raise OSError("disk full")

    thread = WriterThread(100)
    thread.submit(fail)
    thread.submit(lambda: ran.append(1))
    gate.set()
    with pytest.raises(OSError, match="disk full"):
        thread.close()
    with pytest.raises(OSError, match="disk full"):
        thread.submit(lambda: ran.append(2))
    assert ran == []


def test_an_exception_in_the_block_drops_the_queue() -> None:
    gate = threading.Event()
    ran: list[int] = []

    def block() -> None:
        with WriterThread(100) as thread:
            thread.submit(lambda: gate.wait(5))
            for number in range(10):
                thread.submit(lambda number=number: ran.append(number))
            threading.Timer(0.05, gate.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        block()
    assert ran == []
    assert not writer_threads()


def test_ctrl_c_while_closing_drops_the_queue_and_waits_for_the_action_under_way() -> None:
    ran: list[str] = []
    thread = WriterThread(100)

    def slow() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        time.sleep(0.2)
        ran.append("under way")

    thread.submit(lambda: time.sleep(0.1))
    thread.submit(slow)
    thread.submit(lambda: ran.append("dropped"))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), thread:
            pass
        assert ran == ["under way"]
        assert not writer_threads()
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_action_larger_than_the_budget_is_refused() -> None:
    with WriterThread(100) as thread, pytest.raises(ValueError, match="101 bytes"):
        thread.submit(lambda: None, 101)
