"""Files that never come: keys, places, help and the way out work while a thread waits for them.

A named pipe that nobody writes stands for a file of a dead server: whoever opens it waits.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cosinterp.jobs.state import State
from stores import layout
from tests.tui.job_factory import plant_ended
from tests.tui.pseudo_terminal import ENTER, ESCAPE, ROOT, app_in_a_terminal
from tests.tui.store_factory import make_store
from tui import opening
from tui.opening import found

HELP = ((b"?", b"keys"), (ESCAPE, ESCAPE))
"""Keys, and what they bring: the page of keys, and that it is painted over."""


def make_dead(file: Path) -> None:
    """Have a file never come."""
    file.unlink()
    os.mkfifo(file)


def test_files_that_never_come_hold_up_no_key_and_not_the_end(tmp_path: Path, app_home: Path) -> None:
    store = make_store(tmp_path / "stores" / "a", [("maze-1", 0)])
    make_dead(store / layout.run_file("maze-1", 0))
    dead = make_store(tmp_path / "stores" / "b", [("maze-2", 0)])
    for catalog in (dead / layout.CATALOG).iterdir():
        make_dead(catalog)
    plant_ended(app_home, "trace-1123-0900-fox", State.FINISHED)
    dead_job = plant_ended(app_home, "trace-1123-0901-elk", State.FINISHED)
    make_dead(dead_job.path / "spec.json")
    with app_in_a_terminal(tmp_path / "stores", 120, 60) as app:
        # Of one store there are runs; of the other none ever come.
        app.see(b"maze-1")
        for keys, seen in (
            *HELP,
            (ENTER, b"reading..."),
            *HELP,
            (ESCAPE, b"maze-1"),
            (b"2", b"result"),
            *HELP,
            (b"3", b"samples"),
            (b"4", b"reading"),
            *HELP,
            (b"1", b"maze-1"),
        ):
            app.press(keys)
            app.see(seen)
            # What escape begins must not be taken for the start of a key.
            app.receive(0.3)
        app.press(b"q")
        # What is read never comes, so an end at all is one that did not wait for it.
        assert app.end() == 0


def test_a_folder_that_does_not_answer_is_waited_for_by_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_dir", lambda path: time.sleep(60))
    monkeypatch.setattr(opening, "PATIENCE", 0.05)
    assert found(tmp_path) == tmp_path


def test_an_interpreter_ends_while_a_thread_waits_within_hdf5() -> None:
    code = (
        "import sys, threading, time\n"
        "from h5py._objects import phil\n"
        "from tui.background import LatestReader\n"
        "from tui.leaving import wait_for_no_read\n"
        "held = threading.Event()\n"
        "def read(_):\n"
        "    with phil:\n"
        "        held.set()\n"
        "        time.sleep(600)\n"
        "LatestReader('stuck', read).ask(None)\n"
        "held.wait()\n"
        "wait_for_no_read(3)\n"
        "print('said')\n"
        "sys.exit(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, timeout=20, check=False, stdout=subprocess.PIPE
    )
    assert (done.returncode, done.stdout) == (3, b"said\n")
