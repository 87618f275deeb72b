"""What is known of a GPU."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class GpuProcess:
    """A process on a GPU, and the bytes of the GPU's memory that it holds; None: the driver does not say.

    Within a container the driver names processes as the host does.
    """

    pid: int
    memory: int | None


@dataclass(frozen=True)
class Gpu:
    """A GPU at one moment. What the driver does not say (of a part of a GPU, say) is None.

    Attributes:
        index: NVML's, that of ``nvidia-smi``: in the order of the PCI bus, whatever
            ``CUDA_VISIBLE_DEVICES`` says; see `cosinterp.devices.visible_gpus` for torch's.
        uuid: names it for good: "GPU-...", or "MIG-..." of a part of one.
        name: such as "NVIDIA H200".
        memory_total, memory_used, memory_free: bytes; what the driver keeps for itself counts as used.
        utilization: percent of the last moment (at most a second) in which anything ran on it.
        temperature: in degrees Celsius.
        processes: that hold memory of it; None: the driver does not say.
    """

    index: int
    uuid: str
    name: str | None
    memory_total: int | None
    memory_used: int | None
    memory_free: int | None
    utilization: int | None
    temperature: int | None
    processes: tuple[GpuProcess, ...] | None

    def memory_of(self, pids: Collection[int]) -> int | None:
        """Bytes that the processes ``pids`` hold; None: the driver does not say."""
        return self._held(lambda pid: pid in pids)

    def memory_of_others(self, pids: Collection[int]) -> int | None:
        """Bytes that other processes than ``pids`` hold; None: the driver does not say."""
        return self._held(lambda pid: pid not in pids)

    def _held(self, counts: Callable[[int], bool]) -> int | None:
        if self.processes is None:
            return None
        held = [process.memory for process in self.processes if counts(process.pid)]
        known = [memory for memory in held if memory is not None]
        return sum(known) if len(known) == len(held) else None
