"""`cosinterp score` on stores whose scores are planted."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from cosinterp import decoding
from cosinterp.cli import app
from cosinterp.errors import SampleError, SelectionError
from cosinterp.scorers import known_tasks, register, task_of
from cosinterp.scoring import score_store
from probes.statistics import wilson
from stores import Store
from tests.planted import CellDecoder, maze_estimate, maze_truth, plant

MAZES = {"maze-0": 0, "maze-1": 1, "maze-2": 2}


def growing(maze, shares, goal="red"):
    """Clean estimates that show a growing share of a path."""
    return np.stack([maze_estimate(maze, goal, share) for share in shares])


@pytest.fixture
def runs():
    """Three mazes, two seeds, three steps. Known: who is solved when, and who goes to the wrong goal."""
    planted = {}
    for name, maze in MAZES.items():
        planted[name, 0] = growing(maze, [0.2, 0.6, 1.0])
        planted[name, 1] = growing(maze, [0.2, 1.0, 1.0])
    planted["maze-2", 1] = np.concatenate([growing(2, [0.0]), growing(2, [1.0, 1.0], "blue")])
    return planted


@pytest.fixture
def store(tmp_path, runs) -> Store:
    return plant(tmp_path / "store", runs, {name: maze_truth(maze) for name, maze in MAZES.items()})


@pytest.fixture
def decoder(monkeypatch):
    """The commands decode with `CellDecoder` in the place of a model's VAE."""
    made = CellDecoder()
    monkeypatch.setattr(decoding, "model_of", lambda *_, **__: made)
    return made


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_planted_scores_are_found_by_run_and_in_total(store):
    [scores] = score_store(store, CellDecoder())
    solved = scores.runs.set_index(["sample", "seed"])["solved"]
    assert solved.to_dict() == {
        (name, seed): float((name, seed) != ("maze-2", 1)) for name in MAZES for seed in (0, 1)
    }
    total = scores.total()
    assert total["solved"].value == pytest.approx(5 / 6)
    assert total["valid_path"].value == 1.0
    assert total["right_goal"].value == pytest.approx(5 / 6)
    assert (total["solved"].n, total["solved"].samples) == (6, 3)
    assert (total["solved"].low, total["solved"].high) == pytest.approx(wilson(5 / 6 * 3, 3))


def test_planted_scores_are_found_by_step(store):
    [scores] = score_store(store, CellDecoder())
    by_step = scores.by_step()
    assert [one.value for one in by_step["solved"]] == pytest.approx([0, 2 / 6, 5 / 6])
    growing_iou = [one.value for one in by_step["iou"]]
    assert growing_iou == sorted(growing_iou)
    assert scores.sigmas() == pytest.approx([1, 2 / 3, 1 / 3])


def test_answers_agreement_and_commitment(store):
    [scores] = score_store(store, CellDecoder())
    found = scores.answers()
    assert found["maze-0"].committed.tolist() == [2, 1]
    assert found["maze-0"].agreement.tolist() == [0.0, 0.0, 1.0]
    assert found["maze-2"].distinct.tolist() == [0, 1, 2]
    assert [one.value for one in scores.agreement()] == pytest.approx([0, 0, 2 / 3])
    commitment = scores.commitment()
    assert commitment is not None
    assert commitment.value == pytest.approx((2 + 1 + 2 + 1 + 2 + 1) / 6)


def test_stored_videos_are_scored_without_a_model(tmp_path, runs):
    decoder = CellDecoder()
    videos = {key: decoder.decode(estimates[-1]) for key, estimates in runs.items()}
    truths = {name: maze_truth(maze) for name, maze in MAZES.items()}
    store = plant(tmp_path / "videos", runs, truths, videos=videos)

    def no_model():
        raise AssertionError("the model was loaded")

    [scores] = score_store(store, no_model, by_step=False)
    assert scores.total()["solved"].value == pytest.approx(5 / 6)
    assert scores.steps is None


def test_samples_of_no_known_task_are_named_and_left_out(tmp_path, runs):
    truths = {"maze-0": maze_truth(0), "maze-1": maze_truth(1), "maze-2": {"task": "sudoku"}}
    store = plant(tmp_path / "mixed", runs, truths)
    [scores] = score_store(store, CellDecoder())
    assert scores.unknown == ("maze-2",)
    assert len(scores.runs) == 4


def test_a_truth_that_lacks_something_is_named(tmp_path, runs):
    truth = maze_truth(0)
    del truth["walls"]
    store = plant(tmp_path / "broken", {("maze-0", 0): runs["maze-0", 0]}, {"maze-0": truth})
    with pytest.raises(SampleError, match="lacks walls"):
        score_store(store, CellDecoder())


