"""GPUs in a few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cosinterp.devices import Gpu

GIB = 1024**3
IDLE = 5
"""Percent of the last moment up to which a GPU counts as idle."""


def summaries(gpus: Sequence[Gpu]) -> list[str]:
    """What the GPUs do, the longest text first and then ever shorter ones, for where there is less room.

    Of one GPU they say its use, memory and temperature; of several how many are idle, and the sum. Where
    nothing is known of GPUs, there is nothing to say.
    """
    if not gpus:
        return []
    if len(gpus) == 1:
        [gpu] = gpus
        parts = [part for part in (percent(gpu.utilization), memory(gpus), degrees(gpu.temperature)) if part]
        if not parts:
            return [f"GPU {gpu.index}"]
        return [f"GPU {'  '.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    known = [gpu for gpu in gpus if gpu.utilization is not None]
    idle = sum(gpu.utilization is not None and gpu.utilization <= IDLE for gpu in known)
    texts = [f"{len(gpus)} GPUs"]
    if known:
        texts.insert(0, f"{texts[0]}, {idle} idle")
    if used := memory(gpus):
        texts.insert(0, f"{texts[0]}  {used}")
    return texts


def percent(utilization: int | None) -> str:
    """Such as "87 %"; "" if it is not known."""
    return "" if utilization is None else f"{utilization} %"


def degrees(temperature: int | None) -> str:
    """Such as "64 °C"; "" if it is not known."""
    return "" if temperature is None else f"{temperature} °C"


def memory(gpus: Sequence[Gpu]) -> str:
    """Memory of those that say theirs, such as "61 of 140 GiB"; "" if none does."""
    known = [(gpu.memory_used, gpu.memory_total) for gpu in gpus]
    sums = [(used, total) for used, total in known if used is not None and total is not None]
    if not sums:
        return ""
    return f"{sum(used for used, _ in sums) / GIB:.0f} of {sum(total for _, total in sums) / GIB:.0f} GiB"
