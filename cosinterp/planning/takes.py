"""What a command would take, in one shape for all commands that have a dry run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from stores.errors import UserError
from stores.units import size_text

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Estimate(Generic[Number]):
    """A number that is estimated, and where it comes from; of one that is not known, why."""

    value: Number | None
    source: str


@dataclass(frozen=True, kw_only=True)
class Takes:
    """What a command would make, and what that takes.

    Attributes:
        what: would be made, in a few words.
        runs: that would be made; None: it makes none.
        rows: of its result that would be made; None: it makes none that are counted.
        bytes: that would be written; compressed, at most. None: not known.
        seconds: that it would take.
        gpu_memory: bytes, at least.
        device: that it would run on, as torch calls it; None: on no device that is chosen.
        refused: why the command would not do it as things are, such as that a result of its name is there;
            None: it would.
    """

    what: str
    runs: int | None = None
    rows: int | None = None
    bytes: int | None = None
    seconds: Estimate[float]
    gpu_memory: Estimate[int]
    device: str | None = None
    refused: str | None = None

    def as_data(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "what": self.what,
            "runs": self.runs,
            "rows": self.rows,
            "bytes": self.bytes,
            "seconds": None if self.seconds.value is None else round(self.seconds.value, 3),
            "seconds_from": self.seconds.source,
            "gpu_memory": self.gpu_memory.value,
            "gpu_memory_from": self.gpu_memory.source,
            "device": self.device,
            "refused": self.refused,
        }

    def lines(self) -> list[tuple[str, str]]:
        """What a dry run says beside what its command alone knows: names and texts."""
        seconds, memory = self.seconds, self.gpu_memory
        took = "not known" if seconds.value is None else f"about {duration_text(seconds.value)}"
        lines = [("time", f"{took}: {seconds.source}")]
        if self.device is not None:
            held = "not known" if memory.value is None else f"at least {size_text(memory.value)}"
            on = self.device if memory.value == 0 else f"{self.device}; GPU memory {held}: {memory.source}"
            lines.append(("device", on))
        if self.refused is not None:
            lines.append(("refused", self.refused))
        return lines


def refusal_of(*checks: Callable[[], object]) -> str | None:
    """Why the first of some checks that refuses does so; None: none does."""
    for check in checks:
        try:
            check()
        except UserError as error:
            return str(error)
    return None


def duration_text(seconds: float) -> str:
    """A time for people, in two digits or so."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            value = seconds / length
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
    if seconds < 0.1:
        return "under 0.1 s"
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
