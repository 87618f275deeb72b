"""What is told of a question, in the process that is there for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cosinterp.rehearsal import answering
from cosinterp.rehearsal.answer import Answer, Plan
from cosinterp.rehearsal.messages import answer_of, as_data
from cosinterp.rehearsal.secrets import without_secrets

SECRET = "hf_neverToBeTold"


@pytest.fixture(autouse=True)
def _folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Questions change it.
    monkeypatch.chdir(tmp_path)


def question(folder: Path, *words: str) -> dict[str, Any]:
    return {"number": 1, "words": list(words), "folder": str(folder), "online": False}


def test_a_bug_is_told_with_its_traceback_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def crash(words: list[str], *, online: bool) -> Answer:
        raise RuntimeError(f"asked with {SECRET}")

    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setattr(answering, "carried_out", crash)
    told = answering.answered(question(tmp_path, "trace"))
    assert not told["ok"]
    assert told["message"] == "a bug in cosinterp: RuntimeError: asked with ***"
    assert 'in crash\n    raise RuntimeError(f"asked with {SECRET}")' in told["bug"]
    assert SECRET not in repr(told)


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    told = answering.answered(question(tmp_path / "gone", "trace"))
    assert (told["ok"], told["message"]) == (False, f"{tmp_path / 'gone'}: No such file or directory")


def test_what_has_no_quick_dry_run_is_parsed_and_not_carried_out(tmp_path: Path) -> None:
    told = answering.answered(question(tmp_path, "mazes", "--out", "made", "--count", "1"))
    assert (told["ok"], told["plan"]) == (True, None)
    told = answering.answered(question(tmp_path, "reproduce", "--out", "made", "--preset", "smoke"))
    assert (told["ok"], told["plan"], os.listdir(tmp_path)) == (True, None, [])


def test_secrets_are_values_of_variables_that_are_called_so() -> None:
    environment = {"HF_TOKEN": SECRET, "MY_API_KEY": SECRET + "2", "TOKEN": "short", "PATH": "/usr/bin/env"}
    said = {"a": [f"x{SECRET}2", 3, None], "b": f"short /usr/bin/env {SECRET}"}
    assert without_secrets(said, environment) == {"a": ["x***", 3, None], "b": "short /usr/bin/env ***"}
    assert without_secrets(said, {}) is said


def test_an_answer_goes_through_json_and_stays_what_it_is() -> None:
    takes = {"runs": 4, "rows": None, "bytes": 10**9, "seconds": 7.5, "gpu_memory": 0, "device": "cpu"}
    plan = Plan.of({"takes": takes, "lines": ["runs  4"], "more": [1]})
    assert (plan.lines, plan.runs, plan.rows, plan.bytes) == (("runs  4",), 4, None, 10**9)
    assert (plan.seconds, plan.gpu_memory, plan.device) == (7.5, 0, "cpu")
    answer = Answer(False, "no", "--seeds", plan, ("a note",), "")
    assert answer_of(as_data(answer)) == answer
