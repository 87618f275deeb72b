"""``cosinterp similarity``: from a store to a result, a figure and words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cosinterp as ci
from cosinterp.cli import app
from probes.results.result import Result
from tests.unit.probes.similarity.making import add_run, make_store, noise


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = make_store(tmp_path / "mazes")
    for sample in ("a", "b", "c", "d"):
        add_run(made, sample, 0, lambda *at: noise(*at) + noise("other", *at[1:]), variant="noised")
    return made.path


def run(*arguments: object) -> str:
    outcome = CliRunner().invoke(app, ["similarity", *map(str, arguments)], env={"COLUMNS": "100"})
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def refused(*arguments: object) -> str:
    outcome = CliRunner().invoke(app, ["similarity", *map(str, arguments)], env={"COLUMNS": "100"})
    assert outcome.exit_code == 2, outcome.output
    return outcome.output


def test_layers_are_compared_and_the_result_is_kept_drawn_and_said(store: Path, tmp_path: Path):
    said = " ".join(run(store, "--plot", tmp_path / "maps.png").split())
    assert "Debiased linear CKA between layers, at each step (resid, branch cond)." in said
    assert "n = 8 runs of 4 samples, all 24 tokens of each, 192 rows on a side" in said
    assert "95% interval: jackknife over samples, Student t; seed 0." in said
    assert "Baselines: samples exchanged" in said
    assert (tmp_path / "maps.png").stat().st_size > 10_000
    result = Result.open(store / "results" / "similarity-cka-layers.nc")
    assert result.kind == "similarity"
    assert result.figures() == ["maps"]
    table = result.table()
    assert len(table) == 2 * 3
    assert {"value", "low", "high", "n", "samples", "biased", "samples_shuffled"} <= set(table.columns)
    assert result.provenance["command"].startswith(("python", "cosinterp", "pytest", "-c"))


def test_variants_have_curves_a_map_and_a_table_by_step_and_layer(store: Path, tmp_path: Path):
    said = run(store, "--other-variant", "noised", "--plot", tmp_path / "curves.svg")
    assert "CKA by step and layer" in " ".join(said.split())
    assert "between base and noised" in " ".join(said.split())
    result = Result.open(store / "results" / "similarity-cka-variants-noised.nc")
    assert result.figures() == ["curves", "map"]
    result.plot(tmp_path / "map.pdf", "map")
    drawn = (tmp_path / "curves.svg").read_text()
    assert "layer 2" in drawn


@pytest.mark.parametrize("across", ["steps", "grid", "seeds", "samples"])
def test_every_comparison_ends_in_a_figure(store: Path, tmp_path: Path, across: str):
    run(
        store, "--across", across, "--plot", tmp_path / "figure.png", "--measure", "rsa", "--samples", "a,b,c"
    )
    assert (tmp_path / "figure.png").is_file()


def test_another_store_of_the_same_samples_and_seeds(store: Path, tmp_path: Path):
    other = make_store(tmp_path / "untrained", lambda *at: noise(*at) ** 3).path
    said = json.loads(run(store, "--with", other, "--json", "--tokens", "all"))
    assert said["name"] == "similarity-cka-stores-untrained"
    assert len(said["rows"]) == 2 * 3
    assert all(0.5 < row["value"] < 1 for row in said["rows"])
    assert said["provenance"]["asked"]["other"] == str(other)


def test_the_same_command_gives_the_same_numbers_again_and_python_too(store: Path):
    first = run(store, "--across", "seeds", "--tokens", "5", "--json")
    assert (
        json.loads(run(store, "--across", "seeds", "--tokens", "5", "--json", "--force"))["rows"]
        == (json.loads(first)["rows"])
    )
    by_python = ci.similarity(store, "seeds", tokens=5)
    assert by_python.table()["value"].tolist() == [row["value"] for row in json.loads(first)["rows"]]


def test_what_cannot_be_is_refused_in_a_line(store: Path):
    run(store)
    for arguments, message in (
        ((), "exists; give --force"),
        (("--tokens", "few", "--force"), '--tokens "few": write a number'),
        (("--host-memory", "0", "--force"), "--host-memory has to be"),
        (("--layers", "7", "--force"), "there is no layer 7"),
        (("--across", "tokens"), '"tokens" cannot be compared across'),
        (("--plot", "figure.txt", "--force"), "has to end in"),
        (("--with", str(store)), "compared with itself"),
    ):
        said = refused(store, *arguments)
        assert message in said
        assert said.startswith("error: ")
        assert len(said.splitlines()) == 1
