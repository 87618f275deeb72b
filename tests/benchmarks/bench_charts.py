"""What charts cost in the terminal: time to open them, and bytes that a move of their cursor sends.

    python -m tests.benchmarks.bench_charts [--columns 200] [--rows 60]

The chart is noise: eight curves of 50 points with intervals, whose bands lie over one another. The dots are
40 claims on scales of their own. The app runs in a pseudo-terminal. A view is open when the last byte has
come of what a key sends; the first time with whatever has to be loaded for it.
"""

from __future__ import annotations

import argparse
import os
import select
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from probes.claims import Claim, Curve, Findings, Measured, Panel
from probes.statistics import Estimate
from tests.tui.pseudo_terminal import ENTER, Terminal, app_in_a_terminal
from tests.tui.store_factory import make_result, make_store

RIGHT, LEFT, UP, DOWN = b"\x1b[C", b"\x1b[D", b"\x1b[A", b"\x1b[B"
CURVES, POINTS, CLAIMS = 8, 50, 40


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
        make_result(store, "noise", noise().to_dataset(), "experiment")
        with app_in_a_terminal(store, chosen.columns, chosen.rows) as app:
            app.see(b"fp32")
            app.settle()
            app.press(b"2")
            app.see(b"experiment")
            app.settle()
            # The claims come first, then the curves, then what the result says.
            seconds = [_opened(app, key) for key in (ENTER, b"v")]
            print("seconds to open: dots {:.2f} (with the result), curves {:.2f}".format(*seconds))
            for name, keys in (
                ("along a curve", [RIGHT] * 20 + [LEFT] * 20),
                ("between curves", [DOWN] * 7 + [UP] * 7),
            ):
                _tell(name, [_sent(app, key) for key in keys])
            _opened(app, b"V")
            _tell("between dots", [_sent(app, key) for key in [DOWN] * 10 + [UP] * 10])


def noise() -> Findings:
    """Curves and claims of noise, with intervals."""
    rng = np.random.default_rng(0)

    def estimate() -> Estimate:
        value, width = rng.normal(), rng.random()
        return Estimate(value, value - width, value + width, 0.95, 20_480, 64, "made up", 0, 1000)

    curves = tuple(
        Curve(f"curve {one}", tuple(range(POINTS)), tuple(estimate() for _ in range(POINTS)))
        for one in range(CURVES)
    )
    panel = Panel("by-step", "Noise by step", "step", "noise", curves, reference=0.0)
    claims = tuple(
        Measured(Claim(f"claim-{one}", "It is noise.", "nowhere", "noise", "of no unit"), estimate())
        for one in range(CLAIMS)
    )
    return Findings("noise", "Noise", "Made up.", (), claims, (panel,))


def _tell(name: str, sent: list[int]) -> None:
    print(
        f"bytes a move {name}: median {statistics.median(sent):.0f}, most {max(sent)}; "
        f"more than 1024 in {sum(one > 1024 for one in sent)} of {len(sent)}"
    )


def _opened(app: Terminal, key: bytes) -> float:
    """Seconds from a key to the last byte of what it shows, by silence of a second."""
    start = last = time.monotonic()
    app.press(key)
    wait = 20.0
    while select.select([app.fd], [], [], wait)[0]:
        os.read(app.fd, 65536)
        last, wait = time.monotonic(), 1.0
    return last - start


def _sent(app: Terminal, key: bytes) -> int:
    app.press(key)
    return len(app.receive(20, until=b"\x1b") + app.receive(0.5))


if __name__ == "__main__":
    main()
