"""The reading thread: the last thing asked is read, and no more than that."""

import threading
from pathlib import Path

from textual.message import Message

from tests.tui.driving import until
from tui.app import CosinterpApp
from tui.background import Crashed, LatestReader


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


def test_tells_of_a_bug_and_goes_on() -> None:
    told: list[Message] = []
    again, bug = threading.Event(), KeyError("a bug")

    def read(request: int) -> None:
        if request == 0:
            raise bug
        again.set()

    def post(message: Message) -> None:
        told.append(message)
        reader.ask(1)

    reader = LatestReader("test", read, post)
    reader.ask(0)
    assert again.wait(10)
    assert [message.error for message in told if isinstance(message, Crashed)] == [bug]


def test_does_not_hold_up_the_end_of_the_program() -> None:
    reader = LatestReader("test", lambda _: None)
    assert reader._thread.daemon


async def test_what_is_watched_is_watched_no_longer_than_the_app_runs(tmp_path: Path) -> None:
    app = CosinterpApp(tmp_path)
    watches = app.jobs_watch, app.gpu_watch
    async with app.run_test() as pilot:
        await until(pilot, lambda: all(watch.latest is not None for watch in watches))
    for watch in watches:
        watch._thread.join(2)
        assert not watch._thread.is_alive()
