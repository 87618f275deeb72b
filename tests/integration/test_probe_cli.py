"""``cosinterp probe`` from the terminal: results, figures, plans and errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from tests.unit.probes.probing.planted_stores import plant

QUICK = ["--permutations", "39", "--steps", "1-2", "--layers", "1"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(plant(tmp_path_factory.mktemp("planted") / "store").path)


def invoked(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(words), catch_exceptions=False)


def run(*words: str) -> str:
    done = invoked(*words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_probe_is_told_saved_and_drawn(store: str, tmp_path: Path) -> None:
    plot = tmp_path / "mark.png"
    told = run("probe", store, "--target", "truth:mark", *QUICK, "--plot", str(plot))
    assert "decodable at 1 of 2 cells" in told
    assert "baselines there: step 0.500" in told
    assert f"result: {store}/results/probe-truth-mark.nc" in told
    assert plot.stat().st_size > 10_000
    again = invoked("probe", store, "--target", "truth:mark", *QUICK)
    assert again.exit_code == 2
    assert "exists; give --force" in again.stderr
    assert "probe-truth-mark" in run("results", "ls", store)


def test_json_has_the_table_and_where_it_comes_from(store: str) -> None:
    words = ("probe", store, "--target", "size>0", *QUICK, "--name", "size", "--json", "--force")
    found = json.loads(run(*words))
    assert found["name"] == "size"
    assert [row["layer"] for row in found["rows"]] == [1, 1]
    assert found["provenance"]["asked"]["target"] == "size>0"
    assert json.loads(run(*words))["rows"] == found["rows"]


def test_transfer_has_a_result_of_its_own(store: str) -> None:
    told = run(
        "probe", store, "--target", "truth:mark", "--transfer", "--transfer-steps", "1", "--layers", "1-2"
    )
    assert "best where fitted and tested at one cell: step 1, layer 1" in told
    assert f"result: {store}/results/transfer-truth-mark.nc" in told


def test_a_plan_computes_nothing(store: str) -> None:
    told = run("probe", store, "--target", "truth:mark", "--dry-run", "--name", "planned")
    assert "truth:mark of 768 tokens (24 runs of 12 samples) at 3 steps x 3 layers" in told
    assert "baselines: step, position, condition, latent" in told
    assert not (Path(store) / "results" / "planned.nc").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--target", "nix"], 'target "nix" is not known'),
        (["--target", "truth:mark", "--layers", "40"], "there is no layer 40"),
        (["--target", "truth:mark", "--samples", "sample-00"], "too few for 5 folds"),
        (["--target", "truth:mark", "--plot", "x.jpg"], "has to end in .png, .svg or .pdf"),
        (["--target", "truth:mark", "--transfer-steps", "1"], "go with --transfer"),
        (["--target", "truth:mark", "--host-memory", "0.001", "--jobs", "64"], "make it fit by"),
        (["--target", "size>1000"], "one class only"),
    ],
)
def test_a_mistake_is_said_in_a_line(store: str, words: list[str], message: str) -> None:
    done = invoked("probe", store, *words, "--force")
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout
