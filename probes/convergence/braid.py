"""The answers themselves: a row a seed, a column a step, for a few samples."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from probes.convergence.sequences import changes

if TYPE_CHECKING:
    import xarray

RIGHT, NONE = "#0072B2", "#e4e4e4"
WRONG = ("#E69F00", "#D55E00", "#CC79A7", "#F0E442", "#009E73", "#56B4E9")
"""Colours of wrong answers in the order in which they come up; a letter tells those apart that share one."""
PANELS = 6
_MOST_LETTERS = 24
_WIDTH, _LEFT, _RIGHT, _GAP = 7.2, 0.55, 0.15, 0.55
_ROW, _HEAD, _FOOT, _ABOVE = 0.19, 0.3, 0.3, 0.78


def braid(
    dataset: xarray.Dataset, reading: str | None = None, samples: Sequence[str] | None = None
) -> Figure:
    """What each seed answers at each step, its colour the answer; exploration and convergence as they are.

    Args:
        dataset: a result of convergence, with answers.
        reading: which; default the first, all of the answer.
        samples: default six, from that whose seeds change their answers most to that with the fewest.
    """
    reading = str(dataset["reading"].values[0]) if reading is None else reading
    names = dataset["run_sample"].values
    texts = dataset["answer"].sel(reading=reading).values
    right = dataset["is_right"].sel(reading=reading).values
    shown = _spread(names, texts) if samples is None else list(samples)
    rows = [np.flatnonzero(names == sample) for sample in shown]
    columns = 2 if len(shown) > 1 else 1
    lines = -(-len(shown) // columns)
    tallest = [max(len(one) for one in rows[line * columns :][:columns]) for line in range(lines)]
    heights = [_HEAD + _ROW * count + _FOOT for count in tallest]
    label = str(dataset["reading_label"].sel(reading=reading).item())
    caption = textwrap.wrap(_caption(dataset, reading, samples is None, len(shown)), 96)
    height = _ABOVE + sum(heights) + 0.25 + 0.19 * len(caption) + 0.12
    figure = Figure(figsize=(_WIDTH, height), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    width = (_WIDTH - _LEFT - _RIGHT - (columns - 1) * _GAP) / columns
    for place, (sample, of) in enumerate(zip(shown, rows, strict=True)):
        line, column = divmod(place, columns)
        top = _ABOVE + sum(heights[:line]) + _HEAD
        tall = _ROW * len(of)
        axes = figure.add_axes(
            (
                (_LEFT + column * (width + _GAP)) / _WIDTH,
                1 - (top + tall) / height,
                width / _WIDTH,
                tall / height,
            )
        )
        order = of[np.argsort(dataset["run_seed"].values[of])]
        commits = dataset["commit_step"].sel(reading=reading).values[order]
        _draw(axes, texts[order], right[order], commits)
        axes.set_title(sample, loc="left", fontsize=9.5)
        axes.set_yticks(range(len(order)), [str(seed) for seed in dataset["run_seed"].values[order]])
        if column == 0:
            axes.set_ylabel("seed", fontsize=9)
        if line == lines - 1 or place + columns >= len(shown):
            axes.set_xlabel("denoising step (0 = noisiest)", fontsize=9)
    left = _LEFT / _WIDTH
    title = f"What each seed answers at each step: {label}"
    figure.text(left, 1 - 0.12 / height, title, fontsize=12, fontweight="bold", va="top")
    figure.legend(
        handles=[
            *([Patch(facecolor=RIGHT, label="right")] if np.isfinite(right).any() else []),
            Patch(facecolor=WRONG[0], label="wrong a" if np.isfinite(right).any() else "answer a"),
            Patch(facecolor=WRONG[1], label="b, and so on in each sample"),
            Patch(facecolor=NONE, label="no answer"),
            Patch(facecolor="none", edgecolor="black", label="the final answer is held"),
        ],
        loc="upper left",
        bbox_to_anchor=(left - 0.012, 1 - 0.33 / height),
        ncols=5,
        frameon=False,
        fontsize=8.5,
        handlelength=1.2,
        columnspacing=1.2,
    )
    figure.text(
        left, 0.1 / height, "\n".join(caption), fontsize=8.5, color="#555555", va="bottom", linespacing=1.35
    )
    return figure


def _draw(
    axes: Axes, texts: NDArray[np.str_], right: NDArray[np.float64], commits: NDArray[np.int64]
) -> None:
    wrong: dict[str, int] = {}
    steps = texts.shape[1]
    # By step first: letters in the order in which the answers come up.
    for step in range(steps):
        for row in range(len(texts)):
            if texts[row, step] and right[row, step] != 1:
                wrong.setdefault(str(texts[row, step]), len(wrong))
    for (row, step), text in np.ndenumerate(texts):
        is_right = right[row, step] == 1
        number = wrong.get(str(text), 0)
        colour = NONE if not text else RIGHT if is_right else WRONG[number % len(WRONG)]
        axes.add_patch(
            Rectangle((step - 0.5, row - 0.5), 1, 1, facecolor=colour, edgecolor="white", linewidth=0.8)
        )
        if text and not is_right and steps <= _MOST_LETTERS:
            axes.text(step, row, _letter(number), ha="center", va="center", fontsize=7)
    for row, commit in enumerate(commits):
        if commit >= 0:
            axes.add_patch(
                Rectangle(
                    (commit - 0.44, row - 0.4),
                    steps - commit - 0.12,
                    0.8,
                    facecolor="none",
                    edgecolor="black",
                    linewidth=0.9,
                )
            )
    axes.set_xlim(-0.5, steps - 0.5)
    axes.set_ylim(len(texts) - 0.5, -0.5)
    axes.set_xticks(range(0, steps, -(-steps // 12)))
    axes.tick_params(length=0, labelsize=8)
    axes.spines[:].set_visible(False)


def _letter(number: int) -> str:
    rounds, place = divmod(number, 26)
    return "abcdefghijklmnopqrstuvwxyz"[place] + (str(rounds) if rounds else "")


def _spread(names: NDArray[np.str_], texts: NDArray[np.str_]) -> list[str]:
    """Samples from the most changes of answers to the fewest, as evenly as ranks go."""
    total: dict[str, int] = {}
    for name, row in zip(names.tolist(), texts.tolist(), strict=True):
        total[name] = total.get(name, 0) + changes([text or None for text in row])
    ranked = sorted(total, key=lambda name: (-total[name], name))
    places = np.unique(np.linspace(0, len(ranked) - 1, PANELS).round().astype(int))
    return [ranked[place] for place in places]


def _caption(dataset: xarray.Dataset, reading: str, is_spread: bool, shown: int) -> str:
    of = len(set(dataset["run_sample"].values.tolist()))
    chosen = (
        f"{shown} of {of} samples, at even ranks from the one whose seeds change their answers most to the "
        "one with the fewest changes"
        if is_spread
        else f"{shown} of {of} samples, chosen by name"
    )
    commit = dataset["commit"].sel(group="all", reading=reading)
    low, high, n = (
        dataset[f"commit_{part}"].sel(group="all", reading=reading).item() for part in ("low", "high", "n")
    )
    method = dataset["commit_method"].sel(group="all", reading=reading).item()
    mean = (
        f" Over all samples runs commit at step {commit.item():.1f} [{low:.1f}, {high:.1f}] on average "
        f"(n = {n} runs that end with an answer; {commit.attrs['level']:.0%} interval: {method})."
        if n
        else ""
    )
    return f"{chosen}. A letter is one answer within its sample alone.{mean}"
