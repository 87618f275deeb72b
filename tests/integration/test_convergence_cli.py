"""`cosinterp convergence`, after `cosinterp score`, on a store whose answers are planted."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import cosinterp as ci
from cosinterp import decoding
from cosinterp.cli import app
from probes.results.result import Result
from tests.planted import CellDecoder, maze_estimate, maze_truth, plant

# Goals and shares of their path by step: an unfinished path is no answer.
COURSES = {
    ("maze-0", 0): [("red", 0.2), ("red", 1), ("red", 1), ("red", 1)],
    ("maze-0", 1): [("blue", 1), ("blue", 1), ("red", 1), ("red", 1)],
    ("maze-1", 0): [("red", 1), ("red", 1), ("blue", 1), ("blue", 1)],
    ("maze-1", 1): [("red", 1), ("red", 1), ("red", 1), ("red", 1)],
}


@pytest.fixture
def store(tmp_path):
    runs = {
        (name, seed): np.stack([maze_estimate(int(name[-1]), goal, share) for goal, share in course])
        for (name, seed), course in COURSES.items()
    }
    return plant(tmp_path / "store", runs, {f"maze-{n}": maze_truth(n) for n in range(2)})


@pytest.fixture
def decoder(monkeypatch):
    made = CellDecoder()
    monkeypatch.setattr(decoding, "model_of", lambda *_, **__: made)
    return made


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_answers_come_from_the_scores_that_were_kept(store, decoder, tmp_path):
    assert invoke("score", store.path).exit_code == 0
    calls = decoder.calls
    picture = tmp_path / "agreement.png"
    result = invoke("convergence", store.path, "--plot", picture)
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert decoder.calls == calls
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "path: final answers are held from step 1.2" in text
    assert "goal: 0.50 [" in text
    assert "wrong to right 0.250" in text
    assert "right to wrong 0.250" in text
    saved = Result.open(store.path / "results" / "convergence.nc")
    assert saved.dataset["commit_step"].sel(reading="goal").values.tolist() == [1, 2, 2, 0]
    assert saved.provenance["asked"]["scores"] == "scores-maze"


def test_the_library_says_the_same_as_the_command(store, decoder):
    ci.score(store, decoder, save=True)
    result = ci.convergence(store, by="path_length")
    assert invoke("convergence", store.path, "--by", "path_length", "--name", "mine").exit_code == 0
    assert Result.open(store.path / "results" / "mine.nc").summary() == result.summary()


def test_json_has_a_row_for_each_estimate(store, decoder):
    invoke("score", store.path)
    result = invoke("convergence", store.path, "--json", "--hold", 3)
    data = json.loads(result.stdout)
    assert data["name"] == "convergence-hold-3"
    [row] = [
        row for row in data["rows"] if (row["quantity"], row["reading"]) == ("corrections", "goal")
    ]  # fmt: skip
    assert (row["value"], row["n"], row["samples"]) == (0.0, 4, 2)
    [at_start] = [
        row
        for row in data["rows"]
        if (row["quantity"], row["reading"], row["step"]) == ("answered", "answer", 0)
    ]
    assert at_start["value"] == 0.75
    shown = invoke("results", "show", store.path, data["name"], "--json")
    assert json.loads(shown.stdout)["table"] == data["rows"]


def test_without_scores_there_are_distances_and_a_word_on_the_rest(store):
    result = invoke("convergence", store.path)
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "Distance of seeds: " in text
    assert f"nothing is scored: cosinterp score {store.path}" in text
    assert "final answers" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scores", "mine"], "no such result"),
        (["--seeds", "0"], "no chosen sample of"),
        (["--samples", "maze-7"], "has no runs of maze-7"),
        (["--by", "width"], "no sample of"),
        (["--normaliser", "most"], "norm, final, none"),
        (["--plot", "x.gif"], "has to end in .png, .svg or .pdf"),
        (["--variant", "patched"], "no runs of the variant patched"),
    ],
)
def test_mistakes_get_one_line(store, arguments, message):
    result = invoke("convergence", store.path, *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (store.path / "results").exists()


def test_a_result_is_not_replaced_unasked(store):
    assert invoke("convergence", store.path).exit_code == 0
    again = invoke("convergence", store.path)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert invoke("convergence", store.path, "--force").exit_code == 0
