"""Times, rates and ends of jobs in words."""

from __future__ import annotations

import os
import subprocess

import pytest

from cosinterp.jobs.spec import JobSpec
from cosinterp.jobs.texts import command_text, one_line, outcome_text, pasteable, rate_text, span_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0.4, "0 s"),
        (89.4, "89 s"),
        (90, "1.5 min"),
        (3000, "50 min"),
        (5400, "1.5 h"),
        (86_400, "24 h"),
        (129_600, "1.5 d"),
        (3e6, "35 d"),
    ],
)
def test_a_span_of_time(seconds: float, text: str) -> None:
    assert span_text(seconds) == text
    assert len(text) <= 7


@pytest.mark.parametrize(
    ("rate", "unit", "text"),
    [
        (None, "steps", ""),
        (0.0, "steps", ""),
        (1234.5, "rows", "1,234 rows/s"),
        (2.0, None, "2.0/s"),
        (0.02, None, "50 s/part"),
    ],
)
def test_a_rate(rate: float | None, unit: str | None, text: str) -> None:
    assert rate_text(rate, unit) == text


@pytest.mark.parametrize(
    ("state", "message", "text"),
    [
        ("finished", None, "finished after 3 s"),
        ("failed", "no such dataset\nmore", "failed after 3 s: no such dataset"),
        ("killed", "killed by SIGKILL", "killed by SIGKILL after 3 s"),
        ("out_of_memory", "Out of memory: 2 GB", "Out of memory: 2 GB after 3 s"),
        ("crashed", "\x1b[31mKeyError: 3\x1b[0m", "crashed after 3 s: KeyError: 3"),
    ],
)
def test_an_end_says_its_reason_once(state: str, message: str | None, text: str) -> None:
    assert outcome_text(state, message, " after 3 s") == text


def test_a_message_is_one_line() -> None:
    assert one_line("  first\nsecond") == "first"
    assert one_line(None) == ""


def test_what_repeats_a_command_survives_a_shell() -> None:
    spec = JobSpec(words=("trace", "--prompt", "it's $HOME; two\nlines"), cwd="/my data")
    assert pasteable(spec) == ("cd '/my data' && cosinterp trace --prompt 'it'\"'\"'s $HOME; two\nlines'")


def test_a_command_that_would_change_the_terminal_is_shown_by_its_escapes_and_can_be_pasted() -> None:
    words = ("mazes", "\x1b]0;it's\x07", "a\\x1b\x9b", "naïve \udcff", "plain")
    text = command_text(words)
    assert text.isprintable()
    assert text.startswith(r"cosinterp mazes $'\x1b]0;it\'s\x07' ")
    said = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {text}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert said.stdout.split(b"\0")[:-1] == [os.fsencode(word) for word in ("cosinterp", *words)]
