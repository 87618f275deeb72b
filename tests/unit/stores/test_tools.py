"""The commands that export, compare, merge and remove: what they say, and how they end."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from cosinterp.cli.store_export import parse_size
from stores import Store, create_store, open_store
from tests.unit.stores import making
from tests.unit.stores.making import make_store, settings, write_run

RUNS = [("maze-3", 0), ("maze-3", 1), ("maze-4", 0)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path / "s", RUNS)


def invoke(*arguments: object, typed: str | None = None) -> Result:
    return CliRunner().invoke(app, ["store", *map(str, arguments)], input=typed)


def call(*arguments: object, code: int = 0) -> str:
    result = invoke(*arguments)
    assert result.exit_code == code, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    return result.stderr.removeprefix("error: ").strip()


def other_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = making.bits
    monkeypatch.setattr(making, "bits", lambda *where: plain(*where) ^ np.uint16(0x8000))


def test_equal_stores_end_with_0(store: Store, tmp_path: Path) -> None:
    make_store(tmp_path / "t", RUNS)
    assert call("diff", store.path, tmp_path / "t").splitlines()[-1] == "equal: 3 runs"
    assert call("diff", store.path, tmp_path / "t", "--quick").splitlines()[-1] == "equal: 3 runs"
    found = json.loads(call("diff", store.path, tmp_path / "t", "--json"))
    assert (found["equal"], found["same"], found["different"]) == (True, 3, [])


def test_differences_are_said_and_end_with_1(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = create_store(tmp_path / "t", settings(video=True))
    write_run(other, "maze-9", 7)
    write_run(other, "maze-3", 0)
    other_bits(monkeypatch)
    write_run(other, "maze-3", 1)
    lines = call("diff", store.path, other.path, code=1).splitlines()
    assert lines[:9] == [
        f"A: {store.path}",
        f"B: {other.path}",
        "settings",
        "  capture.video: nothing in A, true in B",
        "only in A: 1 run",
        "  maze-4 seed 0 base",
        "only in B: 1 run",
        "  maze-9 seed 7 base",
        "maze-3 seed 1 base",
    ]
    assert lines[9].startswith("  activations/resid: 12 of 12 slabs differ, most by ")
    assert lines[10:] == ["different: 1 of 2 runs that both have, 1 only in A, 1 only in B, 1 setting"]
    found = json.loads(call("diff", store.path, other.path, "--json", code=1))
    assert (found["only_a"], found["only_b"]) == (["runs/maze-4/0.h5"], ["runs/maze-9/7.h5"])
    (run,) = found["different"]
    assert (run["sample"], run["seed"]) == ("maze-3", 1)
    (difference,) = run["differences"]
    assert (difference["what"], difference["differing"], difference["compared"]) == (
        "activations/resid",
        12,
        12,
    )
    assert difference["largest"] > 0
    call("diff", store.path, other.path, "--samples", "maze-3", "--seeds", "0", code=1)


def test_differences_of_selected_runs_and_within_a_tolerance(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_store(tmp_path / "t", RUNS[:1])
    other_bits(monkeypatch)
    write_run(other, "maze-3", 1)
    call("diff", store.path, other.path, "--samples", "maze-3", "--seeds", "0")
    call("diff", store.path, other.path, "--seeds", "1", "--tolerance", "100")
    call("diff", store.path, other.path, "--seeds", "1", code=1)
    assert "has a run that is selected" in refused(
        "diff", store.path, other.path, "--samples", "maze-8,maze-9"
    )
    assert "a name is empty" in refused("diff", store.path, other.path, "--samples", "maze-3,")


def test_an_infinite_difference_is_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store(tmp_path / "a", RUNS[:1])
    monkeypatch.setattr(making, "latent", lambda *_: np.full(making.LATENT, np.inf, np.float32))
    make_store(tmp_path / "b", RUNS[:1])
    found = json.loads(call("diff", tmp_path / "a", tmp_path / "b", "--json", code=1))
    assert {each["what"]: each["largest"] for each in found["different"][0]["differences"]} == {
        "latents/noisy": "inf",
        "latents/prediction": "inf",
    }


def test_merge_says_what_it_brought(store: Store, tmp_path: Path) -> None:
    other = make_store(tmp_path / "t", [("maze-4", 0), ("maze-5", 0)])
    (other.path / "results").mkdir()
    (other.path / "results/r.nc").write_text("")
    out = tmp_path / "out"
    assert call("merge", out, store.path, other.path, "--dry-run").startswith("would bring 4 runs, ")
    assert not out.exists()
    result = invoke("merge", out, store.path, other.path)
    assert result.stdout.startswith(f"{out}: gained 4 runs, ")
    assert result.stderr == f"not merged: {other.path / 'results'}\n"
    found = json.loads(call("merge", store.path, other.path, "--link", "--json"))
    assert [each["file"] for each in found["transfers"]] == ["runs/maze-5/0.h5"]
    assert (found["copied"], found["linked"], found["present"], found["copied_bytes"]) == (0, 1, 1, 0)
    assert call("merge", store.path, other.path) == f"{store.path}: nothing to bring; 2 there already\n"
    assert call("diff", out, store.path).splitlines()[-1] == "equal: 4 runs"
    call("verify", out)
    call("verify", store.path)


def test_merge_names_the_damaged_copy_that_it_did_not_take(store: Store, tmp_path: Path) -> None:
    other = make_store(tmp_path / "other", [("maze-3", 0)])
    damaged = other.path / "runs/maze-3/0.h5"
    damaged.write_bytes(b"damaged")
    result = invoke("merge", tmp_path / "out", other.path, store.path)
    assert result.exit_code == 0
    assert result.stderr.startswith(f"another copy was taken: {damaged}: damaged, ")
    call("verify", tmp_path / "out")
    found = json.loads(invoke("merge", tmp_path / "o", other.path, store.path, "--json", "--dry-run").stdout)
    assert [line.partition(": ")[0] for line in found["damaged"]] == [str(damaged)]


def test_merge_refuses_what_differs(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = create_store(tmp_path / "t", settings(layers=[0]))
    assert "capture.layers: 0,10,20 there, 0 here" in refused(
        "merge", tmp_path / "out", store.path, other.path
    )
    third = make_store(tmp_path / "u")
    other_bits(monkeypatch)
    write_run(third, "maze-4", 0)
    message = refused("merge", tmp_path / "out", store.path, third.path)
    assert message.startswith("nothing was merged")
    assert "runs/maze-4/0.h5" in message
    assert not (tmp_path / "out").exists()


def test_rm_removes_what_is_selected(store: Store) -> None:
    write_run(store, "maze-3", 0, "patched")
    assert call("rm", store.path, "--samples", "maze-3", "--seeds", "0", "--dry-run").splitlines() == [
        f"  maze-3 base: seeds 0, {making_size(store)}",
        f"  maze-3 patched: seeds 0, {making_size(store)}",
        f"{store.path}: would remove 2 runs ({making_size(store, 2)})",
    ]
    assert len(store.runs()) == 4
    call("rm", store.path, "--sample", "maze-3", "--seeds", "0", "--variant", "base", "--yes")
    assert [entry.key for entry in store.runs()] == [
        ("maze-3", 0, "patched"),
        ("maze-3", 1, "base"),
        ("maze-4", 0, "base"),
    ]
    found = json.loads(call("rm", store.path, "--samples", "maze-3,maze-4", "--json", "--yes"))
    assert found["runs"] == ["runs/maze-3/0.patched.h5", "runs/maze-3/1.h5", "runs/maze-4/0.h5"]
    assert found["bytes"] > 0
    assert open_store(store.path).runs() == []
    call("verify", store.path)


def making_size(store: Store, runs: int = 1) -> str:
    from stores.units import size_text

    return size_text(runs * store.runs()[0].size)


def test_rm_does_not_guess(store: Store) -> None:
    assert "say which runs" in refused("rm", store.path, "--yes")
    assert "leave out" in refused("rm", store.path, "--all", "--seeds", "0", "--yes")
    assert "no run is selected" in refused("rm", store.path, "--seeds", "7", "--yes")
    assert "no run of sample 'maze-33' is selected" in refused(
        "rm", store.path, "--samples", "maze-3,maze-33", "--yes"
    )
    assert "a name is empty" in refused("rm", store.path, "--samples", ",", "--yes")
    assert len(open_store(store.path).runs()) == 3


def test_rm_asks_and_takes_no_for_an_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "give --yes" in refused("rm", store.path, "--all")
    monkeypatch.setattr("cosinterp.cli.store_rm.can_ask", lambda: True)
    declined = invoke("rm", store.path, "--all", typed="n\n")
    assert declined.exit_code == 1
    assert f"remove 3 runs ({making_size(store, 3)}) from {store.path}?" in declined.stderr
    assert "maze-3 base: seeds 0-1" in declined.stderr
    assert "nothing was removed" in declined.stderr
    assert len(open_store(store.path).runs()) == 3
    agreed = invoke("rm", store.path, "--all", typed="y\n")
    assert agreed.exit_code == 0
    assert open_store(store.path).runs() == []


def test_rm_given_again_ends_what_was_killed(store: Store) -> None:
    for seed in (0, 1):
        (store.path / f"runs/maze-3/{seed}.h5").unlink()
    call("verify", store.path, code=1)
    selected = ("rm", store.path, "--samples", "maze-3", "--seeds", "0-1")
    line = "from the catalog 2 runs whose files were gone already"
    assert call(*selected, "--dry-run") == f"{store.path}: would drop {line}\n"
    call("verify", store.path, code=1)
    assert call(*selected) == f"{store.path}: dropped {line}\n"
    call("verify", store.path)
    assert "no run of sample 'maze-3' is selected" in refused(*selected)
    (store.path / "runs/maze-4/0.h5").unlink()
    found = json.loads(call("rm", store.path, "--all", "--json"))
    assert (found["runs"], found["gone"]) == ([], ["runs/maze-4/0.h5"])
    call("verify", store.path)


def test_rm_takes_leftovers_alone(store: Store) -> None:
    partial = store.path / "runs/maze-3/7.h5.partial"
    assert "removed nothing" in call("rm", store.path, "--leftovers")
    partial.write_bytes(b"half a run")
    call("verify", store.path, code=1)
    dry = call("rm", store.path, "--leftovers", "--dry-run")
    assert dry.splitlines() == [
        "  runs/maze-3/7.h5.partial",
        f"{store.path}: would remove 1 leftover file (10 B)",
    ]
    found = json.loads(call("rm", store.path, "--leftovers", "--yes", "--json"))
    assert (found["leftovers"], found["runs"], found["bytes"]) == (["runs/maze-3/7.h5.partial"], [], 10)
    call("verify", store.path)
    assert len(open_store(store.path).runs()) == 3


def test_export_guesses_the_format_and_says_what_it_wrote(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    selected = ["--seeds", "0", "--layers", "10,20", "--branches", "cond", "--no-video", "--no-latents"]
    assert call("export", store.path, out, *selected, "--dry-run").startswith(
        f"{out}: would export 2 runs as hdf5, about "
    )
    assert not out.exists()
    assert call("export", store.path, out, *selected).startswith(f"{out}: exported 2 runs as hdf5, ")
    with h5py.File(out) as file:
        assert sorted(file) == ["maze-3", "maze-4"]
        assert file["maze-4/0/activations/resid"].shape[:3] == (2, 2, 1)
        assert "maze-4/0/latents" not in file
    assert "--force" in refused("export", store.path, out)
    call("export", store.path, out, "--samples", "maze-4", "--sites", "none", "--force")
    with h5py.File(out) as file:
        assert "maze-4/0/activations" not in file


def test_export_to_safetensors_and_zarr(store: Store, tmp_path: Path) -> None:
    found = json.loads(
        call(
            "export", store.path, tmp_path / "t", "--format", "safetensors", "--shard-size", "20kB", "--json"
        )
    )
    assert (found["format"], len(found["runs"]), found["sites"]) == ("safetensors", 3, ["resid"])
    files = [path for path in (tmp_path / "t").iterdir() if path.suffix == ".safetensors"]
    assert len(files) > 2
    assert found["bytes"] == sum(path.stat().st_size for path in (tmp_path / "t").iterdir())
    call("export", store.path, tmp_path / "one.safetensors", "--samples", "maze-4")
    call("export", store.path, tmp_path / "t.zarr", "--samples", "maze-4", "--reductions", "full")
    assert (tmp_path / "t.zarr/resid/zarr.json").exists()


def test_export_refuses_what_it_cannot_read(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    assert "which format" in refused("export", store.path, tmp_path / "out")
    assert "format 'csv'" in refused("export", store.path, out, "--format", "csv")
    assert "site 'mlp'" in refused("export", store.path, out, "--sites", "mlp")
    assert 'sites "resid,": a name is empty' in refused("export", store.path, out, "--sites", "resid,")
    assert "there is no layer 7" in refused("export", store.path, out, "--layers", "7")
    for size in ("much", "2XB", "0", "-1", "0.1B"):
        assert "write a size such as" in refused("export", store.path, out, f"--shard-size={size}")
    assert "no run is selected" in refused("export", store.path, out, "--samples", "maze-9")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s"]


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2 * 10**9), ("500 mb", 5 * 10**8), ("1.5kB", 1500), ("77", 77), (" 1tb ", 10**12)],
)
def test_sizes_are_read_in_powers_of_1000(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "arguments",
    [("export", "x", "out.h5"), ("diff", "x", "x"), ("merge", "out", "x"), ("rm", "x", "--all")],
)
def test_what_is_no_store_ends_with_2_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(*arguments) == "x: no such store"


@pytest.mark.parametrize("command", ["export", "diff", "merge", "rm"])
def test_the_help_page_names_every_flag(command: str) -> None:
    text = call(command, "-h")
    assert "--json" in text
    assert text.count("--") >= 3
