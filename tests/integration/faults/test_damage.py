"""Damaged run files, seen from the command line."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from stores import Store, StoreError, open_store
from tests.integration.faults.contents import run_contents
from tests.integration.faults.workshop import note, trace_of

DAMAGED = "runs/goal/1.h5"
FLIPS = 40

Damage = Callable[[bytes, random.Random], bytes]


def cut_short(whole: bytes, moments: random.Random) -> bytes:
    return whole[: moments.randrange(len(whole))]


def with_a_flipped_bit(whole: bytes, moments: random.Random) -> bytes:
    flipped = bytearray(whole)
    flipped[moments.randrange(len(whole))] ^= 1 << moments.randrange(8)
    return bytes(flipped)


def with_a_lost_page(whole: bytes, moments: random.Random) -> bytes:
    page = moments.randrange(len(whole) // 4096) * 4096
    return whole[:page] + bytes(4096) + whole[page + 4096 :]


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def words(folder: Path) -> tuple[object, ...]:
    return trace_of(folder, "--num-steps", 2, "--layers", "0-1", "--seeds", "0-2")


@pytest.fixture(scope="module")
def traced(words: tuple[object, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store; not to be written into."""
    path = tmp_path_factory.mktemp("damage") / "traced"
    assert run(*words, "--store", path).exit_code == 0
    return path


@pytest.fixture
def store(traced: Path, tmp_path: Path) -> Path:
    return shutil.copytree(traced, tmp_path / "store")


def check_that_it_is_never_read_as_data(store: Store, whole: Store) -> None:
    """Check that each slab of the damaged run is an error, or what it was before the damage."""
    for entry, step, layer, branch, tokens in whole.iter("resid", seeds=1):
        with suppress(StoreError):
            read = store.read("resid", step, layer, entry.sample, entry.seed, branch)
            np.testing.assert_array_equal(read, tokens)


@pytest.mark.parametrize("damage", [cut_short, with_a_flipped_bit, with_a_lost_page])
def test_verify_names_the_damaged_file_and_nothing_reads_it_as_data(
    damage: Damage, store: Path, traced: Path
) -> None:
    whole = (store / DAMAGED).read_bytes()
    moments = random.Random(damage.__name__)
    for attempt in range(FLIPS):
        damaged = damage(whole, moments)
        if damaged == whole:
            continue
        (store / DAMAGED).write_bytes(damaged)
        note(f"damage {attempt}")
        result = run("store", "verify", store, "--json")
        assert result.exit_code == 1, result.output
        problems = json.loads(result.stdout)["problems"]
        assert {problem["file"] for problem in problems} == {DAMAGED}
        assert "damaged" in {problem["kind"] for problem in problems}
        check_that_it_is_never_read_as_data(open_store(store), open_store(traced))


def test_verify_says_on_one_line_which_file_is_damaged(store: Path) -> None:
    whole = (store / DAMAGED).read_bytes()
    (store / DAMAGED).write_bytes(whole[: len(whole) // 2])
    result = run("store", "verify", store)
    assert result.exit_code == 1
    line, verdict = result.stdout.splitlines()
    assert line.startswith(f"{DAMAGED}: damaged: ")
    assert verdict == f"{store}: 3 runs, 1 problem"


def test_resume_makes_a_damaged_run_anew_once_it_is_deleted(
    words: tuple[object, ...], store: Path, traced: Path
) -> None:
    # The catalogs of different processes are in no order: the line of the damaged run may be read last.
    (catalog,) = store.glob("catalog/*.jsonl")
    catalog.rename(catalog.with_name("zz.jsonl"))
    (store / DAMAGED).write_bytes(b"nothing that was ever written")
    (problem,) = open_store(store).verify()
    (store / problem.file).unlink()
    assert run(*words, "--store", store, "--resume").exit_code == 0
    assert run_contents(store) == run_contents(traced)
    assert run("store", "verify", store).exit_code == 0
