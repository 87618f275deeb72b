"""GPUs as lines, one each: bars, numbers, and the jobs that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tui.gpus.summary import degrees, memory, percent

if TYPE_CHECKING:
    from cosinterp.devices import Gpu
    from cosinterp.jobs.status import Status

_UNKNOWN = "?"
_NARROW, _LONG_BARS, _WITH_NAMES = 50, 75, 100
"""Columns up to which a line is as short as can be, and from which on it has long bars, and names."""


def gpu_lines(gpus: Sequence[Gpu], living: Sequence[Status], here: str, width: int) -> list[str]:
    """A line a GPU, in columns, of at most ``width`` characters.

    Args:
        gpus: in the order of the lines.
        living: jobs that have not ended.
        here: the name of this machine: jobs of other ones hold none of its GPUs.
        width: of the room there is.
    """
    bar = 12 if width >= _LONG_BARS else 5
    columns = [
        [str(gpu.index) for gpu in gpus],
        *([[gpu.name or _UNKNOWN for gpu in gpus]] if width >= _WITH_NAMES else []),
        [_share(gpu.utilization, 100, bar) for gpu in gpus],
        _right([percent(gpu.utilization) or _UNKNOWN for gpu in gpus]),
        *([[_share(gpu.memory_used, gpu.memory_total, bar) for gpu in gpus]] if width >= _NARROW else []),
        _right([memory([gpu]) or _UNKNOWN for gpu in gpus]),
        _right([degrees(gpu.temperature) or _UNKNOWN for gpu in gpus]),
    ]
    widths = [max(map(len, column), default=0) for column in columns]
    lines = []
    for place, gpu in enumerate(gpus):
        cells = [column[place].ljust(size) for column, size in zip(columns, widths, strict=True)]
        line = ("  " if width >= _NARROW else " ").join([*cells, _held_by(gpu, living, here)])
        lines.append(line if len(line.rstrip()) <= width else line[: max(width - 1, 0)] + "…")
    return lines


def _held_by(gpu: Gpu, living: Sequence[Status], here: str) -> str:
    """The jobs that a GPU was given to."""
    named = f"GPU {gpu.index}"
    return ", ".join(job.id for job in living if job.host == here and named in job.devices)


def _share(part: int | None, whole: int | None, size: int) -> str:
    """A bar of how much of a whole is taken."""
    if part is None or not whole:
        return " " * size
    filled = min(max(round(size * part / whole), 1 if part else 0), size)
    return "█" * filled + "░" * (size - filled)


def _right(texts: Sequence[str]) -> list[str]:
    """Texts that end below one another."""
    width = max(map(len, texts), default=0)
    return [text.rjust(width) for text in texts]
