"""``cosinterp doctor``: what this machine has, what it lacks, what that means and what to do."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cosinterp.doctor import Examination, Finding

_STATES = {"ok": ("ok", "green"), "note": ("note", "yellow"), "lack": ("LACK", "bold red")}
_UNKNOWN = ("?", "bold magenta")
_STATE_WIDTH, _NAME_WIDTH = 6, 16
_INDENT = _STATE_WIDTH + _NAME_WIDTH + 2


def doctor(
    path: Annotated[
        Path, typer.Argument(help="The folder that stores are to go into.", show_default="this one")
    ] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Say what this machine has of what cosinterp needs, and for each lack what to do.

    Versions, GPUs and what others hold of them, memory, the disk at PATH (room, kind, locks, a measured
    speed), the terminal, the hub's cache, jobs, Ray. Nothing is fetched from the network, no GPU memory is
    taken, and what is written at PATH (at most 256 MB, for a second) is gone at the end.

    Exit code 1 if something that is needed is lacking: Python and the packages, torch, a GPU that is there
    and that torch cannot use, a folder that cannot be written to, the folder of jobs. What only some
    commands use is a note or a lack, and exit code 0.

    The JSON names no user, machine, address or token, but the folders that are examined and versions: fit
    for a report of a bug.
    """
    from cosinterp.doctor import QUESTIONS, Circumstances, examine

    found = _watched(examine(Circumstances(path)))
    order = [question.name for question in QUESTIONS]
    found.sort(key=lambda finding: order.index(finding.question))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without UTF-8 is one of the things that this page has to be able to say.
        sys.stdout.reconfigure(errors="backslashreplace")
    if as_json:
        from cosinterp.cli.console import print_json

        print_json(as_data(path, found))
    else:
        print_page(found)
    if any(finding.is_lacking for finding in found):
        raise typer.Exit(1)


def as_data(path: Path, found: Sequence[Finding]) -> dict[str, Any]:
    """All findings as JSON takes them."""
    from cosinterp import __version__

    lacking = [finding.name for finding in found if finding.is_lacking]
    home = str(Path.home())
    shown = str(path)
    return {
        "cosinterp": __version__,
        "path": shown.replace(home, "~") if len(home) > 1 else shown,
        "works": not lacking,
        "lacking": lacking,
        "checks": [finding.as_data() for finding in found],
    }


def print_page(found: Sequence[Finding]) -> None:
    """Print the findings by group, and what they come to."""
    from cosinterp.cli.console import out

    group = ""
    for finding in found:
        if finding.group != group:
            group = finding.group
            out().print(f"{group}", style="bold", markup=False)
        _print_finding(finding)
    _print_sum(found)


def _watched(examination: Examination) -> list[Finding]:
    """All findings; says on a terminal what is still being asked."""
    from cosinterp.cli.console import err

    if not err().is_terminal or err().is_dumb_terminal:
        return list(examination)
    found = []
    # Over a slow line each turn of the sign costs.
    with err().status("checking", refresh_per_second=2) as status:
        for finding in examination:
            found.append(finding)
            asked = ", ".join(question.name for question in examination.open)
            status.update(f"checking: {asked}"[: err().width - 4])
    return found


def _print_finding(finding: Finding) -> None:
    from rich.text import Text

    from cosinterp.cli.console import out, print_sentence

    word, style = _STATES.get(finding.state, _UNKNOWN)
    head = Text("  ").append(f"{word:<{_STATE_WIDTH}}", style).append(f"{finding.name:<{_NAME_WIDTH}}")
    first, *further = _wrapped(finding.value, out().width - _INDENT if out().is_terminal else None)
    out().print(head.append(first), soft_wrap=True)
    for line in further:
        out().print(" " * _INDENT + line, markup=False, soft_wrap=True)
    if finding.state != "ok":
        for text in filter(None, (finding.meaning, finding.advice and f"Do: {finding.advice}")):
            print_sentence(out(), text, indent=2 + _STATE_WIDTH, hanging=0)


def _wrapped(text: str, width: int | None) -> list[str]:
    """``text`` in lines of at most ``width`` characters, None: in one."""
    import textwrap

    if width is None:
        return [text]
    lines = textwrap.wrap(text, max(width, 20), break_long_words=False, break_on_hyphens=False)
    return lines or [""]


def _print_sum(found: Sequence[Finding]) -> None:
    from cosinterp.cli.console import out, print_sentence
    from stores.units import count_text

    states = [finding.state for finding in found]
    parts = [f"{states.count('ok')} ok", count_text(states.count("note"), "note")]
    for state, what in (("lack", "lack"), ("unknown", "unknown")):
        if state in states:
            number = states.count(state)
            parts.append(count_text(number, what) if state == "lack" else f"{number} {what}")
    lacking = [finding.name for finding in found if finding.is_lacking]
    verdict = f"needed and lacking: {', '.join(lacking)}" if lacking else "all that is needed works"
    out().print()
    print_sentence(out(), f"{', '.join(parts)}; {verdict}.", indent=0, hanging=0)
