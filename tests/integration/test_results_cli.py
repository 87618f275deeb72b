"""`cosinterp results` and `cosinterp report` on a store whose results are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from cosinterp.cli import app, store_rm
from cosinterp.cli.results import fitting_columns
from probes.results import export
from probes.results.files import save_result
from probes.results.result import Result
from stores import StoreError
from tests.unit.probes.patched import full_grid
from tests.unit.stores.making import make_store

COMMAND = "cosinterp patch mazes --donor 'red-*' --recipient 'blue-*'"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a patching result, one of a kind that is not known, and a damaged file."""
    path = make_store(tmp_path / "mazes", [("maze-0", 0)]).path
    made = full_grid("x0_along", lambda pair, step, layer, way, control: layer + pair / 10, pairs=3)
    told = {
        "kind": "patch",
        "command": COMMAND,
        "asked": {"grid": {"steps": "0-2"}},
        "model": {"name": "tiny", "dtype": "fp32"},
        "versions": {"cosinterp": "0.1.0"},
        "notes": ["one pair was left out"],
        "created": "2026-01-31T12:34:56Z",
    }
    save_result(path, "flip", made, told)
    odd = xr.Dataset({"score": ("step", np.array([1.0, np.nan, 2.0]))})
    save_result(path, "odd", odd, {"kind": "telepathy"})
    (path / "results" / "cut.nc").write_bytes((path / "results" / "flip.nc").read_bytes()[:5000])
    return path


def run(*arguments: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == code, (done.output, done.exception)
    return done


def refused(*arguments: object) -> str:
    """What a command says of the user's mistake."""
    done = run(*arguments, code=2)
    assert done.stderr.startswith("error: ")
    assert done.stdout == ""
    return done.stderr


def test_ls_lists_every_file_damaged_ones_too(store: Path) -> None:
    lines = run("results", "ls", store).stdout.splitlines()
    by_name = {line.split()[0]: line for line in lines if line.strip()}
    assert "cannot be read" in by_name["cut"]
    assert "Patching: one run's activations put into another" in by_name["flip"]
    assert "patch 144" in by_name["flip"]
    assert "2026-01-31 12:34" in by_name["flip"]
    assert "unknown to this version" in by_name["odd"]
    told = {one["name"]: one for one in json.loads(run("results", "ls", store, "--json").stdout)}
    assert list(told) == ["cut", "flip", "odd"]
    assert told["flip"]["sizes"] == {"patch": 144}
    assert told["flip"]["command"] == COMMAND
    assert told["flip"]["error"] is None
    assert "cut.nc: damaged" in told["cut"]["error"]


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (200, ("name", "kind", "title", "n", "size")),
        (30, ("name", "kind", "n", "size")),
        (16, ("name", "kind", "size")),
    ],
)
def test_ls_leaves_out_what_there_is_no_room_for(width: int, columns: tuple[str, ...]) -> None:
    row = {"name": "a", "kind": "maps", "title": "Maps on the token grid", "n": "step 12", "size": "1 kB"}
    assert tuple(fitting_columns([row], width)) == columns


def test_ls_of_a_store_without_results_says_so(tmp_path: Path) -> None:
    done = run("results", "ls", make_store(tmp_path / "empty").path)
    assert done.stdout == ""
    assert "no results yet" in done.stderr
    assert "nowhere" in refused("results", "ls", tmp_path / "nowhere")


def test_show_says_all_of_a_result_and_how_to_repeat_it(store: Path) -> None:
    text = run("results", "show", store, "flip", "--rows", 3).stdout
    assert text.startswith("flip: Patching: one run's activations put into another\n")
    assert "sufficiency: x0_along is strongest at resid, layer 3, step 0: 3.10" in text
    assert "note: one pair was left out" in text
    assert "holds     patch 144" in text
    assert "created   2026-01-31T12:34:56Z" in text
    assert "model     tiny" in text
    assert "versions  cosinterp 0.1.0" in text
    assert "grid.steps  0-2" in text
    assert "the same in all rows: effect x0_along, site resid" in text
    assert "45 more of 48 rows" in text
    assert "figures: x0_along, x0_along-strongest" in text
    assert text.endswith(f"to make it again: {COMMAND}\n")


def test_show_as_json_has_every_row_and_null_for_what_is_not_known(store: Path) -> None:
    told = json.loads(run("results", "show", store, "flip", "--json").stdout)
    assert told["provenance"]["command"] == COMMAND
    assert len(told["table"]) == 48
    assert told["known"] is True
    rows = {(row["direction"], row["control"], row["first_step"], row["layer"]): row for row in told["table"]}
    assert rows["sufficiency", "none", 1, 2]["value"] == pytest.approx(2.1)
    odd = json.loads(run("results", "show", store, "odd", "--json").stdout)
    assert odd["known"] is False
    assert odd["table"][0]["not known"] == 1


def test_show_of_what_is_not_there_or_damaged_or_not_known_is_told(store: Path) -> None:
    assert "flop.nc: no such result; there are cut, flip, odd" in refused("results", "show", store, "flop")
    assert "cut.nc: damaged, or no result" in refused("results", "show", store, "cut")
    assert "result name '../up'" in refused("results", "show", store, "../up")
    assert 'Results of the kind "telepathy" are not known' in run("results", "show", store, "odd").stdout


def test_plot_draws_the_main_figure_one_by_name_or_all_into_a_folder(store: Path, tmp_path: Path) -> None:
    main = tmp_path / "main.svg"
    assert run("results", "plot", store, "flip", "--out", main).stdout == f"{main}\n"
    assert ">sufficiency, control: random</text>" in main.read_text()
    run("results", "plot", store, "flip", "--figure", "x0_along-strongest", "--out", tmp_path / "dots.png")
    assert (tmp_path / "dots.png").read_bytes().startswith(b"\x89PNG")
    run("results", "plot", store, "flip", "--all", "--out", tmp_path / "all")
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        "flip-x0_along-strongest.pdf",
        "flip-x0_along.pdf",
    ]


