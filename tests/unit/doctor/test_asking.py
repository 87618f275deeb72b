"""Questions side by side: limits of time, failures, and what is told of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosinterp.doctor import QUESTIONS, Circumstances, Examination, Finding, Question, examine
from cosinterp.doctor.finding import is_fine
from cosinterp.doctor.questions import GROUPS

NOW = Circumstances(Path(), {})


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """Is set at the end, so that no thread stays behind."""
    event = threading.Event()
    yield event
    event.set()


def question(name: str, *findings: Finding, **more: object) -> Question:
    return Question(name=name, group="here", ask=lambda _: iter(findings), **more)  # type: ignore[arg-type]


def test_what_hangs_is_told_after_its_limit_and_holds_nothing_else_up(never: threading.Event) -> None:
    def hang(_: Circumstances) -> Iterator[Finding]:
        yield is_fine("first", "known")
        never.wait()
        yield is_fine("second", "too late")

    slow = Question(name="slow", group="here", ask=hang, limit=0.2, needed=True)
    begun = time.monotonic()
    found = list(examine(NOW, [slow, question("quick", is_fine("quick", "1"))]))
    assert time.monotonic() - begun < 5
    by_name = {finding.name: finding for finding in found}
    assert list(by_name)[-1] == "slow"
    assert by_name.keys() == {"first", "quick", "slow"}
    assert (by_name["slow"].state, by_name["slow"].value) == ("unknown", "no answer within 0.2 s")
    assert by_name["slow"].is_lacking
    assert not by_name["first"].is_lacking


def test_an_error_is_what_was_found() -> None:
    def fail(_: Circumstances) -> Iterator[Finding]:
        yield is_fine("half", "known")
        raise ValueError("two\n  lines")

    found = list(examine(NOW, [Question(name="broken", group="here", ask=fail)]))
    assert [(finding.name, finding.state, finding.value) for finding in found] == [
        ("half", "ok", "known"),
        ("broken", "unknown", "ValueError: two lines"),
    ]
    assert all(finding.group == "here" for finding in found)
    assert not found[1].is_lacking


def test_findings_come_while_others_are_awaited(never: threading.Event) -> None:
    def wait(_: Circumstances) -> Iterator[Finding]:
        never.wait(30)
        yield is_fine("late", "1")

    examination = examine(
        NOW, [Question(name="late", group="here", ask=wait), question("early", is_fine("early", "1"))]
    )
    findings = iter(examination)
    assert next(findings).name == "early"
    assert "late" in [one.name for one in examination.open]
    never.set()
    assert [finding.name for finding in findings] == ["late"]
    assert examination.open == ()


def test_what_wants_to_be_alone_is_asked_last() -> None:
    running = []

    def busy(_: Circumstances) -> Iterator[Finding]:
        running.append("busy")
        time.sleep(0.1)
        running.remove("busy")
        yield is_fine("busy", "1")

    def alone(_: Circumstances) -> Iterator[Finding]:
        yield is_fine("alone", str(running))

    questions = [
        Question(name="alone", group="here", ask=alone, alone=True),
        Question(name="busy", group="here", ask=busy),
    ]
    assert [(one.name, one.value) for one in examine(NOW, questions)] == [("busy", "1"), ("alone", "[]")]


def test_the_home_folder_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    told = Finding(
        name="a",
        state="note",
        value="/home/somebody/x",
        meaning="in /home/somebody",
        advice="rm /home/somebody",
    )
    (found,) = Examination(NOW, [question("a", told)])
    assert (found.value, found.meaning, found.advice) == ("~/x", "in ~", "rm ~")


def test_every_question_has_a_name_of_its_own_and_a_known_group() -> None:
    names = [one.name for one in QUESTIONS]
    assert len(set(names)) == len(names)
    assert tuple(dict.fromkeys(one.group for one in QUESTIONS)) == GROUPS
