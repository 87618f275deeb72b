"""Where captured tensors go: through the ring, to the threads that write."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import torch

from cosinterp.capture.conversion import TORCH_DTYPES
from cosinterp.capture.copying import DeviceCopier, HostCopier
from cosinterp.capture.parts import aligned, laid_out_bytes
from cosinterp.capture.ring import Ring, RingClosed, Slot
from cosinterp.capture.writers import Lane, Writers
from cosinterp.errors import TraceError

Part = tuple[torch.Tensor, str]
"""A tensor, and the dtype that it is handed on as: a key of `TORCH_DTYPES`."""

Action = Callable[..., object]


class Sink(Protocol):
    """Takes the tensors of one batch of runs from the running model and hands them on as arrays.

    Both methods have ``action`` called with the parts as arrays: contiguous, bf16 as uint16 bit patterns,
    valid during the call only. When they return the tensors may change again.
    """

    def put(self, action: Action, *parts: Part) -> None:
        """Have ``action`` called after the last `then` before it, beside others that are put."""

    def then(self, action: Action, *parts: Part) -> None:
        """Have ``action`` called after all that came before, and before all that comes after."""


class RingSinks:
    """Makes the sinks of a trace, which share one ring and its writers; a context manager.

    Args:
        device: where the model runs.
        host_memory: bytes of the ring: of captured tensors that may wait to be written.
        threads: how many threads write.
        staging: transfers from a GPU that may be under way before the model waits for one.

    Raises:
        TraceError: so much host memory cannot be had.
    """

    def __init__(
        self,
        device: torch.device,
        *,
        host_memory: int,
        threads: int,
        staging: int,
    ) -> None:
        self._staging = staging
        self._copiers: dict[torch.device, HostCopier | DeviceCopier] = {}
        self.ring = Ring(host_memory, pinned=device.type == "cuda")
        self.writers = Writers(threads, on_error=self.ring.stop)

    def sink(self) -> Sink:
        """A sink for one batch."""
        return _RingSink(self, self.writers.lane())

    def copier(self, device: torch.device) -> HostCopier | DeviceCopier:
        """What copies from ``device``."""
        if device not in self._copiers:
            on_gpu = device.type == "cuda"
            self._copiers[device] = DeviceCopier(device, self._staging) if on_gpu else HostCopier()
        return self._copiers[device]

    def __enter__(self) -> RingSinks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.writers.__exit__(kind, error, traceback)
        finally:
            # Not before: the writers may be waiting for these copies.
            for copier in self._copiers.values():
                copier.close()
            self.ring.close()


class _RingSink:
    def __init__(self, sinks: RingSinks, lane: Lane) -> None:
        self._sinks = sinks
        self._lane = lane

    def put(self, action: Action, *parts: Part) -> None:
        self._lane.put(self._job(action, parts))

    def then(self, action: Action, *parts: Part) -> None:
        self._lane.then(self._job(action, parts))

    def _job(self, action: Action, parts: tuple[Part, ...]) -> Callable[[], object]:
        """Bring the parts on their way into the ring; the job does the rest."""
        if not parts:
            return action
        slot = self._take(laid_out_bytes([_nbytes(part) for part in parts]))
        targets, start = [], 0
        for part in parts:
            tensor, dtype = part
            piece = slot.memory[start : start + _nbytes(part)]
            targets.append(piece.view(TORCH_DTYPES[dtype]).view(tensor.shape))
            start += aligned(_nbytes(part))
        # The parts of one put lie on one device.
        copier = self._sinks.copier(parts[0][0].device)
        arrived = copier.start([(part[0].detach(), to) for part, to in zip(parts, targets, strict=True)])

        def job() -> None:
            arrived()
            arrays = [_array(target) for target in targets]
            for array in arrays:
                _refuse_infinite_fp16(array)
            action(*arrays)
            slot.free()

        return job

    def _take(self, nbytes: int) -> Slot:
        try:
            return self._sinks.ring.take(nbytes)
        except RingClosed:
            self._sinks.writers.raise_error()
            raise


def _nbytes(part: Part) -> int:
    tensor, dtype = part
    return tensor.numel() * TORCH_DTYPES[dtype].itemsize


def _array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    return (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()


def _refuse_infinite_fp16(array: np.ndarray[Any, Any]) -> None:
    """A store must not turn what float16 cannot hold into infinity unseen."""
    if array.dtype == np.float16 and np.isinf(array).any():
        raise TraceError("activations exceed the range of fp16 (65504); store them as bf16 or fp32")
