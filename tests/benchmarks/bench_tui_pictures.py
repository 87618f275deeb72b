"""How long the app's threads take for what is shown of tokens and pictures, and how many bytes pixels are.

    python -m tests.benchmarks.bench_tui_pictures
    python -m tests.benchmarks.bench_tui_pictures --channels 192 --frames 5 --rows 16 --cols 16

Components of a layer are found once; each step is then shown in them, beside the time to read it. Pictures
are made ready in a thread: a maze enlarged by a whole factor, and smooth noise of many colours.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from cosinterp.cli.console import out
from probes.maps.principal import colour_limits
from tui.browser.rows import Row
from tui.frames.overlays import FIT_TOKENS, Basis, Kind, Wanted, first_components, scores
from tui.pictures.half_cells import scaled
from tui.terminal.asking import Way
from tui.terminal.encoding import Order, digest_of, encoded

Made = TypeVar("Made")
CELL = 10, 20


def timed(make: Callable[[], Made], times: int = 3) -> tuple[Made, float]:
    """What is made, and the shortest of some times that it takes."""
    found, taken = make(), []
    for _ in range(times):
        start = time.perf_counter()
        make()
        taken.append(time.perf_counter() - start)
    return found, min(taken)


def bench_components(grid: tuple[int, int, int], channels: int) -> None:
    """Components of noise, which is the hardest to find them of, and a step shown in them."""
    generator = np.random.default_rng(0)
    slab = generator.standard_normal((*grid, channels), dtype=np.float32)
    tokens = slab.reshape(-1, channels)
    drawn = tokens[generator.choice(len(tokens), min(FIT_TOKENS, len(tokens)), replace=False)]
    components, fit = timed(lambda: first_components(drawn))
    basis = Basis(components, colour_limits(scores(components, drawn)), (0,))
    row = Row(Path(), "", "", 0, "base", 1, (0,), 0, 0.0)
    wanted = Wanted(row, Kind.COMPONENTS, "resid", 0, 0)
    _, shown = timed(lambda: basis.shown(wanted, slab))
    out().print(
        f"{len(tokens):,} tokens of {channels:,} channels: components {fit:.2f} s, a step {shown:.2f} s"
    )


def bench_picture(name: str, frame: np.ndarray, columns: int, lines: int) -> None:
    """A picture in so many cells, by both ways."""
    for way in (Way.KITTY, Way.SIXEL):
        order = Order(frame, digest_of(frame), columns, lines, CELL, (0, 0, 0), way)
        made, taken = timed(lambda order=order: encoded(order), times=1)
        size = sum(map(len, made))
        out().print(f"{name}, {columns}x{lines} cells, {way.value}: {taken:.2f} s, {size / 1000:,.0f} KB")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, default=5120)
    parser.add_argument("--frames", type=int, default=21)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--cols", type=int, default=45)
    asked = parser.parse_args()
    bench_components((asked.frames, asked.rows, asked.cols), asked.channels)
    generator = np.random.default_rng(0)
    bench_picture(
        "maze",
        scaled(generator.integers(0, 2, (16, 16, 1)).repeat(3, 2).astype(np.uint8) * 230, 64, 64),
        80,
        40,
    )
    noise = Image.fromarray(generator.integers(0, 256, (60, 104, 3)).astype(np.uint8))
    bench_picture("noise", np.asarray(noise.resize((832, 480), Image.Resampling.BICUBIC)), 80, 24)


if __name__ == "__main__":
    main()