def test_plots_that_cannot_be_made_are_refused(store: Path, tmp_path: Path) -> None:
    plot = ("results", "plot", store, "flip")
    assert 'figure "map": flip, of the kind patch, has x0_along, x0_along-strongest' in refused(
        *plot, "--figure", "map", "--out", tmp_path / "a.png"
    )
    assert "the name has to end in .png, .svg or .pdf" in refused(*plot, "--out", tmp_path / "a.gif")
    assert "this is a folder" in refused(*plot, "--out", tmp_path)
    assert "leave out --figure, or --all" in refused(*plot, "--all", "--figure", "x", "--out", tmp_path)
    assert "choose png, svg or pdf" in refused(*plot, "--all", "--format", "gif", "--out", tmp_path)
    (tmp_path / "file").touch()
    assert "--all takes a folder" in refused(*plot, "--all", "--out", tmp_path / "file")
    assert "has none" in refused("results", "plot", store, "odd", "--out", tmp_path / "a.png")
    assert "has no figures" in refused("results", "plot", store, "odd", "--all", "--out", tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mazes"]


def test_export_writes_the_table_or_all_of_it(store: Path, tmp_path: Path) -> None:
    expected = Result.open(store / "results" / "flip.nc").table()
    for suffix in (".csv", ".json", ".nc"):
        run("results", "export", store, "flip", "--out", tmp_path / f"flip{suffix}")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "flip.csv"), expected, check_dtype=False)
    told = json.loads((tmp_path / "flip.json").read_text())
    assert told["provenance"]["asked"] == {"grid": {"steps": "0-2"}}
    assert [row["value"] for row in told["table"]] == expected["value"].tolist()
    assert (tmp_path / "flip.nc").read_bytes() == (store / "results" / "flip.nc").read_bytes()


def test_export_refuses_what_it_cannot_write(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporting = ("results", "export", store, "flip", "--out")
    assert "the name has to end in .csv, .json, .nc, .parquet" in refused(*exporting, tmp_path / "a.txt")
    (tmp_path / "a.csv").write_text("mine")
    assert "a.csv: this exists; replace it with --force" in refused(*exporting, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "mine"
    run(*exporting, tmp_path / "a.csv", "--force")
    assert (tmp_path / "a.csv").read_text().startswith("effect,direction,")
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    assert "Parquet needs pyarrow" in refused(*exporting, tmp_path / "a.parquet")
    assert not (tmp_path / "a.parquet").exists()
    read = Result.open(store / "results" / "flip.nc")
    (store / "results" / "flip.nc").unlink()
    with pytest.raises(StoreError, match=r"flip\.nc: cannot be read"):
        export.export_result(read, tmp_path / "a.nc")
    assert not (tmp_path / "a.nc").exists()


def test_rm_removes_the_results_that_are_named_damaged_ones_too(store: Path) -> None:
    left = store / "results"
    assert "would remove 2 results" in run("results", "rm", store, "flip", "cut", "--dry-run").stdout
    assert len(list(left.iterdir())) == 3
    assert "without being asked, give --yes" in refused("results", "rm", store, "flip")
    assert "no such result: flop; there are: cut, flip, odd. Nothing removed" in refused(
        "results", "rm", store, "flip", "flop", "--yes"
    )
    assert len(list(left.iterdir())) == 3
    told = json.loads(run("results", "rm", store, "flip", "cut", "--yes", "--json").stdout)
    assert told["results"] == ["flip", "cut"]
    assert [path.name for path in left.iterdir()] == ["odd.nc"]
    assert (store / "runs" / "maze-0").exists()


def test_rm_asks_and_takes_no_for_an_answer(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_rm, "can_ask", lambda: True)
    done = CliRunner().invoke(app, ["results", "rm", str(store), "flip"], input="n\n")
    assert done.exit_code == 1
    assert "flip: Patching" in done.stderr
    assert (store / "results" / "flip.nc").exists()
    CliRunner().invoke(app, ["results", "rm", str(store), "flip"], input="y\n")
    assert not (store / "results" / "flip.nc").exists()


def test_report_writes_a_page_and_ends_with_1_if_something_cannot_be_shown(
    store: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    done = run("report", store, "--out", page, code=1)
    assert f"{page}: 3 results" in done.stdout
    assert "error: cut: result: " in done.stderr
    assert "cut.nc: damaged" in page.read_text()
    done = run("report", store, "--out", page, "--only", "odd,flip", "--json")
    told = json.loads(done.stdout)
    assert told["results"] == ["odd", "flip"]
    assert told["figures"] == 2
    assert told["failures"] == []
    assert told["bytes"] == page.stat().st_size
    text = page.read_text()
    assert text.index('id="result-odd"') < text.index('id="result-flip"')


def test_a_report_that_cannot_be_written_is_refused(store: Path, tmp_path: Path) -> None:
    assert "has to end in .html" in refused("report", store, "--out", tmp_path / "report.pdf")
    mine = tmp_path / "mine.html"
    mine.write_text("<p>mine</p>")
    assert "replace it with --force" in refused("report", store, "--out", mine, "--only", "odd")
    assert mine.read_text() == "<p>mine</p>"
    run("report", store, "--out", mine, "--only", "odd", "--force")
    assert "no such result: flop" in refused("report", store, "--only", "flop", "--out", tmp_path / "a.html")
