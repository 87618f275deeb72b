"""The reading thread: the last thing asked is read, and no more than that."""

import threading

from tui.background import LatestReader


def test_reads_what_is_asked() -> None:
    read = threading.Event()
    LatestReader("test", lambda _: read.set()).ask(1)
    assert read.wait(10)


def test_drops_what_was_asked_before_it_came_to_it() -> None:
    first_begun, go_on, done = threading.Event(), threading.Event(), threading.Event()
    seen: list[int] = []

    def read(request: int) -> None:
        seen.append(request)
        if request == 0:
            first_begun.set()
            assert go_on.wait(10)
        if request == 3:
            done.set()

    reader = LatestReader("test", read)
    reader.ask(0)
    assert first_begun.wait(10)
    for request in (1, 2, 3):
        reader.ask(request)
    go_on.set()
    assert done.wait(10)
    assert seen == [0, 3]


def test_does_not_hold_up_the_end_of_the_program() -> None:
    reader = LatestReader("test", lambda _: None)
    assert reader._thread.daemon
