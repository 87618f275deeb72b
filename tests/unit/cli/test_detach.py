"""--detach: which commands have it, the words that a job gets, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import COMMANDS, app
from cosinterp.cli.lazy import Command, Group
from cosinterp.errors import JobError
from cosinterp.jobs import launching
from cosinterp.jobs.job import Job
from cosinterp.jobs.spec import JobSpec
from tests.unit.cli.kept_jobs import keep

TRACE = ("trace", "--model", "maze-wan", "--dataset", "mazes", "--store", "runs/first")
LONG = (
    *("trace", "patch", "ablate", "steer", "attribute", "noise", "replay", "probe", "score", "maps"),
    *("convergence", "similarity", "ensemble", "compare", "experiment", "reproduce", "decode"),
    *("export-videos", "verify", "store verify", "store export", "store merge"),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COSINTERP_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[JobSpec]:
    """The specs of jobs that are launched, none of which is."""
    specs: list[JobSpec] = []

    def submit(spec: JobSpec) -> Job:
        specs.append(spec)
        return Job(keep(f"job-{len(specs)}", words=spec.words))

    monkeypatch.setattr(launching, "submit", submit)
    return specs


def run(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "300"}).invoke(app, list(words))


def entries() -> Iterator[tuple[str, Command]]:
    for entry in COMMANDS:
        if isinstance(entry, Group):
            yield from ((f"{entry.name} {inner.name}", inner) for inner in entry.entries)
        else:
            yield entry.name, entry


def test_every_long_command_can_be_detached() -> None:
    assert {name for name, command in entries() if command.detachable} >= set(LONG)


def test_no_command_about_jobs_or_with_a_question_can_be_detached() -> None:
    detachable = {name for name, command in entries() if command.detachable}
    assert not {name for name in detachable if name.startswith("jobs ")}
    assert not detachable & {"tui", "store rm", "results rm"}


@pytest.mark.parametrize("name", LONG)
def test_its_flags_stand_in_a_panel_of_their_own(name: str) -> None:
    (command,) = (command for known, command in entries() if known == name)
    flags = {flag: one for one in command.load().params for flag in one.opts}
    assert {flags[flag].rich_help_panel for flag in ("--detach", "--job-name")} == {"Job"}


def test_a_command_that_is_not_long_has_no_such_flag() -> None:
    result = run("store", "ls", "somewhere", "--detach")
    assert result.exit_code == 2
    assert "No such option: --detach" in result.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ((*TRACE, "--detach"), TRACE),
        (("trace", "--detach", *TRACE[1:]), TRACE),
        ((*TRACE, "--detach", "--job-name", "mine"), TRACE),
        ((*TRACE, "--job-name=mine", "--detach"), TRACE),
        # The value of a flag is a value, whatever it looks like.
        ((*TRACE, "--name", "--detach", "--detach"), (*TRACE, "--name", "--detach")),
        ((*TRACE, "--name=--job-name", "--detach"), (*TRACE, "--name=--job-name")),
        ((*TRACE, "--detach", "--no-video", "--resume"), (*TRACE, "--no-video", "--resume")),
        (
            (*TRACE, "--detach", "--reduce=mean", "--reduce", "norm"),
            (*TRACE, "--reduce=mean", "--reduce", "norm"),
        ),
        (("verify", "--detach", "maze-wan"), ("verify", "maze-wan")),
        (("verify", "--detach", "--", "--detach"), ("verify", "--", "--detach")),
        (("store", "export", "--detach", "runs", "out.h5"), ("store", "export", "runs", "out.h5")),
        (
            (*TRACE, "--prompt", "a; rm -rf $HOME `x`\n'", "--detach"),
            (*TRACE, "--prompt", "a; rm -rf $HOME `x`\n'"),
        ),
        # It is the launch that is told as JSON.
        (("probe", "runs", "--target", "path", "--json", "--detach"), ("probe", "runs", "--target", "path")),
    ],
)
def test_the_words_of_the_job(
    launched: list[JobSpec], home: Path, line: tuple[str, ...], words: tuple[str, ...]
) -> None:
    result = run(*line)
    assert result.exit_code == 0, result.output
    assert [spec.words for spec in launched] == [words]
    assert launched[0].cwd == str(home)


def test_the_name_of_the_job(launched: list[JobSpec]) -> None:
    run(*TRACE, "--detach", "--job-name", "mine")
    run(*TRACE, "--detach")
    assert [spec.name for spec in launched] == ["mine", None]


def test_the_id_alone_is_on_standard_output(launched: list[JobSpec]) -> None:
    result = run(*TRACE, "--detach")
    assert result.stdout == "job-1\n"
    assert result.stderr.splitlines() == [
        "job job-1 runs, and goes on without this terminal",
        "  works on:  /data/runs/first",
        "  follow it: cosinterp jobs logs -f job-1",
        "  cancel it: cosinterp jobs cancel job-1",
    ]


def test_json_is_the_status_of_the_job(launched: list[JobSpec]) -> None:
    told = json.loads(run("probe", "runs", "--target", "path", "--detach", "--json").stdout)
    assert (told["id"], told["state"]) == ("job-1", "running")
    assert told["words"] == ["probe", "runs", "--target", "path"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ((*TRACE, "--detach", "--dry-run"), "error: --dry-run makes nothing"),
        ((*TRACE, "--job-name", "mine"), "error: --job-name is the name of a job: give --detach"),
        ((*TRACE, "--detach", "--batch", "none"), "Invalid value for '--batch'"),
        (("trace", "--detach", "--store", "runs"), "Missing option '--model'"),
        ((*TRACE, "--detach", "--layerz", "3"), "No such option: --layerz"),
    ],
)
def test_what_is_wrong_with_the_words_is_said_at_launch(
    launched: list[JobSpec], line: tuple[str, ...], said: str
) -> None:
    result = run(*line)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert launched == []


def test_a_job_that_fails_at_once_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def submit(spec: JobSpec) -> Job:
        raise JobError("mazes: no such dataset")

    monkeypatch.setattr(launching, "submit", submit)
    result = run(*TRACE, "--detach")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: mazes: no such dataset\n"


def test_without_the_flag_the_command_runs_here(launched: list[JobSpec], home: Path) -> None:
    result = run("store", "verify", str(home))
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {home}: ")
    assert launched == []


def test_a_waiting_job_says_what_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        launching, "submit", lambda spec: Job(keep("job-1", phase="queued", why="1 job on GPU 0"))
    )
    assert run(*TRACE, "--detach").stderr.startswith("job job-1 waits: 1 job on GPU 0\n")
