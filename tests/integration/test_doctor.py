"""``cosinterp doctor`` as users run it: the page, JSON, exit codes, and that it loads and leaves nothing."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import cosinterp
from cosinterp import doctor
from cosinterp.cli import app
from cosinterp.cli.console import err, out
from cosinterp.doctor import Circumstances, Finding, Question
from cosinterp.doctor.finding import is_fine, is_lacking, is_noted

ROOT = Path(__file__).parents[2]
LONG = "A sentence that is long enough to be broken, with words such as and so on. " * 2
Asked = Callable[..., None]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Sets the questions that are asked: one for each group of findings."""

    def of(**groups: list[Finding]) -> None:
        questions = [
            Question(name=group, group=group, ask=lambda _, found=found: iter(found))
            for group, found in groups.items()
        ]
        monkeypatch.setattr(doctor, "QUESTIONS", questions)
        monkeypatch.setattr(doctor, "examine", lambda where: doctor.Examination(where, questions))

    return of


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A terminal of 80 columns without colours."""
    for name, value in {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "xterm", "TTY_COMPATIBLE": "1"}.items():
        monkeypatch.setenv(name, value)
    out.cache_clear()
    err.cache_clear()
    yield
    out.cache_clear()
    err.cache_clear()


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["doctor", *map(str, words)])


MIXED = {
    "software": [is_fine("Python", "3.11.7", "It runs.", needed=True)],
    "disk": [
        is_noted("folder", "[red]/data: " + "x " * 60, LONG, LONG),
        is_lacking("writing", "Permission denied", LONG, "Name another folder.", needed=True),
        is_lacking("file locks", "none", LONG, LONG),
    ],
}


@pytest.mark.usefixtures("narrow")
def test_the_page_fits_80_columns_and_reads_without_colour(asked: Asked) -> None:
    asked(**MIXED)
    result = run()
    assert result.exit_code == 1, result.output
    # Bold is no colour.
    lines = re.sub(r"\x1b\[[01]m", "", result.stdout).splitlines()
    assert "\x1b" not in "".join(lines)
    assert max(map(len, lines)) <= 80
    assert lines[0] == "software"
    assert lines[1] == "  ok    Python          3.11.7"
    assert lines[2] == "disk"
    assert lines[3].startswith("  note  folder          [red]/data: x x")
    assert "  LACK  writing         Permission denied" in lines
    assert lines.count("        Do: Name another folder.") == 1
    assert lines[-1] == "1 ok, 1 note, 2 lacks; needed and lacking: writing."


def test_in_a_pipe_no_line_is_broken_and_nothing_is_coloured(asked: Asked) -> None:
    asked(**MIXED)
    result = run()
    assert f"        {LONG}" in result.stdout
    assert "\x1b" not in result.output
    assert result.stderr == ""


def test_what_only_some_commands_use_is_no_failure(asked: Asked) -> None:
    asked(disk=[is_lacking("file locks", "none", "a", "b"), is_fine("writing", "yes", needed=True)])
    result = run()
    assert result.exit_code == 0
    assert result.stdout.endswith("1 ok, 0 notes, 1 lack; all that is needed works.\n")


def test_what_is_needed_and_could_not_be_found_out_is_a_failure(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Circumstances) -> Iterator[Finding]:
        raise OSError(5, "Input/output error")

    broken = [Question(name="folder", group="disk", ask=fail, needed=True)]
    monkeypatch.setattr(doctor, "QUESTIONS", broken)
    monkeypatch.setattr(doctor, "examine", lambda where: doctor.Examination(where, broken))
    result = run()
    assert result.exit_code == 1
    assert "?     folder          OSError: [Errno 5] Input/output error" in result.stdout
    assert "1 unknown; needed and lacking: folder." in result.stdout


def test_findings_stand_in_the_order_of_the_questions(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(a=[is_fine("first", "1")], b=[is_fine("second", "2")])
    questions = list(reversed(doctor.QUESTIONS))
    monkeypatch.setattr(doctor, "examine", lambda where: doctor.Examination(where, questions))
    lines = run().stdout.splitlines()
    assert [line.split()[-1] for line in lines[:4]] == ["a", "1", "b", "2"]


def test_json_is_one_object_that_names_nobody(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    asked(disk=[is_lacking("folder", "/home/somebody/x", "none", "ls /home/somebody", needed=True)])
    result = run("/home/somebody/x", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "cosinterp": cosinterp.__version__,
        "path": "~/x",
        "works": False,
        "lacking": ["folder"],
        "checks": [
            {
                "name": "folder",
                "group": "disk",
                "state": "lack",
                "needed": True,
                "value": "~/x",
                "meaning": "none",
                "advice": "ls ~",
            }
        ],
    }


def test_a_page_that_the_terminal_cannot_encode_is_still_printed(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom cosinterp.cli.doctor import print_page\nfrom cosinterp import doctor\n"
        "from cosinterp.doctor.finding import is_fine\n"
        "ask = lambda where: iter([is_fine('folder', '/data/grün ✓')])\n"
        "doctor.QUESTIONS = [doctor.Question(name='q', group='disk', ask=ask)]\n"
        "doctor.examine = lambda where: doctor.Examination(where, doctor.QUESTIONS)\n"
        "from cosinterp.cli import app\nsys.argv = ['cosinterp', 'doctor']\napp()"
    )
    done = fresh("-c", code, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert r"/data/gr\xfcn \u2713" in done.stdout


def test_what_hangs_does_not_keep_the_command_from_ending() -> None:
    code = (
        "import sys, threading\nfrom cosinterp import doctor\n"
        "def hang(where):\n    threading.Event().wait()\n    yield\n"
        "doctor.QUESTIONS = [doctor.Question(name='disk', group='disk', ask=hang, limit=0.2, needed=True)]\n"
        "doctor.examine = lambda where: doctor.Examination(where, doctor.QUESTIONS)\n"
        "from cosinterp.cli import app\nsys.argv = ['cosinterp', 'doctor']\napp()"
    )
    done = fresh("-c", code)
    assert done.returncode == 1, done.stderr
    assert "no answer within 0.2 s" in done.stdout


def fresh(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environ,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


SECRETS = {"HF_TOKEN": "hf_verysecret", "RAY_ADDRESS": "not-an-address-of-mine"}


def test_all_of_it_in_a_fresh_process(tmp_path: Path) -> None:
    """Every question on this machine: answered, in JSON, without torch in the process, and nothing left."""
    store, home = tmp_path / "store", tmp_path / "home"
    code = (
        "import sys\nfrom cosinterp.cli import app\n"
        f"sys.argv = ['cosinterp', 'doctor', {str(store)!r}, '--json']\n"
        "try:\n    app()\nfinally:\n"
        "    sys.stderr.write(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = fresh(
        "-c", code, COSINTERP_HOME=str(home), HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path / "hf"), **SECRETS
    )
    told: dict[str, Any] = json.loads(done.stdout)
    by_name = {check["name"]: check for check in told["checks"]}
    assert len(by_name) == len(told["checks"])
    assert all(
        check.keys() == Finding(name="a", state="ok", value="b").as_data().keys()
        for check in by_name.values()
    )
    assert {check["state"] for check in by_name.values()} <= {"ok", "note", "lack"}
    assert {check["group"] for check in by_name.values()} == set(doctor.GROUPS)
    # A GPU that this torch cannot use would be one.
    assert set(told["lacking"]) <= {"torch on GPUs"}
    assert (done.returncode, told["works"]) == ((1, False) if told["lacking"] else (0, True))
    expected = {"Python", "torch", "nnsight", "HDF5", "ffmpeg", "driver", "torch loads", "torch on GPUs"}
    expected |= {"memory", "cores", "/dev/shm", "open files", "encoding", "folder", "writing", "file locks"}
    expected |= {"write speed", "terminal", "colours", "pictures", "hub cache", "hub", "hub token"}
    assert expected | {"job folders", "slots", "Ray", "cluster"} <= by_name.keys()
    assert by_name["hub"]["value"].startswith("offline")
    assert not any(secret in done.stdout for secret in SECRETS.values())
    assert {"torch", "diffusers", "transformers", "textual"}.isdisjoint(done.stderr.split())
    assert list(tmp_path.iterdir()) == []
