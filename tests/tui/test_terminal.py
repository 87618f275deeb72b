"""The app and its terminal: what it leaves behind, however it ends; ctrl+z; keys typed ahead of it."""

import atexit
import os
import signal
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from tests.tui.pseudo_terminal import Terminal, app_in_a_terminal
from tests.tui.store_factory import make_store
from tui.leaving import wait_for_no_read

CLEAN = {b"7", b"25"}
"""Lines wrap, and the cursor is seen."""
ALTERNATE_SCREEN = b"1049"
STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("stores") / "mazes", [("maze-1", seed) for seed in range(3)])


def assert_is_clean(terminal: Terminal) -> None:
    assert terminal.switched_on == CLEAN
    assert terminal.settings_now == terminal.settings


def test_what_is_clean_is_told_from_what_is_not(store: Path) -> None:
    with app_in_a_terminal(store) as terminal:
        terminal.see(b"fp32")
        assert {ALTERNATE_SCREEN, b"1000", b"1006", b"2004", b"keyboard"} <= terminal.switched_on
        assert b"25" not in terminal.switched_on
        assert terminal.settings_now != terminal.settings
        terminal.press(b"q")
        assert terminal.end() == 0
        assert_is_clean(terminal)


@pytest.mark.parametrize(
    ("signum", "when"),
    # Before anything is painted, while the first place is loaded, and once all is there.
    [(signal.SIGTERM, b"\x1b[?1049h"), (signal.SIGTERM, b"reading..."), (signal.SIGHUP, b"fp32")],
)
def test_a_signal_leaves_the_terminal_clean(store: Path, signum: signal.Signals, when: bytes) -> None:
    with app_in_a_terminal(store) as terminal:
        terminal.see(when)
        terminal.process.send_signal(signum)
        assert terminal.end() == 128 + signum
        assert_is_clean(terminal)


def test_a_library_that_is_half_imported_does_not_keep_the_app_from_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered: list[tuple[Any, ...]] = []
    monkeypatch.setitem(sys.modules, "h5py._objects", ModuleType("h5py._objects"))
    monkeypatch.setattr(atexit, "register", lambda *what: registered.append(what))
    wait_for_no_read(143)
    assert [what[1:] for what in registered] == [(143,)]


def test_a_bug_of_ours_leaves_the_terminal_clean_and_a_traceback(store: Path) -> None:
    """One in a thread that reads, as most of what may go wrong is there."""
    code = """
import sys
import tui.browser.reading
def read_detail(row):
    raise ZeroDivisionError("a bug of ours")
tui.browser.reading.read_detail = read_detail
from cosinterp.__main__ import main
sys.argv[0] = "cosinterp"
main()
"""
    with app_in_a_terminal(store, command=("-c", code, "tui")) as terminal:
        assert terminal.end(60) == 1
        assert_is_clean(terminal)
        after = terminal.received.rpartition(b"\x1b[?1049l")[2]
        assert b"ZeroDivisionError" in after
        assert b"a bug of ours" in after


def test_an_app_whose_terminal_is_gone_ends(store: Path) -> None:
    with app_in_a_terminal(store) as terminal:
        terminal.see(b"fp32")
        os.close(terminal.fd)
        try:
            assert terminal.process.wait(20) == 128 + signal.SIGHUP
        finally:
            # A number that the fixture can close.
            terminal.fd = os.open(os.devnull, os.O_RDONLY)


def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(store: Path) -> None:
    with app_in_a_terminal(store) as terminal:
        terminal.see(b"fp32")
        terminal.settle()
        process = psutil.Process(terminal.process.pid)
        terminal.press(b"\x1a")
        for _ in range(200):
            terminal.receive(0.05)
            if process.status() in STOPPED:
                break
        terminal.receive(0.2)
        assert_is_clean(terminal)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.see(b"maze-1")
        assert ALTERNATE_SCREEN in terminal.switched_on
        terminal.press(b"q")
        assert terminal.end() == 0
        assert_is_clean(terminal)


def test_keys_typed_ahead_go_to_the_first_place(store: Path) -> None:
    with app_in_a_terminal(store) as terminal:
        terminal.press(b"/")
        terminal.see(b"fp32")
        terminal.settle()
        terminal.press(b"nowhere")
        terminal.see(b"0 of 3 runs", 10)


def test_ends_at_a_signal_though_the_terminal_takes_nothing(store: Path) -> None:
    """As one does that ctrl+s holds up, or whose line is cut without a word."""
    with app_in_a_terminal(store) as terminal:
        # Nothing is read from here on, so what is painted fills the line.
        time.sleep(1)
        for _ in range(30):
            terminal.press(b"??")
            time.sleep(0.02)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(20) == 128 + signal.SIGTERM
