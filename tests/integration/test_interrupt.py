"""Ctrl-C on the real command."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from stores import open_store

REPOSITORY = Path(__file__).parents[2]
RUN_CLI = "from cosinterp.cli import main; main()"


def command(folder: Path, store: Path) -> list[str]:
    flags = (
        f"--model {folder} --prompt 'go to the red goal' --name goal --height 32 --width 32 --num-frames 5"
    )
    more = f"--num-steps 20 --seeds 0-30 --sites all --device cpu --store {store}"
    return [sys.executable, "-c", RUN_CLI, "trace", *shlex.split(f"{flags} {more}")]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", "COLUMNS": "400"}


def test_ctrl_c_keeps_finished_runs_and_says_how_to_resume(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    store = tmp_path / "store"
    # Two experts: an interrupt may come in any of nnsight's workers.
    words = command(tiny_folder("wan2.2-t2v-a14b"), store)
    process = subprocess.Popen(
        words,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
        # A test run in the background inherits that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stderr is not None
        said = ""
        while "2/31" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        interrupted = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        said += process.stderr.read()
        process.wait(timeout=10)
        took = time.monotonic() - interrupted
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    # A second or two; the rest is for a machine that is busy with other tests.
    assert took < 5
    assert not list(store.rglob("*.partial*"))
    opened = open_store(store)
    kept = {entry.seed for entry in opened.runs()}
    assert {0, 1} <= kept < set(range(31))
    assert opened.verify() == []
    resume = next(line.strip() for line in said.splitlines() if line.strip().endswith("--resume"))
    assert shlex.split(resume)[1:] == [*words[3:], "--resume"]
