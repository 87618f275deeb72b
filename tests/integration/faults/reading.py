"""Reads the finished runs of a store that is being written, again and again.

    python -m tests.integration.faults.reading STORE TRUTH

Prints "ready" and reads until its standard input ends; then it prints, in JSON, what it saw (`Seen`).
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from stores import RunEntry, Store, open_store


@dataclass
class Seen:
    """What a reader saw: how many runs there were at each look, and how many slabs were right."""

    runs: list[int] = field(default_factory=list)
    slabs: int = 0


def read_along(store: Path, truth: Path, stopped: Callable[[], bool]) -> Seen:
    """Compare what is finished in ``store`` with ``truth``, which has the same runs, until told to stop."""
    seen, true = Seen(), open_store(truth)
    while not (store / "store.json").exists() and not stopped():
        time.sleep(0.001)
    # Opened once: what is finished later has to appear by itself.
    opened = open_store(store)
    last = False
    while not last:
        last = stopped()
        entries = opened.runs()
        seen.runs.append(len(entries))
        for entry in entries:
            seen.slabs += _compare(opened, true, entry)
    return seen


def _compare(store: Store, truth: Store, entry: RunEntry) -> int:
    slabs = 0
    with store.run(*entry.key) as run, truth.run(*entry.key) as true:
        np.testing.assert_array_equal(run.video, true.video)
        for step in range(run.num_steps):
            np.testing.assert_array_equal(run.clean_estimate(step), true.clean_estimate(step))
    for run, step, layer, branch, tokens in truth.iter("resid", samples=entry.sample, seeds=entry.seed):
        read = store.read("resid", step, layer, run.sample, run.seed, branch)
        np.testing.assert_array_equal(read, tokens)
        slabs += 1
    return slabs


if __name__ == "__main__":
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    json.dump(asdict(read_along(Path(sys.argv[1]), Path(sys.argv[2]), ended.is_set)), sys.stdout)
