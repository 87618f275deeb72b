"""The terminal: what it can show, told by the environment alone.

The terminal itself is asked nothing: an answer over a slow line comes late and lands among what is typed, and
one that never comes would be waited for. tmux is asked, by a command of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cosinterp.doctor.asking import Circumstances
from cosinterp.doctor.finding import Finding, is_fine, is_lacking, is_noted, is_unknown

KITTY, SIXEL, HALF_CELLS = "kitty", "sixel", "half cells"
_TEXT = {KITTY: "Kitty's protocol", SIXEL: "sixel", HALF_CELLS: "half cells (coloured text)"}
_SMALLEST = (80, 24)
# Names in TERM and TERM_PROGRAM of terminals that draw pictures by themselves.
_KITTY_NAMES = ("kitty", "ghostty", "wezterm")
_SIXEL_NAMES = ("foot", "mlterm", "contour", "mintty", "iterm")
_COLOURS = {"truecolor": "16 million", "256": "256", "standard": "16", "windows": "16"}
_QUESTION = "\t".join(("#{version}", "#{allow-passthrough}", "#{client_termfeatures}", "#{client_termname}"))
_TMUX_SECONDS = 3.0


def pictures(environ: Mapping[str, str]) -> str:
    """How pictures can be shown: `KITTY`, `SIXEL` or `HALF_CELLS`, which any terminal with colours shows.

    Within tmux and screen half cells, whatever is around them: they pass nothing else on by default.
    """
    if "TMUX" in environ or "STY" in environ:
        return HALF_CELLS
    names = f"{environ.get('TERM', '')} {environ.get('TERM_PROGRAM', '')}".lower()
    if "KITTY_WINDOW_ID" in environ or any(name in names for name in _KITTY_NAMES):
        return KITTY
    # Konsole has had Kitty's protocol since 22.04.
    if environ.get("KONSOLE_VERSION", "").isdigit() and int(environ["KONSOLE_VERSION"]) >= 220400:
        return KITTY
    if any(name in names for name in _SIXEL_NAMES):
        return SIXEL
    return HALF_CELLS


def terminal(circumstances: Circumstances) -> Iterator[Finding]:
    """Kind and size, colours, pictures, and whether it is at the other end of a line."""
    environ = circumstances.environ
    yield _kind(environ)
    yield _colours(environ)
    yield _pictures(environ)
    yield from _line(environ)


def tmux(circumstances: Circumstances) -> Iterator[Finding]:
    """What tmux is, and what it passes on to the terminal around it."""
    environ = circumstances.environ
    if "TMUX" not in environ:
        if "STY" in environ:
            meaning = "GNU screen keeps programs when a line drops; it passes on 256 colours at most."
            yield is_noted("screen", "inside screen", meaning, "tmux passes on more.")
        return
    try:
        told = _ask_tmux(environ)
    except (OSError, subprocess.SubprocessError) as error:
        advice = "Is the tmux of this session in the PATH? Run: tmux -V"
        yield is_unknown("tmux", f"does not answer: {error}", "What it passes on is not known.", advice)
        return
    yield _true_colour(told, environ)
    yield _passthrough(told)


@dataclass(frozen=True)
class Tmux:
    """What tmux says: its version, whether it passes sequences on, what the terminal around it can do."""

    version: str
    passthrough: bool
    features: frozenset[str]

    @classmethod
    def parsed(cls, text: str) -> Tmux:
        """Of the fields of the question, between tabs."""
        version, passthrough, features, _ = (text.rstrip("\n").split("\t") + [""] * 4)[:4]
        # A flag up to tmux 3.3, a word since.
        passes = passthrough in ("1", "on", "all")
        return cls(version, passes, frozenset(feature for feature in features.split(",") if feature))


def _ask_tmux(environ: Mapping[str, str]) -> Tmux:
    pane = environ.get("TMUX_PANE", "")
    target = ["-t", pane] if pane else []
    done = subprocess.run(
        ["tmux", "display-message", "-p", *target, _QUESTION],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TMUX_SECONDS,
        env=dict(environ),
        check=True,
    )
    return Tmux.parsed(done.stdout)


def _true_colour(told: Tmux, environ: Mapping[str, str]) -> Finding:
    value = f"{told.version}, {'true colour' if 'RGB' in told.features else '256 colours'}"
    if not environ.get("TERM", "").startswith(("tmux", "screen")):
        return is_noted(
            "tmux",
            f"{value}, TERM={environ.get('TERM', '')}",
            "Within tmux TERM has to name tmux; keys and colours may go wrong.",
            "In ~/.tmux.conf: set -g default-terminal tmux-256color; and set no TERM in your shell's files.",
        )
    if "RGB" not in told.features:
        return is_noted(
            "tmux",
            value,
            "Colours are rounded to 256; pictures lose some of theirs.",
            "If the terminal around it has true colour, in ~/.tmux.conf: set -as terminal-features ',*:RGB'",
        )
    return is_fine("tmux", value, "Programs in it go on when the line drops.")


def _passthrough(told: Tmux) -> Finding:
    name = "tmux pictures"
    if "sixel" in told.features:
        return is_fine(name, "sixel", "tmux draws sixel pictures itself, in this terminal.")
    if told.passthrough:
        return is_fine(name, "passthrough on", "Programs can send pictures on to the terminal around tmux.")
    return is_noted(
        name,
        "half cells (passthrough off)",
        "Pictures are coloured text, which works everywhere.",
        "For sharp ones in Kitty and its like: tmux set -g allow-passthrough on (3.3 or newer).",
    )


def _kind(environ: Mapping[str, str]) -> Finding:
    kind, size = environ.get("TERM", ""), terminal_size()
    value = kind or "TERM is not set"
    if size is not None:
        value += f", {size[0]}x{size[1]}"
    if kind in ("", "dumb", "unknown"):
        return is_lacking(
            "terminal",
            value,
            "It can show lines of text and nothing else: no colours, no bars, no terminal app.",
            "Run in a terminal; over SSH with ssh -t; if it is a good one, export TERM=xterm-256color.",
        )
    if size is None:
        return is_noted("terminal", value, "Nothing here is connected to it: output is piped or kept.")
    if size[0] < _SMALLEST[0] or size[1] < _SMALLEST[1]:
        least = "x".join(map(str, _SMALLEST))
        return is_noted("terminal", value, f"Tables and the terminal app want {least}.", "Make it larger.")
    if not sys.stdout.isatty():
        return is_noted("terminal", value, "Output is piped or kept, so it has no colours and no bars.")
    return is_fine("terminal", value, "Large enough for tables and the terminal app.")


def terminal_size() -> tuple[int, int] | None:
    """Columns and lines of the terminal that any of the standard streams is connected to."""
    for stream in (1, 2, 0):
        try:
            size = os.get_terminal_size(stream)
        except OSError:
            continue
        return size.columns, size.lines
    return None


def _colours(environ: Mapping[str, str]) -> Finding:
    from rich.console import Console

    # What rich would print in, which prints all that the command line shows.
    system = Console(force_terminal=True, _environ=environ).color_system
    name = "colours"
    if environ.get("NO_COLOR"):
        return is_noted(name, "none: NO_COLOR is set", "All that is said can be read without.")
    if system is None:
        return is_noted(
            name,
            "none",
            "All that is said can be read without; pictures cannot.",
            "export TERM=xterm-256color",
        )
    count = _COLOURS[system]
    if system == "truecolor":
        return is_fine(name, count, "Maps and pictures are shown as they are.")
    return is_noted(
        name,
        count,
        "Maps and pictures in the terminal are rounded to these.",
        "If your terminal shows more: export COLORTERM=truecolor (ssh does not pass it on by itself).",
    )


def _pictures(environ: Mapping[str, str]) -> Finding:
    kind = pictures(environ)
    if kind == HALF_CELLS:
        meaning = "Two pixels a character; works in every terminal with colours, and over slow lines."
    else:
        meaning = "The terminal draws pictures in its own pixels."
    return is_fine("pictures", _TEXT[kind], meaning)


def _line(environ: Mapping[str, str]) -> Iterator[Finding]:
    if "SSH_CONNECTION" not in environ and "SSH_TTY" not in environ:
        return
    kept = "TMUX" in environ or "STY" in environ
    if kept:
        yield is_fine("SSH", "yes, inside tmux or screen", "What runs here goes on when the line drops.")
    else:
        yield is_noted(
            "SSH",
            "yes",
            "What runs in the foreground ends when the line drops.",
            "--detach makes a job of it that goes on; or run it inside tmux.",
        )
