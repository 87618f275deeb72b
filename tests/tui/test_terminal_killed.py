"""What the app has started goes on when the app is killed, and its next start shows it."""

import os
import signal
import time
from pathlib import Path

from cosinterp.jobs.listing import jobs
from cosinterp.jobs.state import State
from tests.tui.pseudo_terminal import app_in_a_terminal
from tests.tui.store_factory import make_store

STARTING_A_JOB = """
import sys
from cosinterp.jobs.launching import submit
submit(["store", "verify", sys.argv[2]], watched=0)
from cosinterp.__main__ import main
main()
"""


def test_a_job_goes_on_when_the_app_is_killed(tmp_path: Path, app_home: Path) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    with app_in_a_terminal(store, command=("-c", STARTING_A_JOB, "tui")) as app:
        app.see(b"reading...")
        (job,) = jobs()
        os.killpg(app.process.pid, signal.SIGKILL)
        assert app.process.wait(10) == -signal.SIGKILL
    end = time.monotonic() + 60
    while job.state() is not State.FINISHED:
        assert time.monotonic() < end, job.state()
        time.sleep(0.1)
        (job,) = jobs()
    with app_in_a_terminal(store) as app:
        app.see(b"reading...")
        app.press(b"4")
        app.see(b"finished")
