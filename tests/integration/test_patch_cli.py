"""`cosinterp patch`, `ablate`, `steer`, `attribute` and `replay`, on stores of a tiny model."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import cosinterp as ci
from cosinterp.attribution import table
from cosinterp.cli import app, options, sweep_progress
from cosinterp.patching.presets import PRESETS
from cosinterp.replaying import replay
from probes.results.files import list_results, open_result, provenance_of
from tests.tiny import sample_for

KIND = "wan2.1-t2v"
NUM_STEPS = 3
PAIRS = ["--donor", "red-*", "--recipient", "blue-*"]
SMALL = ["--steps", "0-1", "--layers", "1,3", "--no-videos"]
LAST = ["--steps", "0-1", "--layers", "3", "--no-videos"]


@pytest.fixture(scope="module")
def traced(tiny_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pairs of samples with two seeds, by a tiny model; do not write into it."""
    path = tmp_path_factory.mktemp("patched") / "store"
    samples = [
        dataclasses.replace(sample_for(KIND, prompt=prompt.format(goal)), name=f"{goal}-{maze}")
        for goal in ("red", "blue")
        for maze, prompt in enumerate(("go to the {} goal", "the {} goal"))
    ]
    model = ci.load(tiny_folder(KIND), device="cpu", dtype="fp32")
    ci.trace(model, samples, store=path, seeds="3-4", num_steps=NUM_STEPS, guidance_scale=3.0)
    return path


@pytest.fixture
def store(traced: Path, tmp_path: Path) -> Path:
    """A copy to write results into."""
    return shutil.copytree(traced, tmp_path / "store")


