"""Ctrl-C at the right moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stores.hdf5 import Reading
from stores.interrupts import interrupt_of, interrupts_deferred


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C raises, also where the tests run in the background."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


def test_it_comes_after_the_block() -> None:
    passed = []

    def interrupted() -> None:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
            passed.append("signal")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert passed == ["signal"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_comes_once_where_it_is_let_through() -> None:
    passed = []
    with interrupts_deferred() as let_through:
        let_through()
        passed.append("nothing waits")
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            let_through()
        let_through()
        passed.append("nothing waits any more")
    assert passed == ["nothing waits", "nothing waits any more"]


def test_in_another_thread_it_does_nothing() -> None:
    handlers = []

    def look() -> None:
        with interrupts_deferred() as let_through:
            let_through()
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]


def test_what_h5py_makes_of_it_stays_an_interrupt_where_a_file_is_read() -> None:
    with pytest.raises(KeyboardInterrupt), Reading(Path("run.h5")):
        raise SystemError("returned a result with an exception set") from KeyboardInterrupt()
    with pytest.raises(SystemError, match="ours"), Reading(Path("run.h5")):
        raise SystemError("ours") from ValueError()


def test_no_other_error_is_an_interrupt() -> None:
    error = SystemError()
    assert interrupt_of(None) is None
    assert interrupt_of(error) is None
    error.__cause__ = ValueError()
    assert interrupt_of(error) is None
