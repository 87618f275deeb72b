"""What a job's command works on, as its words say: the store, or the file or folder that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosinterp.cli.lazy import Command
    from cosinterp.jobs.spec import JobSpec

# A store comes last: commands that write something else only read it.
_TARGETS = ("out", "out_folder", "target", "store")


def target_of(spec: JobSpec) -> Path | None:
    """What the command of a job works on; None: its words do not say."""
    found = _command_of(spec.words)
    if found is None:
        return None
    command, rest = found
    # Not to be run: what is wrong with the words is for the command itself to say.
    context: Any = command.load().make_context(command.name, list(rest), resilient_parsing=True)
    named = (context.params.get(name) for name in _TARGETS)
    # A probe's target is what it predicts.
    given = next((target for target in named if isinstance(target, Path)), None)
    return None if given is None else Path(spec.cwd, given)


def _command_of(words: Sequence[str]) -> tuple[Command, Sequence[str]] | None:
    """The command that words begin with, and the words after its name."""
    from cosinterp.cli import COMMANDS
    from cosinterp.cli.lazy import Command

    entries = COMMANDS
    for number, word in enumerate(words, start=1):
        entry = next((entry for entry in entries if entry.name == word), None)
        if entry is None:
            return None
        if isinstance(entry, Command):
            return entry, words[number:]
        entries = entry.entries
    return None
