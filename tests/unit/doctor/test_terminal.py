"""Terminals by their environment: dumb, of few colours, within tmux, at the end of a line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cosinterp.doctor import terminal
from tests.unit.doctor.asked import asked

GOOD = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
INSIDE = {
    "TERM": "tmux-256color",
    "COLORTERM": "truecolor",
    "TMUX": "/tmp/tmux-0/default,1,0",
    "TMUX_PANE": "%0",
}


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 120 x 40 at standard output."""
    monkeypatch.setattr(terminal, "terminal_size", lambda: (120, 40))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)


def test_a_good_terminal_has_nothing_to_note() -> None:
    found = asked(terminal.terminal, environ=GOOD)
    assert {one.state for one in found.values()} == {"ok"}
    assert found["terminal"].value == "xterm-256color, 120x40"
    assert found["colours"].value == "16 million"


@pytest.mark.parametrize("environ", [{"TERM": "dumb"}, {}])
def test_a_dumb_terminal_is_a_lack(environ: dict[str, str]) -> None:
    found = asked(terminal.terminal, environ=environ)["terminal"]
    assert (found.state, found.is_lacking) == ("lack", False)
    assert "TERM=xterm-256color" in found.advice


def test_a_small_terminal_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "terminal_size", lambda: (79, 24))
    assert asked(terminal.terminal, environ=GOOD)["terminal"].state == "note"


def test_output_that_is_piped_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert "piped" in asked(terminal.terminal, environ=GOOD)["terminal"].meaning
    monkeypatch.setattr(terminal, "terminal_size", lambda: None)
    assert asked(terminal.terminal, environ=GOOD)["terminal"].value == "xterm-256color"


@pytest.mark.parametrize(
    ("environ", "value"),
    [
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "xterm"}, "16"),
        ({"TERM": "dumb"}, "none"),
        (GOOD | {"NO_COLOR": "1"}, "none: NO_COLOR is set"),
    ],
)
def test_few_colours_are_noted(environ: dict[str, str], value: str) -> None:
    found = asked(terminal.terminal, environ=environ)["colours"]
    assert (found.state, found.value) == ("note", value)


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        (GOOD, terminal.HALF_CELLS),
        ({"TERM": "xterm-kitty"}, terminal.KITTY),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, terminal.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, terminal.KITTY),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "230800"}, terminal.KITTY),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "211200"}, terminal.HALF_CELLS),
        ({"TERM": "foot"}, terminal.SIXEL),
        ({"TERM": "xterm-kitty", "TMUX": "x"}, terminal.HALF_CELLS),
        ({"TERM": "foot", "STY": "x"}, terminal.HALF_CELLS),
    ],
)
def test_pictures_follow_from_the_environment(environ: dict[str, str], kind: str) -> None:
    assert terminal.pictures(environ) == kind


@pytest.mark.parametrize(("more", "state"), [({}, "note"), ({"TMUX": "x"}, "ok"), ({"STY": "x"}, "ok")])
def test_a_line_that_may_drop_is_noted_unless_something_keeps_programs(
    more: dict[str, str], state: str
) -> None:
    found = asked(terminal.terminal, environ=GOOD | {"SSH_CONNECTION": "10.1.2.3 1 2 3"} | more)["SSH"]
    assert found.state == state
    assert "10.1.2.3" not in str(found)


def tmux(folder: Path, text: str) -> dict[str, str]:
    """An environment within a tmux that does ``text`` when it is asked."""
    program = folder / "tmux"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return INSIDE | {"PATH": f"{folder}:/usr/bin:/bin"}


def test_a_tmux_that_passes_all_on_is_fine(tmp_path: Path) -> None:
    environ = tmux(tmp_path, r"printf '3.5a\ton\tclipboard,RGB,title\txterm-256color\n'")
    found = asked(terminal.tmux, environ=environ)
    assert found["tmux"].value == "3.5a, true colour"
    assert [one.state for one in found.values()] == ["ok", "ok"]


def test_a_tmux_that_passes_little_on_is_noted(tmp_path: Path) -> None:
    found = asked(terminal.tmux, environ=tmux(tmp_path, r"printf '3.3a\t0\ttitle\txterm\n'"))
    assert found["tmux"].value == "3.3a, 256 colours"
    assert "terminal-features" in found["tmux"].advice
    assert found["tmux pictures"].state == "note"
    assert "allow-passthrough" in found["tmux pictures"].advice


def test_a_tmux_that_nobody_looks_at_answers_with_little(tmp_path: Path) -> None:
    assert asked(terminal.tmux, environ=tmux(tmp_path, r"printf '3.2\t\t\t\n'"))["tmux"].state == "note"


def test_a_tmux_that_draws_sixel_needs_no_passthrough(tmp_path: Path) -> None:
    environ = tmux(tmp_path, r"printf '3.6\toff\tRGB,sixel\tfoot\n'")
    assert asked(terminal.tmux, environ=environ)["tmux pictures"].value == "sixel"


def test_within_tmux_term_has_to_say_so(tmp_path: Path) -> None:
    environ = tmux(tmp_path, r"printf '3.5a\ton\tRGB\tx\n'") | {"TERM": "xterm-256color"}
    assert "default-terminal" in asked(terminal.tmux, environ=environ)["tmux"].advice


@pytest.mark.parametrize("text", ["exit 1", "sleep 30"])
def test_a_tmux_that_does_not_answer_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr(terminal, "_TMUX_SECONDS", 0.3)
    assert asked(terminal.tmux, environ=tmux(tmp_path, f"exec {text}"))["tmux"].state == "unknown"


def test_without_tmux_nothing_is_asked(tmp_path: Path) -> None:
    assert asked(terminal.tmux, environ=GOOD) == {}
    assert asked(terminal.tmux, environ=GOOD | {"STY": "1.x"})["screen"].state == "note"
