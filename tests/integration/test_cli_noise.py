"""``cosinterp noise`` as a command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from probes.results.result import Result as Found
from stores import open_store

Run = Callable[..., Result]
SIZE = ("--height", "32", "--width", "32", "--num-frames", "5", "--num-steps", "3")


@pytest.fixture
def run() -> Run:
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def flags(tiny_folder: Callable[[str], Path], tmp_path: Path) -> list[object]:
    return [
        *("noise", "--model", tiny_folder("wan2.1-t2v"), "--prompt", "go to the red goal", "--name", "red"),
        *(*SIZE, "--store", tmp_path / "store"),
    ]


def test_makes_runs_compares_them_and_says_so(run: Run, flags: list[object], tmp_path: Path) -> None:
    result = run(
        *flags, "--steps", "0,2", "--frames", "1", "--sites", "resid", "--plot", tmp_path / "far.png"
    )
    assert result.exit_code == 0, result.output
    store = open_store(tmp_path / "store")
    variants = {"base", "noised-step-00", "noised-step-02", "noised-frame-01"}
    assert {entry.variant for entry in store.runs()} == variants
    assert "3 places (2 at a step, 1 in a frame)" in result.output
    assert "names no known task" in result.output
    assert "1 - CKA" in result.output
    assert (tmp_path / "far.png").read_bytes()[:4] == b"\x89PNG"
    found = Found.open(tmp_path / "store" / "results" / "noise.nc")
    assert found.kind == "noise"


def test_what_is_there_is_taken_up_and_compared_again(run: Run, flags: list[object], tmp_path: Path) -> None:
    assert run(*flags, "--at", "step", "--steps", "1").exit_code == 0
    refused = run(*flags, "--at", "step", "--steps", "1", "--result", "again")
    assert refused.exit_code == 2
    assert "already has" in refused.output
    result = run(*flags, "--at", "step", "--steps", "1-2", "--resume", "--result", "again", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["name"] == "again"
    places = {row["place"] for row in told["rows"] if row["quantity"] == "energy"}
    assert places == {"noised-step-01", "noised-step-02"}
    matched = run(
        *flags, "--steps", "2", "--frames", "0", "--matched", "--resume", "--every-variant", "--json"
    )
    assert matched.exit_code == 0, matched.output
    told = json.loads(matched.stdout)
    energies = {row["place"]: row["value"] for row in told["rows"] if row["quantity"] == "energy"}
    own = [energy for place, energy in energies.items() if "-energy-" in place]
    assert len(energies) == 4
    assert own == pytest.approx([own[0]] * 2, rel=0.02)
    assert told["name"] == "noise-matched"


def test_a_dry_run_makes_nothing(run: Run, flags: list[object], tmp_path: Path) -> None:
    result = run(*flags, "--dry-run", "--json", "--seeds", "0-1")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [one["variant"] for one in told["variants"]][:4] == [
        *("noised-step-00", "noised-step-01", "noised-step-02", "noised-frame-00"),
    ]
    assert (told["runs"], told["base_runs"], told["latent_frames"]) == (14, 2, 3)
    # Guidance makes two calls a step; up to the noise a noised run is its base run.
    assert told["evaluations"] == 2 * 2 * (3 + (3 + 2 + 1) + 3 * 3)
    plain = run(*flags, "--dry-run", "--how", "mix", "--strength", "0.25")
    assert "mix 0.25" in plain.output
    assert "7 to make" in plain.output
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--at", "step", "--frames", "1"), "no use"),
        (("--strength", "0.5"), "mix"),
        (("--matched", "--how", "replace"), "leave out"),
        (("--energy", "-1"), "above 0"),
        (("--energy", "99"), "takes up to"),
        (("--frames", "9"), "frames"),
        (("--plot", "far.gif"), ".png"),
        (("--result", "a/b"), "result"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(
    more: tuple[str, ...], says: str, run: Run, flags: list[object], tmp_path: Path
) -> None:
    result = run(*flags, *more)
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert not (tmp_path / "store").exists()


def test_mazes_are_scored(run: Run, narrow_maze_wan: Path, tmp_path: Path) -> None:
    assert run("mazes", "--out", tmp_path / "mazes", "--count", "1").exit_code == 0
    result = run(
        *("noise", "--model", narrow_maze_wan, "--dataset", tmp_path / "mazes", "--limit", "1"),
        *("--num-steps", "2", "--steps", "1", "--frames", "0", "--store", tmp_path / "store"),
    )
    assert result.exit_code == 0, result.output
    assert "Effect on solved" in result.output
    found = Found.open(tmp_path / "store" / "results" / "noise.nc")
    assert found.figures()[0] == "effects"
    assert found.dataset["run_score"].shape == (2, 1)
