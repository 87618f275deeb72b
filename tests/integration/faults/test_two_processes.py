"""Several processes that trace into one store at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from stores import open_store
from tests.integration.faults.contents import run_contents
from tests.integration.faults.workshop import ROOT, Ended, Workshop, note, trace_of

BEING_MADE = "another process is making this run"


def lines_of_error(ended: Ended) -> list[str]:
    assert "Traceback" not in ended.said
    return [line for line in ended.said.splitlines() if line.startswith("error: ")]


def test_commands_of_their_own_trace_into_one_store_and_one_of_two_makes_a_run(
    folder: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "400"}

    def start(seeds: str) -> subprocess.Popen[str]:
        words = trace_of(folder, "--num-steps", 8, "--sites", "all", "--seeds", seeds, "--store", store)
        command = [sys.executable, "-m", "cosinterp", *map(str, words)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )

    processes = [start("0-1"), start("2-3"), start("0-1")]
    said = [process.communicate(timeout=120)[0] for process in processes]
    first, other, again = (
        Ended(process.returncode, text) for process, text in zip(processes, said, strict=True)
    )
    assert other.code == 0, other.said
    assert sorted((first.code, again.code)) == [0, 2], first.said + again.said
    (error,) = lines_of_error(first if first.code else again)
    assert str(store) in error
    opened = open_store(store)
    assert [entry.seed for entry in opened.runs()] == [0, 1, 2, 3]
    assert opened.verify() == []


def test_a_run_under_way_is_refused_to_another_process(
    workshop: Workshop, folder: Path, tmp_path: Path
) -> None:
    words = trace_of(folder, "--num-steps", 4, "--seeds", "0-1", "--store", tmp_path / "store", "--resume")
    first = workshop.start(*words, slow_disk=0.01)
    first.wait_until(lambda: list(tmp_path.rglob("*.partial")) != [])
    # Stopped, so that it is under way for as long as the other one looks.
    first.send(signal.SIGSTOP)
    again = workshop.run(*words)
    first.send(signal.SIGCONT)
    assert again.code == 2, again.said
    (error,) = lines_of_error(again)
    assert BEING_MADE in error
    assert str(tmp_path / "store/runs/goal/0.h5") in error
    ended = first.end()
    assert ended.code == 0, ended.said
    opened = open_store(tmp_path / "store")
    assert [entry.seed for entry in opened.runs()] == [0, 1]
    assert opened.verify() == []


def test_processes_that_race_for_a_new_store_all_win_or_say_why_not(
    workshop: Workshop, folder: Path, tmp_path: Path
) -> None:
    words = trace_of(folder, "--num-steps", 2)
    assert workshop.run(*words, "--seeds", "0-2", "--store", tmp_path / "alone").code == 0
    expected = run_contents(tmp_path / "alone")
    for race in range(6):
        store = tmp_path / str(race)
        seeds = ("0", "0", "1", "1-2")
        commands = [workshop.start(*words, "--seeds", each, "--store", store) for each in seeds]
        ended = [command.end() for command in commands]
        codes = [each.code for each in ended]
        note(f"race {race}: {codes}")
        assert sorted(codes[:2]) == [0, 2], [each.said for each in ended]
        assert set(codes[2:]) <= {0, 2}
        assert 0 in codes[2:]
        for each in ended:
            assert len(lines_of_error(each)) == (each.code == 2), each.said
        found = run_contents(store)
        assert found == {file: expected[file] for file in found}
        assert {"runs/goal/0.h5", "runs/goal/1.h5"} <= found.keys()
        assert open_store(store).verify() == []
