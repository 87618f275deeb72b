"""What a heatmap costs in the terminal: time to open it, and bytes that a move of its cursor sends.

    python -m tests.benchmarks.bench_tui [--columns 200] [--rows 60]

The map is noise of 50 steps and 41 layers, from a result of a store; noise has the dearest profiles. The app
runs in a pseudo-terminal. A map is open when the last byte has come of what a key sends: the first time with
whatever has to be loaded for it, then a small map of the run itself, then the first once more.
"""

from __future__ import annotations

import argparse
import os
import select
import statistics
import tempfile
import time
from pathlib import Path

from tests.tui.store_factory import make_store
from tests.tui.test_traffic import app_in_a_terminal, make_noise, receive, settle

RIGHT, DOWN = b"\x1b[C", b"\x1b[B"


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--columns", type=int, default=200)
    options.add_argument("--rows", type=int, default=60)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder) / "mazes", [("maze-1", 0)])
        make_noise(store)
        with app_in_a_terminal(store, chosen.columns, chosen.rows) as (terminal, process):
            receive(terminal, 60, until=b"fp32")
            settle(terminal)
            os.write(terminal, b"\r")
            receive(terminal, 60, until=b"of this run alone")
            settle(terminal)
            print(
                "seconds to open:", ", ".join(f"{_opened(terminal, key):.2f}" for key in (b"V", b"v", b"V"))
            )
            sent = [_sent(terminal, key) for key in [RIGHT] * 20 + [DOWN] * 20]
            print(
                f"bytes a move: median {statistics.median(sent):.0f}, most {max(sent)}; "
                f"more than 1024 in {sum(one > 1024 for one in sent)} of {len(sent)}"
            )
            os.write(terminal, b"q")
            receive(terminal, 30)
            process.wait(20)


def _opened(terminal: int, key: bytes) -> float:
    """Seconds from a key to the last byte of what it shows, by silence of a second."""
    start = last = time.monotonic()
    os.write(terminal, key)
    while select.select([terminal], [], [], 1.0)[0]:
        os.read(terminal, 65536)
        last = time.monotonic()
    return last - start


def _sent(terminal: int, key: bytes) -> int:
    os.write(terminal, key)
    return len(receive(terminal, 20, until=b"\x1b") + receive(terminal, 0.5))


if __name__ == "__main__":
    main()
