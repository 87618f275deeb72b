"""The command line that is running, as text that can be pasted."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

_RESUME = "--resume"


def command_line(argv: Sequence[str]) -> str:
    """The command line of ``argv``."""
    return shlex.join(_words(argv))


def resume_command(argv: Sequence[str]) -> str:
    """The command line that continues the one of ``argv``."""
    words = _words(argv)
    return shlex.join(words if _RESUME in words else [*words, _RESUME])


def _words(argv: Sequence[str]) -> list[str]:
    program = Path(argv[0]).name
    # python -m cosinterp
    start = ["python", "-m", "cosinterp"] if program == "__main__.py" else [program]
    return [*start, *argv[1:]]
