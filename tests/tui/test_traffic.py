"""What the app sends to the terminal, measured through a pseudo-terminal."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xarray

from tests.tui.store_factory import make_result, make_store

ROOT = Path(__file__).parents[2]
QUIET = 1.5


@contextmanager
def app_in_a_terminal(
    store: Path, columns: int = 80, rows: int = 24
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "cosinterp", "tui", str(store)],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield ours, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)


def receive(terminal: int, seconds: float, until: bytes | None = None) -> bytes:
    """What arrives within ``seconds``, or until ``until`` has arrived or the app has ended."""
    received = b""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and (until is None or until not in received):
        if select.select([terminal], [], [], left)[0]:
            try:
                received += os.read(terminal, 65536)
            except OSError:
                break
    return received


def settle(terminal: int) -> None:
    """Read on until nothing has come for a while."""
    for _ in range(20):
        if not receive(terminal, QUIET):
            return
    raise AssertionError("the app never came to rest")


def make_noise(store: Path) -> None:
    """A result of noise by step and layer, with intervals and counts."""
    values, axes = np.random.default_rng(0).normal(size=(50, 41)), ("step", "layer")
    make_result(
        store,
        "noise",
        xarray.Dataset(
            {
                "above": (axes, values),
                "above_low": (axes, values - 1),
                "above_high": (axes, values + 1),
                "above_n": (axes, np.full(values.shape, 20_480)),
                "above_samples": (axes, np.full(values.shape, 64)),
            },
            {"step": range(50), "layer": range(41)},
        ),
    )


def test_sends_nothing_at_rest(tmp_path: Path) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", seed) for seed in range(8)])
    with app_in_a_terminal(store) as (terminal, process):
        assert b"maze-1" in receive(terminal, 60, until=b"fp32")
        settle(terminal)
        assert receive(terminal, 3) == b""
        os.write(terminal, b"/maze")
        receive(terminal, 20, until=b"\x1b")
        settle(terminal)
        assert receive(terminal, 3) == b""
        os.write(terminal, b"\r")
        settle(terminal)
        os.write(terminal, b"q")
        receive(terminal, 30)
        assert process.wait(20) == 0


def test_a_cursor_move_in_a_heatmap_sends_less_than_a_kilobyte(tmp_path: Path) -> None:
    """Noise has the dearest profiles: no bar is like its neighbour, and none stays."""
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    make_noise(store)
    with app_in_a_terminal(store, columns=200, rows=60) as (terminal, process):
        receive(terminal, 60, until=b"fp32")
        settle(terminal)
        os.write(terminal, b"\r")
        assert b"of this run alone" in receive(terminal, 60, until=b"of this run alone")
        settle(terminal)
        os.write(terminal, b"V")
        assert b"20,480" in receive(terminal, 60, until=b"20,480")
        settle(terminal)
        for key in (b"\x1b[C", b"\x1b[B", b"\x1b[D", b"\x1b[A"):
            os.write(terminal, key)
            sent = receive(terminal, 20, until=b"\x1b") + receive(terminal, QUIET)
            assert 0 < len(sent) < 1024, key
        assert receive(terminal, 3) == b""
        os.write(terminal, b"q")
        receive(terminal, 30)
        assert process.wait(20) == 0


def test_a_path_that_is_no_folder_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cosinterp", "tui", str(tmp_path / "nothing")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert (
        done.stderr
        == f"error: {tmp_path / 'nothing'}: no such folder; give a store or a folder with stores in it\n"
    )
