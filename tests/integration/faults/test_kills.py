"""Processes that are killed in mid-trace: what is finished stays, and a resumed trace loses nothing."""

from __future__ import annotations

import itertools
import random
import signal
import time
from pathlib import Path

import pytest

from stores import open_store
from stores.tools.diff import diff_stores
from tests.integration.faults.contents import Contents, differing, listed, run_contents
from tests.integration.faults.workshop import Ended, Workshop, note, trace_of

IN_A_RUN, BETWEEN_RUNS = 6, 3
"""Kills that each way has to survive: while a run is written, and with some runs finished and others not."""
MOST_KILLS = 60
FEW_CHANGES = 20
WAYS = {
    "one seed at a time": (),
    "in batches": ("--batch", 2, "--no-video"),
    "with several threads that write": ("--batch", 2, "--writers", 3, "--no-video"),
    "reduced": (
        *("--reduce", "resid=project:8", "--reduce", "resid=norm", "--reduce", "mlp=tokens:5"),
        *("--reduce-seed", 3, "--no-video"),
    ),
    "as compressed fp8": (
        *("--store-dtype", "fp8", "--compression", "zstd", "--batch", 2, "--writers", 2, "--no-video"),
    ),
}


class Moments:
    """Random moments at which most commands still run, however much the machine has to do beside them.

    Every other is a change that the command makes to the disk, which are many where a run is begun or
    finished; the others are any time.
    """

    def __init__(self, seed: str, seconds: float) -> None:
        self._random = random.Random(seed)
        self._latest = {"seconds": seconds, "change": FEW_CHANGES}
        self._unit = "seconds"

    def draw(self) -> tuple[str, float]:
        """What is counted from a command's start, and how much of it."""
        self._unit = "change" if self._unit == "seconds" else "seconds"
        return self._unit, self._random.uniform(0, self._latest[self._unit])

    def learn(self, too_late: bool) -> None:
        """Whether the command had ended at the moment that was drawn last."""
        self._latest[self._unit] *= 0.8 if too_late else 1.1


class Spread:
    """Where in a trace it was killed."""

    def __init__(self) -> None:
        self.kills = self.in_a_run = self.between_runs = 0

    def __repr__(self) -> str:
        return f"{self.kills} kills, {self.in_a_run} in a run, {self.between_runs} between runs"

    @property
    def reached(self) -> bool:
        return self.in_a_run >= IN_A_RUN and self.between_runs >= BETWEEN_RUNS

    def add(self, store: Path, finished: int, runs: int) -> None:
        self.kills += 1
        self.in_a_run += list(store.rglob("*.partial")) != []
        self.between_runs += 0 < finished < runs
        # Otherwise the moments are not spread over the trace, and this test says little.
        assert self.reached or self.kills < MOST_KILLS, self


def ended_at(workshop: Workshop, words: tuple[object, ...], unit: str, moment: float) -> Ended:
    """How a command ends that is killed at a moment, if it still runs then."""
    if unit == "change":
        return workshop.run(*words, die_before=1 + int(moment))
    command = workshop.start(*words)
    time.sleep(moment)
    command.send(signal.SIGKILL)
    return command.end()


def uninterrupted(workshop: Workshop, words: tuple[object, ...], store: Path) -> dict[str, Contents]:
    ended = workshop.run(*words, "--store", store)
    assert ended.code == 0, ended.said
    return run_contents(store)


def check_what_is_there(store: Path, expected: dict[str, Contents]) -> int:
    """Check that the runs of a store are whole and right, whenever its process was killed; says how many."""
    if not (store / "store.json").exists():
        assert list(store.glob("[!.]*")) == []
        return 0
    found = run_contents(store)
    for file, run in found.items():
        assert differing(run, expected[file]) == []
    assert set(listed(store)) <= found.keys()
    opened = open_store(store)
    assert {entry.file for entry in opened.runs()} == found.keys()
    # A run may have got its name and not yet its line in the catalog; it is part of the store all the same.
    unlisted = found.keys() - set(listed(store))
    problems = [problem for problem in opened.verify() if problem.kind != "leftover"]
    assert {(problem.file, problem.kind) for problem in problems} == {(file, "catalog") for file in unlisted}
    return len(found)


def check_that_all_is_there(store: Path, expected: dict[str, Contents]) -> None:
    assert check_what_is_there(store, expected) == len(expected)
    assert [problem for problem in open_store(store).verify() if problem.kind != "leftover"] == []
    assert list(store.rglob("*.partial*")) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_trace_that_is_killed_again_and_again_is_the_uninterrupted_one(
    way: str, workshop: Workshop, folder: Path, tmp_path: Path
) -> None:
    flags = ("--num-steps", 2, "--layers", "1-2", "--sites", "resid,mlp", "--seeds", "0-2", *WAYS[way])
    words = trace_of(folder, *flags)
    whole = tmp_path / "uninterrupted"
    started = time.monotonic()
    expected = uninterrupted(workshop, words, whole)
    moments, spread = Moments(way, time.monotonic() - started), Spread()
    for attempt in itertools.count():
        store, killed = tmp_path / str(attempt), True
        resumed = (*words, "--store", store, "--resume")
        while killed:
            unit, moment = moments.draw()
            ended = workshop.run(*resumed) if spread.reached else ended_at(workshop, resumed, unit, moment)
            killed = ended.killed
            moments.learn(too_late=not killed)
            finished = check_what_is_there(store, expected)
            note(f"store {attempt}, {unit} {moment:.3f}: code {ended.code}, {finished} runs finished")
            if killed:
                spread.add(store, finished, len(expected))
        assert ended.code == 0, ended.said
        check_that_all_is_there(store, expected)
        assert diff_stores(open_store(store), open_store(whole)).equal
        if spread.reached:
            break
    note(f"{spread}")


def test_a_trace_can_be_killed_at_each_change_that_it_makes_to_the_disk(
    workshop: Workshop, folder: Path, tmp_path: Path
) -> None:
    flags = ("--num-steps", 1, "--layers", 0, "--no-video", "--seeds", "0-1", "--batch", 2)
    words = trace_of(folder, *flags)
    expected = uninterrupted(workshop, words, tmp_path / "uninterrupted")
    finished = []
    for change in itertools.count(1):
        store = tmp_path / str(change)
        ended = workshop.run(*words, "--store", store, die_before=change)
        if not ended.killed:
            break
        note(f"killed before change {change}")
        finished.append(check_what_is_there(store, expected))
        resumed = workshop.run(*words, "--store", store, "--resume")
        assert resumed.code == 0, resumed.said
        check_that_all_is_there(store, expected)
    assert ended.code == 0, ended.said
    assert finished == sorted(finished)
    assert set(finished) == {0, 1, 2}
