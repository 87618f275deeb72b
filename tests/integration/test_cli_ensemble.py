"""`cosinterp compare` on a store whose answers are planted, and `cosinterp ensemble` on a tiny Wan."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner
from typer.testing import Result as Invoked

import cosinterp as ci
from cosinterp.cli import app
from cosinterp.scorers import registry
from probes.results.result import Result
from probes.scores import Metric
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


SIZE = ("--height", "32", "--width", "32", "--num-frames", "5", "--num-steps", "3")


class Light:
    """Of any video: how light it ends, and whether it ends light."""

    name = "light"
    metrics = (Metric("bright", "ends bright", "bright", "share"), Metric("light", "light", "light", "mean"))
    headline = ("bright",)

    def score(self, video: np.ndarray, truth: Mapping[str, Any]) -> dict[str, float]:
        light = float(video[-1].mean()) / 255
        return {"bright": float(light > truth["above"]), "light": light}

    def answer(self, video: np.ndarray, truth: Mapping[str, Any]) -> str | None:
        return "bright" if self.score(video, truth)["bright"] else "dark"

    def final_frame(self, truth: Mapping[str, Any]) -> None:
        return None


@pytest.fixture
def asked(
    monkeypatch: pytest.MonkeyPatch, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> tuple[Any, ...]:
    """The flags of a tiny model and of two samples with a task that is known."""
    monkeypatch.setattr(registry, "_TASKS", {"light": Light()})
    rows = [
        {"name": name, "prompt": "go", "truth": {"task": "light", "above": above}}
        for name, above in (("a", 0.1), ("b", 0.9))
    ]
    dataset = tmp_path / "samples.jsonl"
    dataset.write_text("\n".join(map(json.dumps, rows)))
    flags = ("--model", tiny_folder("wan2.1-t2v"), "--device", "cpu", "--dataset", dataset, *SIZE)
    return ("ensemble", *flags, "--store", tmp_path / "made")


def test_runs_are_made_scored_and_compared(asked: tuple[Any, ...], tmp_path: Path) -> None:
    planned = json.loads(invoke(*asked, "--dry-run", "--json").stdout)
    assert not (tmp_path / "made").exists()
    assert planned["samples"] == {"to_make": 2, "of": 2}
    assert planned["base_runs"] == {"to_make": 6}
    said = invoke(*asked, "--plot", tmp_path / "cost.svg")
    assert said.exit_code == 0, said.output
    assert "bright, task light, 2 samples, 3 seeds of each: single seed 0.500 [" in said.stdout
    assert "ensemble (mean of latent at step 0; one goes on): 0.500 [" in said.stdout
    assert "<svg" in (tmp_path / "cost.svg").read_text()
    store = ci.open(tmp_path / "made")
    assert len(store.runs(variant="base")) == 6
    assert [(one.sample, one.seed) for one in store.runs(variant="ensemble")] == [("a", 0), ("b", 0)]
    with store.run("a", 0, "ensemble") as run:
        told = run.attrs["intervention"]
    assert told["evaluations"] == planned["evaluations"]["a_sample"]
    assert told["evaluations_of_one"] == planned["evaluations"]["one_seed"]
    one = planned["evaluations"]["one_seed"]
    assert planned["evaluations"]["a_sample"] == pytest.approx(one * (3 + 1 + 1) / 3)
    assert planned["evaluations"]["all"] == 6 * one + 2 * planned["evaluations"]["a_sample"]
    dataset = Result.open(tmp_path / "made" / "results" / "ensemble.nc").dataset
    assert dataset["cost"].sel(approach=["single seed", "ensemble"]).values.tolist() == [
        one,
        told["evaluations"],
    ]

    again = invoke(*asked)
    assert again.exit_code == 2
    assert "ensemble.nc exists; give --force" in again.output
    resumed = invoke(*asked, "--resume", "--json")
    assert resumed.exit_code == 0, resumed.output
    assert "has all these runs already" in resumed.stderr
    assert json.loads(resumed.stdout)["name"] == "ensemble"


def test_hidden_states_and_selection_have_flags(asked: tuple[Any, ...], tmp_path: Path) -> None:
    hidden = ("--merge", "hidden", "--layers", "1-2", "--steps", "0-1", "--then", "all")
    said = invoke(*asked, "--seeds", "0-1", *hidden, "--variant", "hidden", "--limit", 1)
    assert said.exit_code == 0, said.output
    assert "hidden (mean of resid at layers 1-2 at steps 0-1; all go on): " in said.stdout
    pruned = ("--seeds", "0-1", "--select", "light", "--at-step", 1, "--variant", "pruned")
    said = invoke(*asked, *pruned, "--limit", 1, "--metric", "light")
    assert said.exit_code == 0, said.output
    store = ci.open(tmp_path / "made")
    assert len(store.runs(variant="hidden")) == 2
    [kept] = store.runs(variant="pruned")
    assert (tmp_path / "made" / "results" / "ensemble-pruned-light.nc").exists()
    with store.run("a", kept.seed, "pruned") as run:
        selected = run.attrs["intervention"]["selected"]
    assert selected["kept"] == [kept.seed]
    both = invoke("compare", tmp_path / "made")
    assert both.exit_code == 0, both.output
    assert (tmp_path / "made" / "results" / "ensemble-hidden-pruned.nc").exists()


def test_what_cannot_be_compared_is_made_all_the_same(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    flags = ("--model", tiny_folder("wan2.1-t2v"), "--device", "cpu", "--prompt", "go", *SIZE)
    said = invoke(
        *("ensemble", *flags, "--store", tmp_path / "made", "--seeds", "0-1", "--no-base"),
        *("--record", "resid", "--record-layers", "0", "--record-steps", "0"),
    )
    assert said.exit_code == 0, said.output
    assert "not compared: the truth of these samples names no task that is known" in said.stderr
    assert "ensemble: mean of latent at step 0; one goes on; " in said.stdout
    store = ci.open(tmp_path / "made")
    [made] = store.runs(variant="ensemble")
    assert made.sites == ("resid",)
    assert not store.runs(variant="base")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--merge", "noise"), "--merge noise: latent, x0, prediction, hidden or none"),
        (("--how", "mode"), "--how mode: mean, norm-mean, median or medoid"),
        (("--then", "two"), "--then two: one or all"),
        (("--merge", "none"), "give --select, or there is no ensemble"),
        (("--keep", "2"), "--keep says how seeds are selected: give --select"),
        (("--at-step", "0"), "--at-step says how seeds are selected: give --select"),
        (("--merge", "hidden"), "give --layers"),
        (("--layers", "1"), "--layers goes with --merge hidden"),
        (("--branch", "cond"), "--branch goes with --merge hidden"),
        (("--weights", "1,b"), "--weights 1,b: numbers with commas"),
        (("--weights", "1,2"), "2 weights"),
        (("--steps", "7"), "7"),
        (("--chunk", "0"), "--chunk 0: auto, or how many seeds"),
        (("--record-layers", "1"), "begins with --record SITES"),
        (("--plot", "cost.txt"), "has to end in .png, .svg or .pdf"),
        (("--variant", "base"), "an ensemble is no run of the variant base"),
        (("--variant", "My X"), "use lower-case letters"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    flags: tuple[str, ...], message: str, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    store = tmp_path / "made"
    said = invoke(
        *("ensemble", "--model", tiny_folder("wan2.1-t2v"), "--prompt", "go", *SIZE, "--store", store),
        *flags,
    )
    assert said.exit_code == 2
    assert message in " ".join(said.output.split())
    assert not store.exists()


def test_base_runs_have_to_record_what_their_store_records(asked: tuple[Any, ...]) -> None:
    recorded = ("--record", "resid", "--record-layers", "0", "--record-steps", "0")
    assert invoke(*asked, "--seeds", "0-1", *recorded, "--limit", 1, "--no-score").exit_code == 0
    said = invoke(*asked, "--seeds", "0-2", "--limit", 1, "--variant", "three", "--dry-run")
    assert said.exit_code == 2
    assert "1 base run would be made too, such as a with seed 2" in " ".join(said.output.split())
    assert invoke(*asked, "--variant", "two", "--seeds", "0-1", "--limit", 1, "--dry-run").exit_code == 0
