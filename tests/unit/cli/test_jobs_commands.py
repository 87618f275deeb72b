"""What the commands on jobs say and refuse, of job folders that are made by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app, store_rm
from cosinterp.cli.jobs_named import completing
from cosinterp.jobs.events import Event
from tests.unit.cli.kept_jobs import CREATED, WORDS, keep

ROOT = Path(__file__).parents[3]


def event(name: str, after: float = 0, attempt: int = 1, **details: object) -> Event:
    return Event(CREATED + after, name, attempt, details)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COSINTERP_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def three() -> None:
    """A job that finished, one that failed, and one that runs, in this order."""
    keep(
        "trace-1009-kite",
        events=(event("submitted"), event("started", 1), event("finished", 61)),
        log="a\nb\nc\n",
    )
    failed = event("failed", 4, message="runs: no store here\nmake one", exit_code=2)
    keep("probe-1009-oak", created=CREATED + 1, events=(event("submitted", 1), event("started", 2), failed))
    keep(
        "trace-1010-elm",
        created=CREATED + 2,
        events=(event("submitted", 2), event("started", 3)),
        started=CREATED + 3,
        devices=["GPU 0"],
        progress={"description": "tracing", "done": 6, "total": 24, "unit": "steps", "rate": 0.5}
        | {"seconds_left": 36.0, "sample": "maze-3", "seeds": "0-3"},
        machine={"host_memory": 3_000_000_000, "gpus": [{"index": 0, "memory": 4e10, "utilization": 97}]},
    )


def jobs(*words: str, width: int = 80) -> Result:
    return CliRunner(env={"COLUMNS": str(width)}).invoke(app, ["jobs", *words])


def rows(result: Result) -> list[str]:
    """The first two words of each line of a table."""
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    return [" ".join(line[:2]) for line in lines[2:]]


def test_no_jobs_is_no_error() -> None:
    result = jobs("ls")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "no job yet: give a long command --detach\n"
    assert json.loads(jobs("ls", "--json").stdout) == []


@pytest.mark.usefixtures("three")
def test_the_newest_job_comes_first() -> None:
    assert rows(jobs("ls")) == ["trace-1010-elm running", "probe-1009-oak failed", "trace-1009-kite finished"]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("states", "shown"),
    [
        ("running", ["trace-1010-elm running"]),
        ("failed,finished", ["probe-1009-oak failed", "trace-1009-kite finished"]),
        ("failed, out-of-memory", ["probe-1009-oak failed"]),
    ],
)
def test_jobs_are_listed_by_state(states: str, shown: list[str]) -> None:
    assert rows(jobs("ls", "--state", states)) == shown


@pytest.mark.usefixtures("three")
def test_an_unknown_state_is_an_error_that_names_all() -> None:
    result = jobs("ls", "--state", "dead")
    assert result.exit_code == 2
    assert "no state 'dead'; states are queued, running," in result.stderr


def test_of_many_ended_jobs_the_newest_are_shown_and_the_others_counted() -> None:
    keep("old-but-alive", created=CREATED - 1)
    for number in range(25):
        keep(f"job-{number:02}", created=CREATED + number, events=(event("finished", number),))
    result = jobs("ls")
    assert len(rows(result)) == 21
    assert rows(result)[-1] == "old-but-alive running"
    assert result.stderr == "and 5 older jobs: --all\n"
    assert len(rows(jobs("ls", "--all"))) == 26
    assert len(json.loads(jobs("ls", "--json").stdout)) == 26


@pytest.mark.usefixtures("three")
def test_a_damaged_folder_hides_no_other(home: Path) -> None:
    (home / "jobs" / "probe-1009-oak" / "spec.json").write_text("{")
    result = jobs("ls")
    assert rows(result) == ["trace-1010-elm running", "trace-1009-kite finished"]
    assert result.stderr.startswith("warning: ")
    assert "this is no spec of a job" in result.stderr


@pytest.mark.usefixtures("three")
def test_the_shape_of_the_json_of_a_job() -> None:
    told = json.loads(jobs("show", "elm", "--json").stdout)
    assert told["words"] == list(WORDS)
    assert (told["state"], told["done"], told["total"], told["unit"]) == ("running", 6, 24, "steps")
    assert (told["sample"], told["seeds"], told["seconds_left"]) == ("maze-3", "0-3", 36.0)
    assert (told["host_memory"], told["gpus"][0]["memory"]) == (3_000_000_000, 4e10)
    assert told["command"] == f"cd /data && cosinterp {' '.join(WORDS)}"
    assert told["works_on"] == "/data/runs/first"
    assert [one["state"] for one in told["attempts"]] == [None]


@pytest.mark.usefixtures("three")
def test_what_is_shown_of_a_running_job() -> None:
    head, *lines = jobs("show", "trace-1010").stdout.splitlines()
    said = dict(line.strip().split("  ", 1) for line in lines)
    said = {name: text.strip() for name, text in said.items()}
    assert head == "trace-1010-elm"
    assert said["state"] == "running"
    assert said["doing"] == "tracing, maze-3 seed 0-3"
    assert said["done"] == "6 of 24 steps (25%), 2 s/step, about 36 s left"
    assert said["memory"] == "3.0 GB of the host; GPU 0: 40.0 GB, 97 % busy"
    assert said["works on"] == "/data/runs/first"
    assert said["command"] == f"cd /data && cosinterp {' '.join(WORDS)}"
    assert said["log"] == "cosinterp jobs logs -f trace-1010-elm"
    assert "to go on" not in said


def test_every_attempt_is_told() -> None:
    events = (
        *(event("submitted"), event("started", 1), event("killed", 61, message="killed by SIGKILL")),
        *(event("submitted", 70, 2), event("started", 71, 2), event("cancelled", 80, 2)),
    )
    keep("trace-1009-kite", events=events)
    said = jobs("show", "last").stdout
    attempts = [line.split(": ", 1)[1] for line in said.splitlines() if "  attempt " in line]
    assert attempts == ["killed by SIGKILL after 60 s", "cancelled after 9 s"]
    assert "  to go on   cosinterp jobs resume trace-1009-kite" in said.splitlines()


@pytest.mark.parametrize(
    ("words", "target"),
    [
        (("probe", "runs", "--target", "path"), "/data/runs"),
        (("store", "export", "runs", "out.h5"), "/data/out.h5"),
        (("store", "merge", "all", "a", "b"), "/data/all"),
        (("reproduce", "--out", "/data/page"), "/data/page"),
        (("verify", "maze-wan"), None),
        (("no-such", "command"), None),
        (("trace", "--store", "s", "--flag-of-a-later-version", "3"), "/data/s"),
    ],
)
def test_what_a_command_works_on(words: tuple[str, ...], target: str | None) -> None:
    keep("job-1", words=words)
    assert json.loads(jobs("show", "job-1", "--json").stdout)["works_on"] == target


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("name", ["trace-1009-kite", "trace-1009", "kite"])
def test_a_job_is_named_by_what_it_alone_begins_or_ends_with(name: str) -> None:
    assert jobs("logs", name).stdout == "a\nb\nc\n"


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("name", "said"), [("trace", "trace-1009-kite, trace-1010-elm"), ("ash", 'there is no job "ash"')]
)
def test_a_name_of_none_or_several_is_an_error(name: str, said: str) -> None:
    for command in ("show", "logs", "cancel", "resume", "rm", "wait"):
        result = jobs(command, name)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr


def test_last_is_the_job_that_was_asked_for_last() -> None:
    assert "there is no job yet" in jobs("logs", "last").stderr
    keep("b", created=CREATED + 9, events=(event("finished"),), log="new\n")
    keep("a", events=(event("finished"),), log="old\n")
    assert jobs("logs", "last").stdout == "new\n"


@pytest.mark.usefixtures("three")
def test_the_last_lines_of_a_log() -> None:
    assert jobs("logs", "kite", "--tail", "2").stdout == "b\nc\n"


@pytest.mark.usefixtures("three")
def test_following_an_ended_job_says_how_it_ended() -> None:
    assert jobs("logs", "-f", "kite").stderr == "trace-1009-kite: finished\n"
    assert jobs("logs", "-f", "oak").stderr.splitlines() == [
        "probe-1009-oak: failed: runs: no store here",
        "  to go on: cosinterp jobs resume probe-1009-oak",
    ]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("kite",), 0, "trace-1009-kite: finished\n"),
        (("kite", "oak"), 1, "probe-1009-oak: failed: runs: no store here\n"),
        (("elm", "--timeout", "0"), 124, "trace-1010-elm: running\n"),
    ],
)
def test_waiting_says_by_its_exit_code_how_it_ended(words: tuple[str, ...], code: int, said: str) -> None:
    result = jobs("wait", *words)
    assert result.exit_code == code
    assert said in result.stdout


@pytest.mark.usefixtures("three")
def test_what_has_ended_cannot_be_cancelled() -> None:
    result = jobs("cancel", "kite", "oak")
    assert (result.exit_code, result.stdout) == (2, "")
    assert [line.split(";")[0] for line in result.stderr.splitlines()] == [
        "error: trace-1009-kite is finished already",
        "error: probe-1009-oak is failed already",
    ]


@pytest.mark.usefixtures("three")
def test_what_is_finished_cannot_be_resumed() -> None:
    result = jobs("resume", "kite")
    assert result.exit_code == 2
    assert "trace-1009-kite is finished" in result.stderr


@pytest.mark.usefixtures("three")
def test_a_running_job_is_not_removed_nor_any_that_is_named_with_it(home: Path) -> None:
    result = jobs("rm", "--yes", "kite", "elm")
    assert result.exit_code == 2
    assert "error: trace-1010-elm is running; cancel it first. Nothing removed" in result.stderr
    assert len(list((home / "jobs").iterdir())) == 3


@pytest.mark.usefixtures("three")
def test_one_job_is_removed_without_a_question(home: Path) -> None:
    assert jobs("rm", "oak").stdout == "removed probe-1009-oak\n"
    assert not (home / "jobs" / "probe-1009-oak").exists()


@pytest.mark.usefixtures("three")
def test_several_are_removed_only_if_that_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = jobs("rm", "kite", "oak")
    assert result.exit_code == 2
    assert "to remove 2 jobs without being asked, give --yes" in result.stderr
    monkeypatch.setattr(store_rm, "can_ask", lambda: True)
    asked = CliRunner().invoke(app, ["jobs", "rm", "kite", "oak"], input="n\n")
    assert (asked.exit_code, len(list((home / "jobs").iterdir()))) == (1, 3)
    assert "trace-1009-kite\n  probe-1009-oak\n" in asked.stderr
    agreed = CliRunner().invoke(app, ["jobs", "rm", "kite", "oak"], input="y\n")
    assert agreed.stdout.endswith("removed 2 jobs\n")
    assert [path.name for path in (home / "jobs").iterdir()] == ["trace-1010-elm"]


@pytest.mark.usefixtures("three")
def test_all_that_finished_are_removed_and_no_other(home: Path) -> None:
    keep("trace-1009-ivy", events=(event("finished", 61),))
    told = json.loads(jobs("rm", "--finished", "--yes", "--json").stdout)
    assert sorted(told["jobs"]) == ["trace-1009-ivy", "trace-1009-kite"]
    assert sorted(path.name for path in (home / "jobs").iterdir()) == ["probe-1009-oak", "trace-1010-elm"]
    assert jobs("rm", "--finished").stdout == "removed 0 jobs\n"


@pytest.mark.parametrize("words", [(), ("kite", "--finished")])
def test_which_are_to_be_removed_has_to_be_said(words: tuple[str, ...]) -> None:
    assert "say which jobs" in jobs("rm", *words).stderr


@pytest.mark.usefixtures("three")
def test_ids_are_completed_by_what_a_command_can_do_with_them() -> None:
    every = completing(lambda status: True)
    assert [name for name, _ in every("")] == ["trace-1010-elm", "probe-1009-oak", "trace-1009-kite"]
    assert every("pro") == [("probe-1009-oak", f"failed: {' '.join(WORDS)}")]


@pytest.mark.usefixtures("three")
def test_the_shell_completes_ids(home: Path) -> None:
    """Those that can be cancelled: the other two have ended."""
    script = {
        "_COSINTERP_COMPLETE": "complete_bash",
        "COMP_CWORD": "3",
        "COMP_WORDS": "cosinterp jobs cancel ",
    }
    code = "import sys; sys.argv[0] = 'cosinterp'; from cosinterp.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **script},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["trace-1010-elm"]
