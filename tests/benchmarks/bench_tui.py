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

from tests.tui.pseudo_terminal import ENTER, Terminal, app_in_a_terminal
from tests.tui.store_factory import make_store
from tests.tui.test_traffic import make_noise

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
        os.environ["COSINTERP_HOME"] = str(Path(folder) / "home")
        store = make_store(Path(folder) / "mazes", [("maze-1", 0)])
        make_noise(store)
        with app_in_a_terminal(store, chosen.columns, chosen.rows) as app:
            app.see(b"fp32")
            app.settle()
            app.press(ENTER)
            app.see(b"of this run alone")
            app.settle()
            print("seconds to open:", ", ".join(f"{opened(app, key):.2f}" for key in (b"V", b"v", b"V")))
            sent = [_sent(app, key) for key in [RIGHT] * 20 + [DOWN] * 20]
            print(
                f"bytes a move: median {statistics.median(sent):.0f}, most {max(sent)}; "
                f"more than 1024 in {sum(one > 1024 for one in sent)} of {len(sent)}"
            )


def opened(app: Terminal, key: bytes) -> float:
    """Seconds from a key to the last byte of what it shows, by silence of a second."""
    start = last = time.monotonic()
    app.press(key)
    while select.select([app.fd], [], [], 1.0)[0]:
        os.read(app.fd, 65536)
        last = time.monotonic()
    return last - start


def _sent(app: Terminal, key: bytes) -> int:
    app.press(key)
    return len(app.receive(20, until=b"\x1b") + app.receive(0.5))


if __name__ == "__main__":
    main()