def invoke(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def data(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("weights were read")

    monkeypatch.setattr(options, "load_weights", refuse)


@pytest.mark.parametrize(
    "flags",
    [
        ["--horizon", 0],
        ["--horizon", 0, "--controls", "all", "--direction", "necessity"],
        ["--batch", 3, "--seeds", "3", "--donors", "store"],
        ["--sites", "mlp", "--branches", "cond", "--seeds", "4", "--controls", "none"],
        ["--window", "cumulative", "--layer-window", 2, "--layers", "all", "--seeds", "3"],
        ["--donors", "replay", "--seeds", "3", "--horizon", 1],
    ],
    ids=lambda flags: " ".join(map(str, flags)),
)
def test_the_plan_counts_what_is_then_computed(flags: list[Any], store: Path) -> None:
    asked = ["patch", store, *PAIRS, *SMALL, *flags, "--json"]
    plan, made = data(invoke(*asked, "--dry-run")), data(invoke(*asked))
    assert plan["rows"] == {"to_make": made["rows"], "made": 0}
    assert sum(plan["patches"].values()) + sum(plan["controls"].values()) == made["rows"]
    assert plan["blocks"]["patches"] == made["blocks"]["patches"]
    assert plan["blocks"]["unchanged"] == made["blocks"]["unchanged"]
    # All steps and branches of the three blocks, for each row.
    assert plan["blocks"]["naive"] == made["rows"] * NUM_STEPS * 2 * 3


def test_a_plan_reads_no_weights_and_writes_nothing(store: Path, no_weights: None) -> None:
    result = invoke("patch", store, *PAIRS, *SMALL, "--dry-run")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert "4 pairs of runs, 2 of samples" in result.stdout
    assert re.search(r"^blocks +\d+ block evaluations: \d+ of patches", result.stdout, re.MULTILINE)
    assert re.search(r"times as many$", result.stdout, re.MULTILINE)
    assert list_results(store) == []


def test_a_sweep_says_its_effects_beside_its_controls(store: Path, tmp_path: Path) -> None:
    picture = tmp_path / "effects.svg"
    result = invoke(
        *("patch", store, *PAIRS, *LAST, "--horizon", 0, "--controls", "all", "--name", "flip"),
        *("--plot", picture, "--effect", "x0_along"),
    )
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "sufficiency: x0_along, resid, all tokens, all branches" in text
    assert "necessity: strongest cells beside their controls" in text
    assert "identity random wrong-seed" in text
    assert "n = 4 patches of 2 samples a cell; interval: " in text
    assert "Student t over samples" in text
    assert "identity, a run's own activations: changes nothing, as it has to." in text
    assert f"result: {store / 'results' / 'flip.nc'}" in text
    assert max(map(len, result.stdout.splitlines())) <= 80 + len(str(store))
    assert picture.read_text().startswith("<?xml")
    found = open_result(store / "results" / "flip.nc")
    assert found.sizes["patch"] == 4 * 2 * 2 * (1 + 3)
    assert provenance_of(found)["command"]


def test_controls_that_cannot_be_made_are_told(store: Path) -> None:
    for run in (store / "runs" / "red-0").glob("*4.h5"):
        run.unlink()
    flags = [*PAIRS, *LAST, "--steps", 1, "--horizon", 0, "--seeds", 3, "--controls", "all"]
    result = invoke("patch", store, *flags)
    assert result.exit_code == 0, result.output
    # Of the two mazes, both ways, red-0 is once the donor.
    said = (
        "no wrong-seed control of 1 of 4 controlled runs: the donor's store has no other seed of its sample"
    )
    assert said in " ".join(result.stderr.split())
    assert provenance_of(open_result(store / "results" / "patch.nc"))["notes"] == [said]


def test_json_holds_every_cell_with_its_n(store: Path) -> None:
    told = data(invoke("patch", store, *PAIRS, *LAST, "--horizon", 0, "--controls", "none", "--json"))
    assert told["effect"] == "x0_recovered"
    assert len(told["cells"]) == 2 * 2
    assert {cell["n"] for cell in told["cells"]} == {4}
    assert {cell["samples"] for cell in told["cells"]} == {2}
    assert told["failed"] == 0
    last = {
        cell["direction"]: cell for cell in told["cells"] if (cell["first_step"], cell["layer"]) == (0, 3)
    }
    # At step 0 both runs see the same noise: the last layer is the whole of what the donor does.
    assert [last[way]["value"] for way in ("sufficiency", "necessity")] == pytest.approx([1, 1])


def test_an_interrupted_sweep_says_how_to_go_on(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["patch", str(store), *PAIRS, *LAST, "--horizon", "0", "--seeds", "3"]
    whole = data(invoke(*flags, "--name", "whole", "--json"))
    monkeypatch.setattr(sys, "argv", ["cosinterp", *flags])
    shown = sweep_progress.SweepProgress.row

    def interrupted(self: sweep_progress.SweepProgress, row: dict[str, Any]) -> None:
        shown(self, row)
        if self.made == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sweep_progress.SweepProgress, "row", interrupted)
        stopped = invoke(*flags)
    assert stopped.exit_code == 130
    assert "interrupted; 5 new rows kept. To go on:" in stopped.stderr
    command = stopped.stderr.splitlines()[-1].strip()
    assert command.startswith("cosinterp patch ")
    assert command.endswith(" --resume")
    refused = invoke(*flags)
    assert refused.exit_code == 2
    assert "--resume" in refused.stderr
    assert data(invoke(*flags, "--resume", "--dry-run", "--json"))["rows"]["made"] == 5
    resumed = data(invoke(*flags, "--resume", "--json"))
    assert resumed["cells"] == whole["cells"]


def test_a_preset_is_a_choice_of_flags_which_others_override(store: Path, no_weights: None) -> None:
    swap = data(invoke("patch", store, *PAIRS, "--preset", "latent-swap", "--dry-run", "--json"))
    assert swap["cells"] == 4
    other = ["--layers", "1-3", "--steps", "0-1", "--horizon", 0]
    flags = data(invoke("patch", store, *PAIRS, "--preset", "latent-swap", *other, "--dry-run", "--json"))
    assert flags["cells"] == 6
    assert flags["blocks"]["patches"] < swap["blocks"]["patches"] * 6 / 4
    parameters = invoke("patch", "--help").stdout
    assert all(f"--{name.replace('_', '-')}" in parameters for name in PRESETS["latent-swap"])


def test_errors_of_rows_are_told_and_the_sweep_goes_on(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("failing_measure.py").write_text("def fails(video, own, donor):\n    raise ValueError('no path')\n")
    flags = ["patch", store, *PAIRS, "--steps", 1, "--layers", 2, "--seeds", 3, "--horizon", 0]
    result = invoke(*flags, "--measure", "failing_measure:fails", "--controls", "none", "--json")
    assert result.exit_code == 1
    assert "error: none of 4 rows is known: measure failing_measure:fails" in result.stderr
    told = json.loads(result.stdout)
    assert told["failed"] == told["rows"] == 4
    assert "ValueError: no path" in next(iter(told["errors"]))
    # Once as it comes, and once in the end.
    assert result.stderr.count("ValueError: no path") == 2


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--donor", "green-*", "--recipient", "blue-*"], "no pair"),
        (["--donor", "red-0", "--recipient", "blue-*"], "two patterns with one *"),
        ([*PAIRS, "--seeds", "9"], "no pair"),
        ([*PAIRS, "--layers", "7"], "layers"),
        ([*PAIRS, "--steps", "5"], "steps"),
        ([*PAIRS, "--sites", "attention"], "attention"),
        ([*PAIRS, "--branches", "half"], "half"),
        ([*PAIRS, "--window", "few"], "cumulative"),
        ([*PAIRS, "--tokens", "frames:9"], "frames"),
        ([*PAIRS, "--tokens", "path"], "truth has no"),
        ([*PAIRS, "--donors", "store", "--sites", "mlp"], "mlp"),
        ([*PAIRS, "--effect", "goal_donor"], "--effect goal_donor: what is measured here is x0_moved"),
        ([*PAIRS, "--preset", "swap"], 'preset "swap": there is latent-swap'),
        ([*PAIRS, "--measure", "nowhere:f"], "nowhere"),
        ([*PAIRS, "--plot", "effects.txt"], "has to end in .png, .svg or .pdf"),
        ([*PAIRS, "--name", "a/b"], "result name"),
        ([*PAIRS, "--model", "/no/such/model"], "/no/such/model"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_is_one_line_before_weights_are_read(
    flags: list[str], message: str, store: Path
) -> None:
    result = invoke("patch", store, *flags)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert list_results(store) == []


def test_a_replay_is_the_stored_run(store: Path, tmp_path: Path) -> None:
    flags = ["replay", store, "--sample", "red-0", "--seed", 4, "--from-step", 1]
    result = invoke(*flags, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "the stored run, bit for bit" in result.stdout
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"replayed.png", "replayed.mp4"}
    told = data(invoke(*flags, "--json"))
    assert told["exact"] is True
    assert told["differences"] == {"1": 0, "2": 0}


def test_a_replay_that_is_not_the_stored_run_ends_with_1(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_apart", lambda *_: 0.25)
    result = invoke("replay", store, "--sample", "red-0", "--seed", 3)
    assert result.exit_code == 1
    assert "not the stored run: it differs by up to 0.25" in result.stdout
    assert "number of threads" in result.stdout


def test_a_replay_with_a_change_says_how_far_it_goes(store: Path, tmp_path: Path) -> None:
    change = {"layers": [2], "steps": [1], "what": {"kind": "scale", "factor": 2.0}}
    file = tmp_path / "change.json"
    file.write_text(json.dumps(change))
    flags = ["replay", store, "--sample", "red-0", "--seed", 3, "--intervention"]
    told = data(invoke(*flags, json.dumps(change), "--json"))
    assert told["differences"]["0"] == 0
    assert told["differences"]["1"] > 0
    assert told["interventions"][0]["what"] == change["what"]
    assert data(invoke(*flags, f"@{file}", "--json"))["differences"] == told["differences"]
    assert invoke(*flags, json.dumps(change)).exit_code == 0


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--sample", "green-0"], "green-0"),
        (["--sample", "red-0", "--intervention", "{}"], "not an intervention"),
        (["--sample", "red-0", "--intervention", "@nowhere.json"], "nowhere.json: cannot be read"),
        (
            [
                *("--sample", "red-0", "--intervention"),
                '{"layers": [9], "steps": [0], "what": {"kind": "zero"}}',
            ],
            "layers",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_replay_that_cannot_be_is_one_line(flags: list[str], message: str, store: Path) -> None:
    result = invoke("replay", store, "--seed", 3, *flags)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize("kind", ["zero", "mean", "resample", "skip"])
def test_ablations_are_planned_made_and_reported(kind: str, store: Path) -> None:
    flags = ["ablate", store, "--kind", kind, "--samples", "red-0,blue-0", *LAST, "--json"]
    plan, made = data(invoke(*flags, "--dry-run")), data(invoke(*flags))
    assert plan["blocks"]["patches"] == made["blocks"]["patches"]
    assert plan["blocks"]["unchanged"] == made["blocks"]["unchanged"]
    assert made["effect"] == ("x0_recovered" if kind == "resample" else "x0_relative")
    assert provenance_of(open_result(store / "results" / "ablation.nc"))["asked"]["ablation"] == kind


def test_directions_are_made_and_added(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "goal.npz"
    groups = ["--positive", "red-*", "--negative", "blue-*", "--out", file]
    told = data(invoke("steering-vectors", store, *groups, "--layers", "1-2", "--json"))
    assert told["layers"] == [1, 2]
    assert told["about"]["positive"]["runs"] == 4
    again = invoke("steering-vectors", store, *groups)
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert "layer" in invoke("steering-vectors", store, *groups, "--force").stdout
    flags = ["steer", store, "--vectors", file, "--sample", "blue-*", "--toward", "red-*", "--steps", 1]
    made = invoke(*flags, "--layers", 2, "--scales=-1,2", "--horizon", 0, "--no-videos")
    assert made.exit_code == 0, made.output
    assert "scale -1" in made.stdout
    assert "scale 2" in made.stdout
    wrong = invoke(*flags, "--scales", "few", "--name", "other")
    assert (wrong.exit_code, wrong.stderr.splitlines()[0][:20]) == (2, "error: --scales few:")


def test_the_strongest_attributions_are_patched(store: Path) -> None:
    flags = ["attribute", store, *PAIRS, "--steps", 1, "--points", 2, "--confirm", 3, "--seeds", 3]
    told = data(invoke(*flags, "--json"))
    confirmed = [cell for cell in told["cells"] if cell["x0_along"] is not None]
    sizes = sorted((abs(cell["attribution"]) for cell in told["cells"]), reverse=True)
    assert len(told["cells"]) == 4
    assert len(confirmed) == 3
    assert min(abs(cell["attribution"]) for cell in confirmed) >= sizes[2]
    assert [pair["n"] for pair in told["rank_correlations"]] == [3, 3]
    assert list_results(store) == ["attribution", "attribution-confirmed"]
    shown = invoke(*flags, "--name", "second")
    assert shown.exit_code == 0, shown.output
    assert "the strongest 3 cells, patched: x0_along" in shown.stdout
    assert "rank correlation of attribution and x0_along: median" in " ".join(shown.stdout.split())
    taken = invoke(*flags)
    assert (taken.exit_code, len(taken.stderr.splitlines())) == (2, 1)


def test_what_could_not_be_attributed_is_not_confirmed(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ci.InterventionError("no gradient")

    monkeypatch.setattr(table, "attribute", fail)
    result = invoke("attribute", store, *PAIRS, "--steps", 1, "--layers", 1, "--confirm", 3)
    assert result.exit_code == 1
    assert "nothing could be attributed: no gradient" in result.stderr
    assert list_results(store) == ["attribution"]


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([*PAIRS, "--tokens", "path"], "truth has no"),
        ([*PAIRS, "--layers", "7"], "layers"),
        ([*PAIRS, "--name", "a/b"], "result name"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_attributed_is_one_line_before_weights_are_read(
    flags: list[str], message: str, store: Path
) -> None:
    result = invoke("attribute", store, *flags)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert message in line
