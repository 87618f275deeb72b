"""The table of jobs, as it is printed."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from cosinterp.cli.jobs_table import jobs_table
from cosinterp.jobs.state import State
from cosinterp.jobs.status import Status

NOW = 1_760_010_000.0
RUNNING = Status(
    id="trace-1009-0853-kite",
    name=None,
    words=("trace", "--model", "maze-wan", "--dataset", "mazes", "--store", "runs/first", "--seeds", "0-3"),
    cwd="/data",
    state=State.RUNNING,
    attempt=1,
    created=NOW - 400,
    started=NOW - 390,
    devices=("GPU 0",),
    description="tracing",
    done=624.0,
    total=1200.0,
    unit="steps",
    rate=3.21,
    seconds_left=179.4,
    sample="maze-3",
    seeds="0-3",
    host_memory=3_100_000_000,
    gpus=({"index": 0, "memory": 41_200_000_000, "utilization": 97},),
)
QUEUED = Status(
    id="patch-1009-0855-oak",
    name=None,
    words=("patch", "runs/first"),
    cwd="/data",
    state=State.QUEUED,
    attempt=1,
    created=NOW - 300,
    message="1 job on GPU 0 already running",
)
FAILED = replace(
    RUNNING,
    id="probe-1008-2101-fox",
    words=("probe", "runs/first", "--target", "path"),
    state=State.OUT_OF_MEMORY,
    created=NOW - 90_000,
    started=NOW - 89_990,
    ended=NOW - 89_000,
    devices=(),
    gpus=(),
    host_memory=None,
    message="out of memory on GPU 0: 139 GB are too little\nmore of it",
)
FINISHED = replace(FAILED, id="score-1007-1200-elm", state=State.FINISHED, message=None)


def printed(*statuses: Status, width: int, bars: bool = True, **settings: Any) -> list[str]:
    written = io.StringIO()
    console = Console(file=written, width=width, **settings)
    console.print(jobs_table(statuses, NOW, console.width, bars=bars))
    return [line.rstrip() for line in written.getvalue().splitlines() if line.strip()]


def test_at_80_columns_every_job_has_one_line_with_what_matters_most() -> None:
    head, rule, *rows = printed(RUNNING, QUEUED, FAILED, FINISHED, width=80)
    assert max(map(len, (head, rule, *rows))) <= 80
    assert head.split() == ["job", "state", "done", "time", "age"]
    assert [" ".join(row.split()) for row in rows] == [
        "trace-1009-0853-kite running ████░░░░ 52 % 3.0 min left 6.7 min",
        "patch-1009-0855-oak queued 5.0 min",
        "probe-1008-2101-fox out of memory 52 % took 16 min 25 h",
        "score-1007-1200-elm finished took 16 min 25 h",
    ]


@pytest.mark.parametrize("width", range(60, 260, 7))
def test_no_line_is_longer_than_the_terminal_nor_broken(width: int) -> None:
    _, _, *rows = printed(RUNNING, QUEUED, FAILED, FINISHED, width=width)
    assert len(rows) == 4
    assert max(map(len, rows)) <= max(width, 64)
    assert rows[0].split()[0] == RUNNING.id
    assert "52 %" in rows[0]


def test_a_wide_terminal_shows_what_each_job_does_and_takes() -> None:
    head, _, *rows = printed(RUNNING, QUEUED, FAILED, width=200)
    columns = ["job", "state", "done", "time", "rate", "device", "memory", "age", "command", "what"]
    assert head.split() == columns
    running = re.split(r"\s{2,}", rows[0].strip())
    assert running == [
        RUNNING.id,
        "running",
        "████░░░░",
        "52 %",
        "3.0 min left",
        "3.2 steps/s",
        "GPU 0 97 %",
        "41.2 GB",
        "6.7 min",
        "trace --model maze-wan --datase…",
        "tracing: maze-3 seed 0-3",
    ]
    assert rows[1].endswith("1 job on GPU 0 already running")
    assert rows[2].endswith("out of memory on GPU 0: 139 GB are too little")


def test_a_pipe_gets_all_words_and_no_bars() -> None:
    _, _, row = printed(RUNNING, width=10_000, bars=False)
    assert " ".join(RUNNING.words) in row
    assert "█" not in row
    assert re.search(r"running\s+52 %\s+3.0 min left", row)


def test_columns_that_say_nothing_are_left_out() -> None:
    head, _, _ = printed(replace(RUNNING, devices=(), gpus=(), host_memory=None, rate=None), width=200)
    assert head.split() == ["job", "state", "done", "time", "age", "command", "what"]


def test_states_are_words_and_colours_only_repeat_them() -> None:
    coloured = "\n".join(printed(RUNNING, FAILED, width=200, force_terminal=True, color_system="standard"))
    assert "\x1b[32mrunning" in coloured
    assert "\x1b[31mout of memory" in coloured
    assert "running" in "\n".join(printed(RUNNING, width=200, no_color=True))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"total": None, "done": 1204.0}, "1,204 steps"),
        ({"total": 3e9, "done": 1.5e9, "unit": "bytes", "rate": 2e9}, "2.0 GB/s"),
        ({"rate": 0.05}, "20 s/step"),
        ({"unit": "patches", "rate": 0.5}, "2 s/patch"),
        ({"done": None, "total": None, "seconds_left": None}, "for 6.5 min"),
        ({"gpus": ()}, "3.1 GB"),
        ({"sample": None, "seeds": None}, "tracing"),
        ({"description": "evil\x1b[2J\rtracing"}, "tracing: maze-3 seed 0-3"),
        ({"words": ("trace", "--prompt", "two\nlines")}, "trace --prompt two lines"),
        ({"state": State.CANCELLING}, "cancelling"),
    ],
)
def test_what_a_line_says(changes: dict[str, Any], said: str) -> None:
    _, _, row = printed(replace(RUNNING, **changes), width=200)
    assert said in row
    assert "\x1b" not in row
