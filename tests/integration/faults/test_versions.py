"""Stores and runs of other format versions: named, never misread.

``store-v1.zip`` is a store of one run as version 1 wrote it.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from stores import StoreError, open_store
from stores.layout import VERSION
from tests.integration.faults.workshop import trace_of

RUN = "runs/maze-3/0.h5"


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store of format version 1."""
    with zipfile.ZipFile(Path(__file__).with_name("store-v1.zip")) as packed:
        packed.extractall(tmp_path)
    return tmp_path / "store-v1"


def every_command(store: Path, folder: Path) -> list[tuple[object, ...]]:
    of_stores = [("store", name, store) for name in ("info", "ls", "verify", "reindex")]
    return [*of_stores, (*trace_of(folder, "--num-steps", 2, "--store", store), "--resume")]


def check_refusal(result: Result, place: Path, *said: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: {place}")
    for text in said:
        assert text in line


def test_a_store_of_an_old_version_is_named_by_every_command_and_left_as_it_is(
    old: Path, folder: Path
) -> None:
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    for words in every_command(old, folder):
        check_refusal(run(*words), old, "old format version 1", f"reads version {VERSION}")
    assert {path: path.read_bytes() for path in old.rglob("*") if path.is_file()} == before


def test_a_store_of_a_version_to_come_is_named_too(old: Path, folder: Path) -> None:
    content = json.loads((old / "store.json").read_text())
    (old / "store.json").write_text(json.dumps({**content, "version": VERSION + 1}))
    for words in every_command(old, folder):
        check_refusal(run(*words), old, f"format version {VERSION + 1}", "upgrade cosinterp")


def test_a_run_of_an_old_version_in_a_store_of_this_one_is_named_and_not_read(
    old: Path, folder: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    words = trace_of(folder, "--num-steps", 2, "--name", "maze-3", "--store", store)
    assert run(*words, "--seeds", 1).exit_code == 0
    shutil.copy(old / RUN, store / RUN)
    verified = run("store", "verify", store, "--json")
    assert verified.exit_code == 1
    (problem,) = [each for each in json.loads(verified.stdout)["problems"] if each["kind"] != "catalog"]
    assert problem["file"] == RUN
    assert "old format version 1" in problem["message"]
    opened = open_store(store)
    assert [entry.seed for entry in opened.runs()] == [1]
    with pytest.raises(StoreError, match="old format version 1"):
        opened.read("resid", 0, 0, "maze-3", 0)
    check_refusal(run(*words, "--seeds", "0-1", "--resume"), store / RUN, "old format version 1")
