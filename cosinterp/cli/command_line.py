"""The command line that is running, as text that can be pasted."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from cosinterp.jobs.telling import FOLDER

_RESUME = "--resume"


def command_line(argv: Sequence[str]) -> str:
    """The command line of ``argv``."""
    return shlex.join([*program(argv), *argv[1:]])


def continuing_line(argv: Sequence[str]) -> str:
    """The command line of ``argv`` with --resume."""
    words = [*program(argv), *argv[1:]]
    return shlex.join(words if _RESUME in words else [*words, _RESUME])


def resume_command(argv: Sequence[str]) -> str:
    """What to type so that the work of ``argv`` goes on: of a job, what resumes it."""
    return _of_the_job() or continuing_line(argv)


def same_command(argv: Sequence[str]) -> str:
    """As `resume_command`, of a command that goes on by itself, without --resume."""
    return _of_the_job() or command_line(argv)


def _of_the_job() -> str | None:
    job = os.environ.get(FOLDER)
    return shlex.join(["cosinterp", "jobs", "resume", Path(job).name]) if job else None


def program(argv: Sequence[str]) -> list[str]:
    """The words that this program was called by."""
    name = Path(argv[0]).name
    # python -m cosinterp
    return ["python", "-m", "cosinterp"] if name == "__main__.py" else [name]
