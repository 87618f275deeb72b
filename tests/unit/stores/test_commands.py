"""The commands on stores: what they say, in text and in JSON, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cosinterp.cli import app
from cosinterp.cli.store import sites_in_short
from stores import Store
from tests.unit.stores import making, making_sites
from tests.unit.stores.making import make_store, write_run

RUNS = [("maze-3", 0), ("maze-3", 1), ("maze-4", 0)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "s", RUNS)


def call(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["store", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.stdout


def test_ls_has_a_line_a_run(store: Store) -> None:
    lines = [line.split() for line in call("ls", store.path).splitlines()]
    assert [
        (line[0], int(line[1]), line[2], line[4]) for line in lines if line and line[0].startswith("maze")
    ] == [(sample, seed, "base", "resid") for sample, seed in RUNS]
    assert lines[-1][:2] == ["3", "runs,"]


def test_ls_does_not_cut_names_in_a_pipe(store: Store) -> None:
    name = "maze-" + "7" * 110
    write_run(store, name, 0)
    assert name in call("ls", store.path)


def test_ls_selects(store: Store) -> None:
    found = json.loads(call("ls", store.path, "--sample", "maze-3", "--seeds", "1-5", "--json"))
    assert [(run["sample"], run["seed"], run["file"]) for run in found] == [("maze-3", 1, "runs/maze-3/1.h5")]
    assert json.loads(call("ls", store.path, "--variant", "patched", "--json")) == []
    assert call("ls", store.path, "--variant", "patched") == ""


def test_a_line_of_ls_fits_in_80_columns(store: Store) -> None:
    write_run(store, "maze-7x7-blue-00000", 0)
    assert max(len(line.rstrip()) for line in call("ls", store.path).splitlines()) <= 80


def test_a_line_of_ls_fits_in_80_columns_however_many_sites_there_are(tmp_path: Path) -> None:
    many = making_sites.make_store(tmp_path / "m", [("maze-7x7-00000", 0)], "fp8", "zstd")
    text = call("ls", many.path)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "mlp.raw..,+4" in text
    (run,) = json.loads(call("ls", many.path, "--json"))
    assert sorted(run["sites"]) == sorted(making_sites.KEYS)


@pytest.mark.parametrize(
    ("sites", "shown"),
    [
        ((), "-"),
        (("resid",), "resid"),
        (("mlp", "resid"), "mlp,resid"),
        (("mlp", "resid", "self_attn"), "mlp,resid,+1"),
        (("resid", "self_attn@norm", "mlp"), "resid,+2"),
        (("resid@project:64",), "resid@proj.."),
        (("resid@project:64", "mlp"), "resid@p..,+1"),
    ],
)
def test_ls_names_as_many_sites_as_there_is_room_for(sites: tuple[str, ...], shown: str) -> None:
    assert sites_in_short(sites) == shown


def test_info_says_the_size_of_every_sample(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "GRID", (3, 2, 2))
    write_run(store, "maze-5", 0)
    write_run(store, "maze-5", 1)
    text = call("info", store.path)
    assert "3 x 4 x 5 or 3 x 2 x 2 tokens of 6 channels in bf16, 720 B or 144 B each" in text
    grids = json.loads(call("info", store.path, "--json"))["sites"]["resid"]["grids"]
    assert grids == [
        {"grid": [3, 4, 5], "shape": [3, 4, 5, 6], "slab_bytes": 720},
        {"grid": [3, 2, 2], "shape": [3, 2, 2, 6], "slab_bytes": 144},
    ]


def test_info_says_what_is_left_of_a_token_grid(tmp_path: Path) -> None:
    reduced = making_sites.make_store(tmp_path / "r", RUNS[:1], "fp8", "zstd")
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in call("info", reduced.path).splitlines()}
    common = "layers 1,5, steps 0,2, cond+uncond"
    assert lines["mlp@tokens:5"] == f"{common}, 5 x 6 (token, channel) in fp8, zstd, 30 B each"
    assert lines["mlp.raw@frames"] == f"{common}, 4 x 6 (frame, channel) in fp8, zstd, 24 B each"
    site = json.loads(call("info", reduced.path, "--json"))["sites"]["self_attn@project:2"]
    assert (site["site"], site["reduction"], site["compression"]) == ("self_attn", "project:2", "zstd")
    assert site["axes"] == ["frame", "row", "col", "component"]


def test_info_says_what_is_stored(store: Store) -> None:
    text = call("info", store.path)
    assert (
        "layers 0,10,20, steps 0,2, cond+uncond, 3 x 4 x 5 tokens of 6 channels in bf16, 720 B each" in text
    )
    found = json.loads(call("info", store.path, "--json"))
    assert (found["runs"], found["samples"], found["seeds"]) == (3, ["maze-3", "maze-4"], [0, 1])
    assert found["model"] == {"name": "tiny"}
    assert found["sites"]["resid"]["layers"] == [0, 10, 20]
    assert found["bytes"] == sum(path.stat().st_size for path in store.path.glob("runs/*/*.h5"))


def test_verify_ends_with_1_if_something_is_wrong(store: Store) -> None:
    assert call("verify", store.path).endswith("3 runs, nothing wrong\n")
    path = store.path / "runs/maze-3/1.h5"
    path.write_bytes(path.read_bytes()[:-1])
    assert "runs/maze-3/1.h5: damaged: " in call("verify", store.path, code=1)
    found = json.loads(call("verify", store.path, "--json", code=1))
    assert [(problem["file"], problem["kind"]) for problem in found["problems"]] == [
        ("runs/maze-3/1.h5", "damaged")
    ]


def test_reindex_rebuilds_the_catalog(store: Store) -> None:
    (catalog,) = (store.path / "catalog").glob("*.jsonl")
    catalog.unlink()
    call("verify", store.path, code=1)
    assert "3 runs in the catalog" in call("reindex", store.path)
    assert json.loads(call("reindex", store.path, "--json")) == {
        "path": str(store.path),
        "runs": 3,
        "unreadable": [],
    }
    call("verify", store.path)


@pytest.mark.parametrize("command", ["ls", "info", "verify", "reindex"])
def test_what_is_no_store_ends_with_2_and_one_line(tmp_path: Path, command: str) -> None:
    result = CliRunner().invoke(app, ["store", command, str(tmp_path / "nowhere")])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == f"error: {tmp_path / 'nowhere'}: no such store\n"
