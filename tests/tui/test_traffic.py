"""What the app sends to the terminal, measured through a pseudo-terminal."""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import xarray

from cosinterp.jobs.state import State
from tests.tui.job_factory import plant_ended, running_jobs
from tests.tui.pseudo_terminal import ENTER, QUIET, ROOT, all_at_rest, app_in_a_terminal, sent_within
from tests.tui.store_factory import make_result, make_store
from tui.app import PLACES

REST = 4.0
"""Seconds of silence: longer than anything waits that looks whether something has changed."""
MOST_A_SECOND = 5 * 1024
SECONDS = 5.0
ARROWS = (b"\x1b[C", b"\x1b[B", b"\x1b[D", b"\x1b[A")

VIEWS = {
    "runs": (b"", b"fp32", b"/maze", b"seed=0-3"),
    "a run": (ENTER, b"of this run alone", b"f", b"decode"),
    "results": (b"2", b"noise", ENTER, b"above"),
    "launch": (b"3", b"samples", b"g", b"GPU"),
    "jobs": (b"4", b"fox", b"?", b"keys"),
}
"""Of each app: keys that lead to a place, what is seen there, further keys, and what those bring."""


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


def test_sends_nothing_at_rest_and_little_while_jobs_run(tmp_path: Path, app_home: Path) -> None:
    store = make_store(tmp_path / "mazes", [("maze-1", seed) for seed in range(8)])
    make_noise(store)
    plant_ended(app_home, "trace-1123-0900-fox", State.FINISHED, cwd=tmp_path)
    with ExitStack() as stack:
        apps = [stack.enter_context(app_in_a_terminal(store)) for _ in VIEWS]
        for app, (keys, seen, _, _) in zip(apps, VIEWS.values(), strict=True):
            app.see(b"fp32")
            if keys:
                app.press(keys)
                app.see(seen)
        all_at_rest(apps, REST)
        with running_jobs(app_home, 4):
            for view, app in zip(VIEWS, apps, strict=True):
                if view in PLACES:
                    app.see(b"Jobs (4)")
            sent = dict(zip(VIEWS, sent_within(apps, SECONDS), strict=True))
            assert max(sent.values()) < MOST_A_SECOND * SECONDS, sent
            # What runs is seen to go on.
            assert sent["jobs"] > 0
        for app, (_, _, keys, seen) in zip(apps, VIEWS.values(), strict=True):
            app.press(keys)
            app.see(seen)
        all_at_rest(apps, REST)


def test_a_cursor_move_in_a_heatmap_sends_less_than_a_kilobyte(tmp_path: Path) -> None:
    """Noise has the dearest profiles: no bar is like its neighbour, and none stays."""
    store = make_store(tmp_path / "mazes", [("maze-1", 0)])
    make_noise(store)
    with app_in_a_terminal(store, columns=200, rows=60) as app:
        app.see(b"fp32")
        app.press(ENTER)
        app.see(b"of this run alone")
        app.settle()
        app.press(b"V")
        app.see(b"20,480")
        app.settle()
        for key in ARROWS:
            app.press(key)
            sent = app.receive(20, until=b"\x1b") + app.receive(QUIET)
            assert 0 < len(sent) < 1024, key


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
