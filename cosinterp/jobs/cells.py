"""A job's line in a list: its cells, and which of them there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cosinterp.jobs.texts import (
    amount_text,
    doing_text,
    memory_text,
    plain,
    rate_text,
    share_of,
    span_text,
    state_text,
)

if TYPE_CHECKING:
    from cosinterp.jobs.status import Status

TO_THE_RIGHT = ("rate", "memory", "age")
_BAR = 8
_GAP = 2
_EDGES = 2
# What a narrow terminal does without, first of all the first.
_SPARED = ("command", "what", "rate", "memory", "device", "time")
# Texts of any length, and the columns that they are cut to where all of them cannot be shown.
_CUT = {"command": 32, "what": 24}


def cells_of(status: Status, now: float, bars: bool) -> dict[str, str]:
    """The texts of a job's line by their columns."""
    return {
        "job": status.id,
        "state": state_text(status.state),
        "done": done_text(status, bars),
        "time": time_text(status, now),
        "rate": "" if status.state.is_final else rate_text(status.rate, status.unit),
        "device": device_text(status),
        "memory": memory_text(status),
        "age": span_text(now - status.created),
        # A prompt may have several lines.
        "command": plain(" ".join(" ".join(status.words).split())),
        "what": doing_text(status),
    }


def done_text(status: Status, bars: bool) -> str:
    """How much is done, in per cent if it is known of how much, with a bar while it goes on."""
    share = share_of(status)
    if status.state.value == "finished":
        return ""
    if share is None:
        unit = f" {status.unit}" if status.unit and status.unit != "bytes" else ""
        return "" if not status.done else f"{amount_text(status.done, status.unit)}{unit}"
    # Never 100 before all is done, and 57 % of 57 hundredths, which binary numbers have a little less of.
    whole = int(100 * share + 1e-9)
    percent = f"{whole:3d} %" if bars else f"{whole} %"
    if not bars or status.state.is_final:
        return percent.strip()
    full = round(_BAR * share)
    return f"{'█' * full}{'░' * (_BAR - full)} {percent}"


def device_text(status: Status) -> str:
    """The devices that it was given, each with the percent of time that it computes, where that is known."""
    busy = [gpu.get("utilization") for gpu in status.gpus]
    if len(busy) != len(status.devices):
        return " ".join(status.devices)
    return " ".join(
        device if use is None else f"{device} {use:.0f} %"
        for device, use in zip(status.devices, busy, strict=True)
    )


def time_text(status: Status, now: float) -> str:
    """How long it will take, or took."""
    if status.state.is_final:
        if status.started is None or status.ended is None:
            return ""
        return f"took {span_text(status.ended - status.started)}"
    if status.seconds_left is not None and status.total and status.done != status.total:
        return f"{span_text(status.seconds_left)} left"
    return "" if status.started is None else f"for {span_text(now - status.started)}"


def fitting(rows: Sequence[dict[str, str]], width: int) -> dict[str, int]:
    """The columns that say something, as far as there is room for them, and how wide they are."""
    longest = {name: max(len(row[name]) for row in rows) for name in rows[0]}
    widths = {name: max(length, len(name)) for name, length in longest.items() if length}
    if _total(widths) > width:
        widths |= {name: min(widths[name], most) for name, most in _CUT.items() if name in widths}
    for name in _SPARED:
        if _total(widths) > width:
            widths.pop(name, None)
    if "what" in widths:
        room = width - _total(widths) + widths["what"]
        widths["what"] = max(widths["what"], min(room, longest["what"]))
    return widths


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1) + _EDGES
