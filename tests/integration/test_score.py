"""`cosinterp score` on stores whose scores are planted."""

import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
import xarray
from typer.testing import CliRunner

from cosinterp import decoding
from cosinterp.cli import app
from cosinterp.errors import SampleError, SelectionError
from cosinterp.scorers import Metric, known_tasks, register, registry, task_of
from cosinterp.scoring import score_store
from probes.results.files import list_results
from probes.results.provenance import provenance
from probes.results.result import Result
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


def test_what_was_scored_is_kept_and_read_the_second_time(store, decoder):
    first = score_store(store, decoder, save=True)
    calls = decoder.calls
    assert calls > 0

    def no_model():
        raise AssertionError("the model was loaded")

    [again] = score_store(store, no_model, save=True)
    [plain] = score_store(store, decoder)
    for one in (again, plain):
        pd.testing.assert_frame_equal(first[0].runs, one.runs)
        pd.testing.assert_frame_equal(first[0].steps, one.steps)
    assert again.path == store.path / "results" / "scores-maze.nc"
    assert plain.path is None


def test_the_kept_result_tells_what_it_holds(store, decoder):
    score_store(store, decoder, save=True, command="cosinterp score planted")
    result = Result.open(store.path / "results" / "scores-maze.nc")
    assert result.kind == "scores"
    assert result.provenance["asked"] == {"task": "maze", "variant": "base", "decoder": None}
    assert result.provenance["command"] == "cosinterp score planted"
    row = result.dataset.isel(run=5)
    assert (row.sample.item(), row.seed.item()) == ("maze-2", 1)
    assert row.answer_goal.values.tolist() == ["", "blue", "blue"]
    assert row.answer.values.tolist()[0] == ""
    assert row.truth_goal.item() == "red"
    assert row.truth_path_length.item() == maze_truth(2)["path_length"]
    table = result.table().set_index(["metric", "step"])
    assert table.loc[("solved", "final"), "value"] == pytest.approx(5 / 6)
    assert table.loc[("solved", 1), "value"] == pytest.approx(2 / 6)
    assert any("solved 0.83" in line for line in result.summary())
    assert "n = 6 runs of 3 samples" in result.summary()[-1]
    assert result.figures() == ["by-step"]
    assert result.figure().axes[0].get_xlabel().startswith("denoising step")


def test_only_new_runs_are_decoded(tmp_path, runs, decoder):
    truths = {name: maze_truth(maze) for name, maze in MAZES.items()}
    store = plant(tmp_path / "grows", dict(list(runs.items())[:4]), truths)
    score_store(store, decoder, save=True)
    calls = decoder.calls
    grown = plant(tmp_path / "whole", runs, truths)
    shutil.copytree(store.path / "results", grown.path / "results")
    for sample in list(MAZES)[:2]:
        # The very files that were scored.
        shutil.copytree(store.path / "runs" / sample, grown.path / "runs" / sample, dirs_exist_ok=True)
    grown.reindex()
    [found] = score_store(grown, decoder, save=True)
    assert decoder.calls - calls == calls / 2
    pd.testing.assert_frame_equal(found.steps, score_store(grown, decoder)[0].steps)
    assert Result.open(found.path).dataset.sizes == {"run": 6, "step": 3}


def test_scores_of_other_samples_stay_when_some_are_added(store, decoder):
    score_store(store, decoder, samples=["maze-0"], save=True)
    [found] = score_store(store, decoder, samples=["maze-2"], save=True)
    assert set(found.runs["sample"]) == {"maze-2"}
    kept = Result.open(found.path).dataset
    assert kept.sample.values.tolist() == ["maze-0", "maze-0", "maze-2", "maze-2"]


def test_a_run_that_was_made_again_is_scored_again(tmp_path, runs, decoder):
    truths = {"maze-0": maze_truth(0)}
    chosen = {("maze-0", 0): runs["maze-0", 0]}
    store = plant(tmp_path / "first", chosen, truths)
    [before] = score_store(store, decoder, save=True)
    again = plant(tmp_path / "again", {("maze-0", 0): growing(0, [0.0, 0.0, 0.5])}, truths)
    (again.path / "results").mkdir()
    kept = Result.open(before.path)
    stale = kept.dataset.assign(finished=("run", ["2020-01-01T00:00:00Z"]))
    Result(stale, kept.provenance).save(again.path, "scores-maze")
    [after] = score_store(again, decoder, save=True)
    assert (before.runs["solved"].item(), after.runs["solved"].item()) == (1.0, 0.0)


def test_what_was_scored_is_kept_when_the_rest_fails(store, decoder):
    def fail_at_the_third(*_):
        fail_at_the_third.calls += 1
        if fail_at_the_third.calls == 3:
            raise KeyboardInterrupt

    fail_at_the_third.calls = 0
    with pytest.raises(KeyboardInterrupt):
        score_store(store, decoder, save=True, progress=fail_at_the_third)
    assert Result.open(store.path / "results" / "scores-maze.nc").dataset.sizes["run"] == 3


