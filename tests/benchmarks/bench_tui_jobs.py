"""What the place of jobs costs: time to open it with many, and bytes and CPU while some run, and at rest.

    python -m tests.benchmarks.bench_tui_jobs [--jobs 3000] [--running 4] [--columns 200] [--rows 60]

The app runs in a pseudo-terminal, over jobs that are planted and of which some go on each second. They are
opened when the app has just painted its first screen, so that nothing has been read before.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import psutil

from cosinterp.jobs.state import State
from tests.tui.job_factory import plant_ended, running_jobs
from tests.tui.pseudo_terminal import Terminal, app_in_a_terminal
from tests.tui.store_factory import make_store

SECONDS = 15.0
HOME = b"\x1b[H"


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--jobs", type=int, default=3000)
    options.add_argument("--running", type=int, default=4)
    options.add_argument("--columns", type=int, default=200)
    options.add_argument("--rows", type=int, default=60)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        os.environ["COSINTERP_HOME"] = str(home)
        store = make_store(Path(folder) / "mazes", [("maze-1", 0)])
        first = plant_ended(home, "trace-1123-00000-kite", State.FINISHED, age=10**6)
        for number in range(1, chosen.jobs):
            shutil.copytree(first.path, first.path.with_name(f"trace-1123-{number:05d}-kite"))
        with app_in_a_terminal(store, chosen.columns, chosen.rows) as app:
            app.see(b"Runs")
            start = time.monotonic()
            app.press(b"4")
            app.see(b"kite")
            print(f"seconds until the first jobs are there: {time.monotonic() - start:.2f}")
            app.see(f"{chosen.jobs} jobs".encode())
            print(f"seconds until all {chosen.jobs} are: {time.monotonic() - start:.2f}")
            app.settle()
            _say("at rest", *_costs(app))
            with running_jobs(home, chosen.running):
                app.see(b"running")
                app.press(HOME)
                app.receive(5)
                _say(f"{chosen.running} running, in the table", *_costs(app))
                app.press(b"l")
                app.receive(5)
                _say("in the log of one", *_costs(app))


def _costs(app: Terminal) -> tuple[float, float]:
    """Bytes a second, and seconds of CPU a second."""
    process = psutil.Process(app.process.pid)
    before = process.cpu_times()
    sent = len(app.receive(SECONDS))
    after = process.cpu_times()
    return sent / SECONDS, (after.user + after.system - before.user - before.system) / SECONDS


def _say(what: str, sent: float, busy: float) -> None:
    print(f"{what}: {sent:,.0f} bytes a second, {busy:.2%} of a core")


if __name__ == "__main__":
    main()
