"""What a job is told by the bars of its command, which nobody sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest

from cosinterp.cli import console, counting
from cosinterp.cli.counting import ToldProgress, drawn_bar, unit_bar
from cosinterp.cli.experiment_progress import ExperimentBar
from cosinterp.cli.noise_progress import NoiseProgress
from cosinterp.cli.sweep_progress import SweepProgress
from cosinterp.cli.trace_progress import RichProgress


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the job knows: what is said is added to what was said before."""
    known: dict[str, Any] = {}
    for module in (counting, console):
        monkeypatch.setattr(module, "tell", lambda **progress: known.update(progress))
    return known


class Clock:
    """Says the time that it is set to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def bar_at() -> Callable[..., tuple[ToldProgress, Clock]]:
    """A bar whose clock is set by hand; nothing is drawn, as where standard error is no terminal."""

    def make(**settings: Any) -> tuple[ToldProgress, Clock]:
        clock = Clock()
        return ToldProgress(get_time=clock, disable=True, **settings), clock

    return make


def test_nothing_is_drawn_here_and_all_is_told(told: dict[str, Any]) -> None:
    with counting.counting("scoring", 4) as count:
        assert told["description"] == "scoring"
        assert (told["done"], told["total"]) == (0, 4)
        count()
        count()
        assert (told["done"], told["total"], told["unit"]) == (2, 4, None)
        count.now("drawing")
        assert told["description"] == "drawing"
        count.reach(7, 9)
        assert (told["done"], told["total"]) == (7, 9)


def test_counts_of_arrays_are_told_as_plain_numbers(told: dict[str, Any]) -> None:
    with counting.counting("reading") as count:
        count.reach(numpy.int64(3), numpy.int64(8))
    assert json.loads(json.dumps([told["done"], told["total"]])) == [3, 8]


def test_bytes_are_told_as_such(told: dict[str, Any]) -> None:
    with counting.counting("copying", 10**9, sizes=True) as count:
        count.reach(10**6, 10**9)
    assert (told["done"], told["unit"]) == (10**6, "bytes")


def test_rate_and_time_left_are_those_of_the_bar(told: dict[str, Any], bar_at: Callable) -> None:
    bar, clock = bar_at(unit="steps")
    task = bar.add_task("tracing", total=100)
    for _ in range(20):
        clock.now += 0.5
        bar.advance(task)
    assert told["rate"] == pytest.approx(2)
    assert told["seconds_left"] == pytest.approx(40)


def test_parts_that_take_longer_than_the_bar_remembers_have_an_estimate(
    told: dict[str, Any], bar_at: Callable
) -> None:
    bar, clock = bar_at(unit="steps", speed_estimate_period=30)
    task = bar.add_task("tracing", total=10)
    for _ in range(4):
        clock.now += 60
        bar.advance(task)
    assert told["rate"] == pytest.approx(1 / 60)
    assert told["seconds_left"] == pytest.approx(360)


def test_nothing_is_foretold_before_anything_is_done(told: dict[str, Any], bar_at: Callable) -> None:
    bar, clock = bar_at(unit="steps")
    bar.add_task("tracing", total=10)
    clock.now = 5
    bar.add_task("tracing", total=None)
    assert (told["rate"], told["seconds_left"]) == (None, None)


def test_the_sample_of_one_bar_is_not_told_by_the_next(told: dict[str, Any]) -> None:
    bar = unit_bar("steps")
    bar.update(bar.add_task("tracing", total=3), advance=1, sample="maze-3", seeds="0-3")
    assert (told["sample"], told["seeds"]) == ("maze-3", "0-3")
    drawn_bar().add_task("scoring", total=3)
    assert (told["sample"], told["seeds"], told["unit"]) == (None, None, None)


def test_a_trace_tells_sample_and_seeds_apart_from_what_it_does(told: dict[str, Any], tmp_path: Path) -> None:
    progress = RichProgress(tmp_path, steps=24)
    progress.step("maze-3", (0, 1, 2), 0, 12)
    assert told["description"] == "tracing"
    assert (told["sample"], told["seeds"]) == ("maze-3", "0-2")
    assert (told["done"], told["unit"]) == (3, "steps")
    RichProgress(tmp_path, variant="x0")
    assert told["description"] == "making x0"


def test_a_sweep_tells_its_recipient_and_its_place(told: dict[str, Any]) -> None:
    progress = SweepProgress()
    progress.planned(10, 4)
    progress.row(
        {"site": "resid", "layers": "3", "steps": "0-2", "recipient_sample": "maze-1", "recipient_seed": 7}
    )
    assert told["description"] == "resid layer 3 step 0-2"
    assert (told["sample"], told["seeds"]) == ("maze-1", "7")
    assert (told["done"], told["total"], told["unit"]) == (1, 6, "patches")


def test_noise_tells_the_variant(told: dict[str, Any]) -> None:
    progress = NoiseProgress({"noised-step-1": [("maze-1", 0)]}, 12)
    progress.variant("noised-step-1")
    progress.step("maze-1", (0,), 0, 12)
    assert told["description"] == "making noised-step-1"
    assert (told["sample"], told["seeds"], told["total"]) == ("maze-1", "0", 12)


def test_experiments_tell_what_is_left_by_their_own_pace(told: dict[str, Any]) -> None:
    bar = ExperimentBar(None)
    bar.planned(100.0)
    bar.began("chain-of-steps", 40.0)
    bar.doing("tracing")
    bar.finished("chain-of-steps")
    assert told["description"] == "chain-of-steps: tracing"
    assert (told["done"], told["total"], told["rate"]) == (40.0, 100.0, None)
    assert told["seconds_left"] == pytest.approx(60, abs=1)


def test_what_is_waited_for_without_a_count_is_told_too(told: dict[str, Any]) -> None:
    unit_bar("steps").add_task("tracing", total=3)
    with console.err().status("loading maze-wan"):
        assert told["description"] == "loading maze-wan"
        assert (told["done"], told["total"]) == (None, None)


def test_a_jobs_output_is_no_terminal_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    for make in (console.out, console.err):
        assert make.__wrapped__().is_terminal
        monkeypatch.setenv("COSINTERP_JOB", "/somewhere")
        assert not make.__wrapped__().is_terminal
        monkeypatch.delenv("COSINTERP_JOB")
