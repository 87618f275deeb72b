"""What a job leads to, as its words say."""

import os
from pathlib import Path

import pytest
import xarray

from cosinterp.cli import COMMANDS
from cosinterp.cli.lazy import Command
from cosinterp.jobs import outcome
from cosinterp.jobs.outcome import Outcome, outcome_of, results_of
from cosinterp.jobs.spec import JobSpec
from probes.results.files import save_result


def spec(*words: str) -> JobSpec:
    return JobSpec(words=words, cwd="/data")


STORE = Path("/data/runs/a")


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ("trace --model m --store runs/a --name x", Outcome(STORE, main=STORE)),
        ("patch runs/a", Outcome(STORE, True, "patch", main=STORE)),
        ("patch runs/a --name early", Outcome(STORE, True, "early", main=STORE)),
        ("score runs/a", Outcome(STORE, True, main=STORE)),
        ("score runs/a --no-save", Outcome(STORE, main=STORE)),
        ("noise --model m --store runs/a --result r", Outcome(STORE, True, "r", main=STORE)),
        ("ensemble --store runs/a --no-score --result r", Outcome(STORE, main=STORE)),
        (
            "probe runs/a --target path --plot a.svg",
            Outcome(STORE, True, files=(Path("/data/a.svg"),), main=STORE),
        ),
        ("store verify runs/a", Outcome(STORE, main=STORE)),
        (
            "store export runs/a all.h5",
            Outcome(STORE, files=(Path("/data/all.h5"),), main=Path("/data/all.h5")),
        ),
        ("store merge runs/a runs/b", Outcome(STORE, main=STORE)),
        (
            "reproduce",
            Outcome(files=(Path("/data/reproduction"),), main=Path("/data/reproduction")),
        ),
        ("verify maze-wan", Outcome()),
        ("knit runs/a", Outcome()),
    ],
)
def test_says_what_the_words_say(words: str, known: Outcome) -> None:
    assert outcome_of(spec(*words.split())) == known


def test_words_that_are_wrong_say_what_they_can() -> None:
    assert outcome_of(spec("score", "runs/a", "--nmae", "x")).makes_result


def test_every_command_that_names_a_result_is_known() -> None:
    told = "STORE/results/NAME.nc"
    naming = {
        entry.name
        for entry in COMMANDS
        if isinstance(entry, Command) and entry.detachable
        for parameter in entry.load().params
        if told in (getattr(parameter, "help", None) or "")
    }
    assert naming
    assert naming <= set(outcome._RESULTS)


def test_results_are_known_by_the_command_that_made_them(tmp_path: Path) -> None:
    store = tmp_path / "mazes"
    job = spec("ensemble", "--store", str(store), "--seeds", "0-2")
    asked = outcome_of(job)
    assert results_of(job, asked) == []
    for number, (name, command) in enumerate(
        {
            "scores": f"cosinterp ensemble --resume --store {store} --seeds 0-2",
            "gain": f"python -m cosinterp ensemble --store {store} --seeds 0-2",
            "other": f"cosinterp ensemble --store {store} --seeds 0-3",
            "by-hand": None,
            "broken": "cosinterp 'ensemble",
        }.items()
    ):
        plant(store, name, command)
        os.utime(store / "results" / f"{name}.nc", (number, number))
    (store / "results" / "damaged.nc").write_bytes(b"no result")
    assert results_of(job, asked) == ["gain", "scores"]


def plant(store: Path, name: str, command: str | None) -> None:
    save_result(store, name, xarray.Dataset(), {"kind": "ensemble", "command": command})