def test_force_scores_anew(store, decoder):
    assert invoke("score", store.path).exit_code == 0
    calls = decoder.calls
    assert invoke("score", store.path).exit_code == 0
    assert decoder.calls == calls
    assert invoke("score", store.path, "--force").exit_code == 0
    assert decoder.calls == 2 * calls


def test_nothing_is_kept_when_not_wanted(store, decoder):
    assert invoke("score", store.path, "--no-save").exit_code == 0
    assert invoke("score", store.path, "--no-by-step").exit_code == 0
    assert not (store.path / "results").exists()


def test_kept_scores_serve_without_steps_too(store, decoder):
    result = invoke("score", store.path, "--name", "mine")
    assert "results/mine.nc" in result.stderr
    calls = decoder.calls
    result = invoke("score", store.path, "--name", "mine", "--no-by-step", "--json")
    assert json.loads(result.stdout)[0]["total"]["solved"]["value"] == pytest.approx(5 / 6)
    assert decoder.calls == calls


def test_scores_of_another_decoder_are_not_mixed(store, decoder):
    invoke("score", store.path)
    result = invoke("score", store.path, "--model", "another")
    assert result.exit_code == 2
    assert "decoded by the model that made the store" in result.stderr
    assert "--force" in result.stderr


def test_a_result_of_another_kind_is_not_overwritten(store, decoder):
    Result(xarray.Dataset(), provenance("probe", store, {})).save(store.path, "taken")
    for more in ([], ["--force"]):
        result = invoke("score", store.path, "--name", "taken", *more)
        assert result.exit_code == 2
        assert "result of the kind probe" in result.stderr
    assert decoder.calls == 0


def test_runs_of_another_length_are_not_added(tmp_path, decoder):
    runs = {("maze-0", 0): growing(0, [0, 1]), ("maze-1", 0): growing(1, [0, 0.5, 1])}
    truths = {name: maze_truth(maze) for name, maze in MAZES.items()}
    store = plant(tmp_path / "lengths", runs, truths)
    score_store(store, decoder, samples=["maze-0"], save=True)
    with pytest.raises(SelectionError, match="are of runs of 2 steps, and the chosen runs have 3"):
        score_store(store, decoder, samples=["maze-1"], save=True)


def test_one_name_holds_one_task(tmp_path, runs, decoder, monkeypatch):
    monkeypatch.setattr(registry, "_TASKS", dict(registry._TASKS))
    register(Brightness())  # type: ignore[arg-type]
    truths = {"maze-0": maze_truth(0), "maze-1": {"task": "brightness"}}
    chosen = {key: value for key, value in runs.items() if key[0] != "maze-2"}
    store = plant(tmp_path / "two", chosen, truths)
    result = invoke("score", store.path, "--name", "both")
    assert result.exit_code == 2
    assert "these runs have the tasks brightness, maze" in result.stderr
    assert invoke("score", store.path).exit_code == 0
    assert list_results(store.path) == ["scores-brightness", "scores-maze"]
    kept = Result.open(store.path / "results" / "scores-brightness.nc").dataset
    assert set(kept.answer.values.reshape(-1).tolist()) <= {"light", "dark"}
    assert kept.answer.attrs["right"] == ""


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
        (["--no-save", "--name", "mine"], "--no-save keeps nothing"),
        (["--name", "a/b"], "result name 'a/b'"),
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
    metrics = (Metric("light", "mean brightness", "light", "mean"),)
    headline = ("light",)

    def score(self, video, truth):
        return {"light": float(video.mean()) / 255}

    def answer(self, video, truth):
        return "light" if video.mean() > 127 else "dark"


def test_tasks_can_be_added_once_and_must_show_what_they_measure(monkeypatch):
    monkeypatch.setattr(registry, "_TASKS", dict(registry._TASKS))
    register(Brightness())  # type: ignore[arg-type]
    assert known_tasks() == ("maze", "permanence", "grounding", "brightness")
    assert isinstance(task_of({"task": "brightness"}), Brightness)
    with pytest.raises(ValueError, match="known already"):
        register(Brightness())  # type: ignore[arg-type]
    wrong = Brightness()
    wrong.name, wrong.headline = "other", ("dark",)  # type: ignore[assignment]
    with pytest.raises(ValueError, match="dark"):
        register(wrong)  # type: ignore[arg-type]
    wrong.name = "no result's name"
    with pytest.raises(ValueError, match="cannot be named"):
        register(wrong)  # type: ignore[arg-type]


def test_no_truth_names_no_task():
    assert task_of({}) is None
    assert task_of({"task": math.nan}) is None