def test_runs_of_different_length_are_scored_without_steps_only(tmp_path):
    runs = {("maze-0", 0): growing(0, [0, 1]), ("maze-0", 1): growing(0, [0, 0.5, 1])}
    store = plant(tmp_path / "lengths", runs, {"maze-0": maze_truth(0)})
    with pytest.raises(SelectionError, match="2 and 3 steps"):
        score_store(store, CellDecoder())
    [scores] = score_store(store, CellDecoder(), by_step=False)
    assert len(scores.runs) == 2


def test_the_command_prints_tables_that_name_n_interval_and_seed(store, decoder):
    result = invoke("score", store.path, "--bootstrap-seed", 3)
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "n = 6 runs of 3 samples" in text
    assert "95% interval" in text
    assert "0.83" in text
    assert "Seeds apart" in text
    assert "Final answers are held from step 1.5" in text


def test_the_same_command_gives_the_same_figures_again(store, decoder):
    first, second = invoke("score", store.path), invoke("score", store.path)
    assert first.stdout == second.stdout


def test_json_holds_every_figure_with_its_n(store, decoder):
    result = invoke("score", store.path, "--json")
    [data] = json.loads(result.stdout)
    assert data["task"] == "maze"
    assert data["total"]["solved"]["value"] == pytest.approx(5 / 6)
    assert [step["solved"]["n"] for step in data["by_step"]] == [6, 6, 6]
    assert len(data["seed_disagreement"]["by_step"]) == 3
    assert data["commit_step"]["value"] == pytest.approx(1.5)


def test_json_without_steps(store, decoder):
    result = invoke("score", store.path, "--json", "--no-by-step")
    [data] = json.loads(result.stdout)
    assert "by_step" not in data
    assert decoder.calls == 6


def test_csv_has_a_row_for_each_run_and_step(store, decoder, tmp_path):
    result = invoke("score", store.path, "--csv", tmp_path / "new" / "scores.csv")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "new" / "scores.csv")
    assert len(table) == 18
    assert table.groupby("step")["solved"].mean().tolist() == pytest.approx([0, 2 / 6, 5 / 6])


def test_plot_draws_the_curves(store, decoder, tmp_path):
    result = invoke("score", store.path, "--plot", tmp_path / "curve.png")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_one_sample_can_be_chosen(store, decoder):
    result = invoke("score", store.path, "--sample", "maze-2", "--json", "--no-by-step")
    [data] = json.loads(result.stdout)
    assert {run["sample"] for run in data["runs"]} == {"maze-2"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sample", "maze-9"], "has no sample 'maze-9'; it has maze-0, maze-1, maze-2"),
        (["--variant", "patched"], "no runs of variant patched"),
        (["--no-by-step", "--plot", "x.png"], "--plot draws the curves by step"),
        (["--plot", "curve.xyz"], "has to end in .png, .svg or .pdf"),
        (["--csv", "."], "this is a folder"),
    ],
)
def test_bad_flags_get_one_line(store, decoder, arguments, message):
    result = invoke("score", store.path, *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_store_without_truth_is_told_so_in_one_line(tmp_path, runs, decoder):
    store = plant(tmp_path / "plain", {("film", 0): runs["maze-0", 0]})
    result = invoke("score", store.path)
    assert result.exit_code == 2
    assert "no sample of" in result.stderr
    assert "truth that names a known task (maze" in result.stderr
    assert decoder.calls == 0


class Brightness:
    """A task of a user's own."""

    name = "brightness"
    metrics = ()
    headline = ()


def test_tasks_can_be_added_once_and_must_show_what_they_measure(monkeypatch):
    from cosinterp import scorers

    monkeypatch.setattr(scorers, "_TASKS", dict(scorers._TASKS))
    register(Brightness())  # type: ignore[arg-type]
    assert known_tasks() == ("maze", "brightness")
    assert isinstance(task_of({"task": "brightness"}), Brightness)
    with pytest.raises(ValueError, match="known already"):
        register(Brightness())  # type: ignore[arg-type]
    wrong = Brightness()
    wrong.name, wrong.headline = "other", ("light",)  # type: ignore[assignment]
    with pytest.raises(ValueError, match="light"):
        register(wrong)  # type: ignore[arg-type]


def test_no_truth_names_no_task():
    assert task_of({}) is None
    assert task_of({"task": math.nan}) is None
