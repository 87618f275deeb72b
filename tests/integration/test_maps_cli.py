"""``cosinterp maps`` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from probes.results.result import Result as Saved
from tests.unit.probes.maps.planting import plant
from tests.unit.probes.maps.test_channels import content


def run(*words: object) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["maps", *map(str, words)])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return plant(tmp_path / "s", content).path


def test_a_result_is_saved_with_its_command_and_drawn(store: Path, tmp_path: Path) -> None:
    picture = tmp_path / "out" / "energy.png"
    done = run(store, "--sample", "a", "--seed", "0-1", "--layers", "3,7", "--plot", picture)
    assert done.exit_code == 0, done.output
    assert "one PCA of the whole sweep" in done.stdout
    path = store / "results" / "maps-resid-a-seeds-0-1.nc"
    assert f"result: {path}" in done.stdout
    saved = Saved.open(path)
    assert saved.kind == "maps"
    assert saved.dataset["layer"].values.tolist() == [3, 7]
    assert saved.provenance["command"] is not None
    with Image.open(picture) as drawn:
        assert drawn.width > 400


def test_any_figure_can_be_drawn(store: Path, tmp_path: Path) -> None:
    for figure, name in (("side-by-side-by-step", "a.svg"), ("temporal", "b.pdf")):
        done = run(store, "--name", "m", "--force", "--figure", figure, "--plot", tmp_path / name)
        assert done.exit_code == 0, done.output
        assert (tmp_path / name).stat().st_size > 1000


def test_json_has_rows_and_what_was_asked(store: Path) -> None:
    done = run(store, "--sample", "b", "--json", "--pca", "layer", "--massive-least", 1e3)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["provenance"]["asked"]["pca"] == "layer"
    assert told["provenance"]["asked"]["massive"] == {"least": 1000.0, "ratio": 1000.0}
    assert {row["quantity"] for row in told["rows"]} >= {"layer_energy", "frame_energy", "frame_change"}


def test_a_second_store_stands_beside(store: Path, tmp_path: Path) -> None:
    other = plant(tmp_path / "t", runs=[("a", 1)]).path
    words = ("--sample", "a", "--seed", 0, "--against", "a/1", "--against-store", other)
    done = run(store, *words, "--figure", "side-by-side-by-layer", "--plot", tmp_path / "side.png")
    assert done.exit_code == 0, done.output
    assert "s:a/0 and t:a/1" in done.stdout
    assert (tmp_path / "side.png").exists()


def test_a_name_that_is_taken_is_refused_before_anything_is_read(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(store, "--name", "m", "--sample", "b").exit_code == 0

    def read(*_: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr("probes.maps.making.collect", read)
    done = run(store, "--name", "m", "--sample", "b")
    assert done.exit_code == 2
    assert "give --force to replace it" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--layers", "5"], 'error: layers "5": there is no layer 5'),
        (["--sample", "c"], "has no runs of c; it has a, b"),
        (["--figure", "nice", "--plot", "x.png"], "error: --figure nice: choose one of energy-by-step"),
        (["--figure", "temporal"], "give --plot FILE as well"),
        (["--plot", "x.gif"], "has to end in .png, .svg or .pdf"),
        (["--pca", "both"], "error: pca 'both': choose sweep, layer or none"),
        (["--massive-ratio", "0"], "the second 1 or more"),
        (["--against-store", "nowhere"], "error: "),
        (["--show-step", "4"], "what is chosen has steps 0,2,5"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(store: Path, words: list[str], message: str) -> None:
    done = run(store, *words)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (store / "results").exists()
