"""Experiments and their reproduction from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from cosinterp.cli.experiment_progress import ExperimentBar, minutes_text
from cosinterp.experiments.costs import Cost, Rates
from tests.planted import maze_estimate, maze_truth, plant

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def run() -> Run:
    runner = CliRunner()
    return lambda *words: runner.invoke(app, [str(word) for word in words])


def test_a_dry_run_says_what_takes_how_long_and_makes_no_runs(tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    asked = ("reproduce", "--out", out, "--preset", "smoke", "--only", "self-correction,chain-of-steps")
    said = run(*asked, "--dry-run", "--json")
    assert said.exit_code == 0, said.output
    told: dict[str, Any] = json.loads(said.stdout)
    assert [part["name"] for part in told["parts"]] == ["self-correction", "chain-of-steps"]
    assert told["seconds"] == pytest.approx(sum(part["seconds"] for part in told["parts"]))
    assert told["seconds"] > 0
    assert not (out / "stores").exists()
    assert len(list((out / "datasets" / "mazes").glob("*/*/prompt.txt"))) == 1
    (out / "stores").mkdir()
    again = run(*asked)
    assert again.exit_code == 2
    assert "--resume" in again.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("reproduce", "--only", "dreams"), 'experiment "dreams": there is chain-of-steps'),
        (("reproduce", "--preset", "huge"), 'preset "huge": there is smoke, small, full'),
    ],
)
def test_what_there_is_not_is_a_mistake_and_makes_nothing(
    tmp_path: Path, run: Run, words: tuple[str, ...], said: str
) -> None:
    result = run(*words, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("dreams",), 'experiment "dreams"'),
        (("frames", "--set", "colour=red"), "--set colour: there is count"),
        (("frames", "--set", "count"), "--set count: give a name and a value"),
    ],
)
def test_a_wrong_experiment_or_setting_is_said(
    tmp_path: Path, run: Run, words: tuple[str, ...], said: str
) -> None:
    asked = ("--model", "maze-wan", "--dataset", tmp_path, "--store", tmp_path / "store")
    result = run("experiment", *words, *asked)
    assert result.exit_code == 2
    assert said in result.stderr


def test_an_experiment_is_shown_like_any_result(tmp_path: Path, run: Run) -> None:
    estimates = {(f"m{number}", 0): np.stack([maze_estimate(number)] * 2) for number in range(2)}
    store = plant(tmp_path / "store", estimates, {f"m{number}": maze_truth(number) for number in range(2)})
    from cosinterp.experiments.running import experiment
    from cosinterp.samples import Sample
    from tests.planted import CellDecoder

    experiment(
        "self-correction",
        model=CellDecoder,  # type: ignore[arg-type]
        samples=[Sample(f"m{number}", "Go to the red goal.") for number in range(2)],
        store=store.path,
        settings={"count": 2, "seeds": "0", "num_steps": 2},
    )
    shown = run("results", "show", store.path, "experiment-self-correction", "--json")
    assert shown.exit_code == 0, shown.output
    assert "too few samples" in shown.stdout
    drawn = run(
        *("results", "plot", store.path, "experiment-self-correction"),
        *("--out", tmp_path / "figures", "--all", "--format", "png"),
    )
    assert drawn.exit_code == 0, drawn.output
    assert len(list((tmp_path / "figures").iterdir())) == 3


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.3, "12 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_estimates_are_told_in_round_numbers(seconds: float, text: str) -> None:
    assert minutes_text(seconds) == text


def test_a_bar_goes_no_further_than_the_experiment_that_is_run() -> None:
    with ExperimentBar(Rates(1.0, 0.5)) as bar:
        bar.planned(10.0)
        bar.began("frames", 4.0)
        [task] = bar._bar.tasks
        bar.did(Cost(steps=1, decodes=2))
        assert task.completed == 2.0
        bar.did(Cost(steps=100))
        assert task.completed == 4.0
        bar.finished("frames")
        bar.began("noise", 6.0)
        bar.did(Cost(steps=100))
        assert task.completed == task.total == 10.0
