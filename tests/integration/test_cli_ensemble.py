"""`cosinterp compare` on a store whose answers are planted, and `cosinterp ensemble` on the bundled model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Invoked
from typer.testing import CliRunner

import cosinterp as ci
from cosinterp.cli import app
from probes.results.result import Result
from tests.unit.probes.ensembles.planted import RIGHT, plant


def invoke(*arguments: Any) -> Invoked:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def planted(tmp_path: Path):
    base = {"a": {0: RIGHT, 1: "x", 2: "y"}, "b": {0: "x", 1: "x", 2: RIGHT}}
    right = {"a": {0: RIGHT}, "b": {0: RIGHT}}
    wrong = {"a": {0: "x"}, "b": {0: "x"}}
    made = {"x0": (right, (0, 1, 2), 14), "latent": (wrong, (0, 1, 2), 36)}
    truths = {"a": {"path_length": 10.0}, "b": {"path_length": 20.0}}
    return plant(tmp_path / "store", base, made, truths=truths)


def test_compare_finds_all_that_ensembles_made(planted, tmp_path: Path) -> None:
    picture = tmp_path / "gain.png"
    said = invoke("compare", planted.path, "--plot", picture)
    assert said.exit_code == 0, said.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    text = " ".join(said.stdout.split())
    assert "x0 (x0 of 3): 1.000 [" in text
    assert "latent (latent of 3): 0.000 [" in text
    saved = Result.open(planted.path / "results" / "ensemble-latent-x0.nc")
    assert saved.dataset["variant"].values.tolist() == ["latent", "x0"]


def test_compare_says_what_the_library_says(planted) -> None:
    flags = ("--variants", "x0", "--by", "path_length", "--choose", "tidy")
    said = invoke("compare", planted.path, *flags, "--json")
    assert said.exit_code == 0, said.output
    data = json.loads(said.stdout)
    assert data["name"] == "ensemble-x0-choose-tidy-by-path_length"
    result = ci.compare_ensembles(planted, variants="x0", by="path_length", choose="tidy")
    assert data["summary"] == result.summary()
    assert len(data["rows"]) == len(result.table())


def test_compare_says_that_there_is_nothing_to_compare(tmp_path: Path) -> None:
    store = plant(tmp_path / "store", {"a": {0: RIGHT}}, {})
    said = invoke("compare", store.path)
    assert said.exit_code == 2
    assert "no variant that an ensemble made; cosinterp ensemble makes one" in said.output
