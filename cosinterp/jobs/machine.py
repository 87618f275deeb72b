"""What a job takes of its machine: memory of its processes, and how its GPUs are used."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

import psutil

from cosinterp.devices.gpu import Gpu


def host_memory(pids: Collection[int]) -> int:
    """Bytes that processes hold together: what each has for itself, and once what the largest shares.

    Processes of one command share most of what they share; counted for each it would be too much by far.
    """
    own: list[int] = []
    shared: list[int] = [0]
    for pid in pids:
        # One may end while it is being looked at, and one of another user (sudo) does not say.
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            memory = psutil.Process(pid).memory_info()
            # Linux alone tells what is shared.
            shared.append(getattr(memory, "shared", 0))
            own.append(memory.rss - shared[-1])
    return sum(own) + max(shared)


def gpu_use(gpus: Collection[Gpu]) -> list[dict[str, Any]]:
    """Of each GPU its index, the bytes in use on it and in all, and the percent of time that it computes."""
    return [
        {
            "index": gpu.index,
            "memory": gpu.memory_used,
            "memory_total": gpu.memory_total,
            "utilization": gpu.utilization,
        }
        for gpu in gpus
    ]
