"""What is told of a command line that was not carried out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Plan:
    """What a command would do, as its dry run says.

    Attributes:
        lines: in words, as ``--dry-run`` prints it.
        bytes: that it would write; compressed, at most. None: not known.
        seconds: that it would take. None: not known; `data` says why in ``takes.seconds_from``.
        gpu_memory: bytes that it would take at least, the largest part being the weights. None: not known.
        runs: that it would make. None: it makes none.
        rows: of its result that it would make. None: it makes none.
        device: that it would run on, as torch calls it. None: not known, or none is needed.
        data: all that ``--dry-run --json`` prints.
    """

    lines: tuple[str, ...]
    bytes: int | None = None
    seconds: float | None = None
    gpu_memory: int | None = None
    runs: int | None = None
    rows: int | None = None
    device: str | None = None
    data: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Plan:
        """The plan in what ``--dry-run --json`` prints."""
        takes = data["takes"]
        return cls(
            lines=tuple(data["lines"]),
            bytes=takes["bytes"],
            seconds=takes["seconds"],
            gpu_memory=takes["gpu_memory"],
            runs=takes["runs"],
            rows=takes["rows"],
            device=takes["device"],
            data=data,
        )


@dataclass(frozen=True)
class Answer:
    """What the command line says of some words.

    Attributes:
        ok: it would carry them out.
        message: its error, if it would not; a line or two.
        flag: that the message is about, such as "--steps", or an argument's name, such as "STORE". None: of
            no single one.
        plan: what would be done; None: it is refused, or the command has no dry run. A plan that is refused
            for what it takes, or for what is there already, comes with both.
        remarks: warnings and notes of the command, a line each.
        bug: the traceback, where our code is at fault and not the words; "": it is not.
    """

    ok: bool
    message: str = ""
    flag: str | None = None
    plan: Plan | None = None
    remarks: tuple[str, ...] = ()
    bug: str = ""
