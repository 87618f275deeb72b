"""The ring: a fixed piece of host memory, handed out in turn and taken back in any order."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType
from typing import Any

import torch

from cosinterp.errors import TraceError
from stores.units import size_text

_ALIGNMENT = 64


class RingClosed(RuntimeError):
    """No memory is handed out any more."""


class Slot:
    """A piece of the ring; ``memory`` is a uint8 tensor of it."""

    def __init__(self, ring: Ring, start: int, nbytes: int) -> None:
        self.memory = ring.memory[start : start + nbytes]
        self.start = start
        self.end = start + _aligned(nbytes)
        self._ring = ring

    def free(self) -> None:
        """Give the memory back; nothing may use it afterwards."""
        self._ring.release(self)


class Ring:
    """``capacity`` bytes of host memory, pinned if a GPU is to copy into it without stopping the host.

    Slots lie one behind the other and are used again in the order in which they were taken; `take` waits
    while there is no room. That is what makes a model wait for a slow disk, instead of filling the memory.

    Raises:
        TraceError: so much memory cannot be had, or not be pinned.
    """

    def __init__(self, capacity: int, pinned: bool = False) -> None:
        self.capacity = _aligned(capacity)
        try:
            self.memory = torch.empty(self.capacity, dtype=torch.uint8)
        except RuntimeError as error:
            raise TraceError(
                f"{size_text(self.capacity)} of host memory cannot be had; lower --host-memory"
            ) from error
        self._pinned = False
        if pinned:
            self._pin()
        self._taken: deque[Slot] = deque()
        self._freed: set[Slot] = set()
        self._closed = False
        self._changed = threading.Condition()

    def take(self, nbytes: int) -> Slot:
        """A slot of ``nbytes``; waits until there is room.

        Raises:
            ValueError: it exceeds the whole ring.
            RingClosed: the ring was closed, perhaps while this waited.
        """
        if _aligned(nbytes) > self.capacity:
            raise ValueError(f"{nbytes} bytes do not fit a ring of {self.capacity}")
        with self._changed:
            while True:
                if self._closed:
                    raise RingClosed
                start = self._room(_aligned(nbytes))
                if start is not None:
                    break
                self._changed.wait()
            slot = Slot(self, start, nbytes)
            self._taken.append(slot)
            return slot

    def release(self, slot: Slot) -> None:
        """Take a slot back; see `Slot.free`."""
        with self._changed:
            self._freed.add(slot)
            while self._taken and self._taken[0] in self._freed:
                self._freed.discard(self._taken.popleft())
            self._changed.notify_all()

    def stop(self) -> None:
        """Hand out nothing more; who waits gets `RingClosed`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def close(self) -> None:
        """Stop, and unpin the memory; no copy into it may be under way. Closing again does nothing."""
        self.stop()
        if self._pinned:
            self._pinned = False
            _check_cuda(_cudart().cudaHostUnregister(self.memory.data_ptr()), "unpinned")

    def __enter__(self) -> Ring:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _room(self, size: int) -> int | None:
        """Where a slot of ``size`` bytes can lie now."""
        if not self._taken:
            return 0
        first, last = self._taken[0].start, self._taken[-1].end
        if last > first:
            if last + size <= self.capacity:
                return last
            return 0 if size <= first else None
        return last if last + size <= first else None

    def _pin(self) -> None:
        # torch's own pinned memory comes in powers of two, which could be twice what was allowed.
        _check_cuda(
            _cudart().cudaHostRegister(self.memory.data_ptr(), self.capacity, 0),
            f"pinned; lower --host-memory ({size_text(self.capacity)} now)",
        )
        self._pinned = True


def _cudart() -> Any:
    """The CUDA runtime, as torch hands it out; its types are torch's own secret."""
    return torch.cuda.cudart()


def _check_cuda(status: Any, what: str) -> None:
    if int(status) != 0:
        raise TraceError(f"the host memory for captured tensors could not be {what} (CUDA error {status})")


def _aligned(nbytes: int) -> int:
    """At least one unit, so that no two slots begin at the same place."""
    return max(1, -(-nbytes // _ALIGNMENT)) * _ALIGNMENT
