"""How the table of runs bears many of them: how soon it is seen, whole, and how soon keys are answered.

    python -m tests.benchmarks.bench_tui_many [--runs 10000] [--stores 100]

The app runs in a pseudo-terminal, once on one store with all runs and once on a folder with so many stores.
From its first row on, a key that moves the cursor is pressed again and again until all runs are there: time
until its first byte comes. Then the same for keys of the filter, and for changes of the order.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.tui.pseudo_terminal import Terminal, app_in_a_terminal
from tests.tui.store_factory import make_catalog

UP, DOWN = b"\x1b[A", b"\x1b[B"


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--runs", type=int, default=10_000)
    options.add_argument("--stores", type=int, default=100)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COSINTERP_HOME"] = str(Path(folder) / "home")
        one = make_catalog(Path(folder) / "one", chosen.runs)
        for number in range(chosen.stores):
            make_catalog(Path(folder) / "many" / f"store-{number:03}", chosen.runs // chosen.stores)
        for name, path in (("one store", one), (f"{chosen.stores} stores", Path(folder) / "many")):
            # Once before, so that the disk is warm and everything is compiled.
            with app_in_a_terminal(path, 120, 40) as app:
                app.see(b"base")
            with app_in_a_terminal(path, 120, 40) as app:
                _measure(name, app, chosen.runs)


def _measure(name: str, app: Terminal, runs: int) -> None:
    start = time.monotonic()
    app.see(b"base")
    rows = time.monotonic() - start
    whole = f"{runs:,} runs".encode()
    moves: list[float] = []
    while whole not in app.received or len(moves) < 20:
        moves.append(_answered(app, DOWN if len(moves) % 2 else UP))
        assert time.monotonic() - start < 60, app.received[-500:]
    print(
        f"{name}: first rows {rows:.2f} s, all {runs:,} known {time.monotonic() - start:.2f} s, "
        f"a move meanwhile {_told(moves)}"
    )
    app.settle()
    app.press(b"/")
    app.settle()
    filtered = [_answered(app, key) for key in (b"m", b"a", b"z", b"e", b"-", b"7", b"\x7f", b"\x7f")]
    app.settle()
    app.press(b"\r")
    app.settle()
    ordered = []
    for _ in range(8):
        ordered.append(_answered(app, b"S"))
        app.settle()
    print(f"{name}: a key of the filter {_told(filtered)}, another order {_told(ordered)}")


def _answered(app: Terminal, key: bytes) -> float:
    """Seconds from a key to the first byte after it, of an app that may be sending anyway."""
    app.receive(0.02)
    start = time.monotonic()
    app.press(key)
    app.see(b"\x1b", 10)
    return time.monotonic() - start


def _told(seconds: Sequence[float]) -> str:
    median, most = statistics.median(seconds), max(seconds)
    return f"{1000 * median:.0f} ms (median of {len(seconds)}), {1000 * most:.0f} at most"


if __name__ == "__main__":
    main()
