"""Copying tensors into host memory, without making a GPU wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from cosinterp.capture.parts import aligned, laid_out_bytes

Copy = tuple[torch.Tensor, torch.Tensor]
"""(from, to): the same shape, perhaps another dtype; ``to`` is contiguous and in host memory."""


class HostCopier:
    """Copies at once: for tensors that are in host memory already."""

    def start(self, copies: Sequence[Copy]) -> Callable[[], None]:
        """Copy; returns a function that has nothing to wait for."""
        for source, target in copies:
            target.copy_(source)
        return _nothing

    def close(self) -> None:
        """Nothing is under way."""


class DeviceCopier:
    """Copies from a GPU on a stream of its own, while the model goes on.

    A tensor is first copied within the GPU, in order with the model's own work (converted on the way), since
    the model may change it or use its memory again as soon as it goes on. From there it goes to pinned host
    memory on the side stream. The GPU's own copy takes a thousandth of the time of what made the tensor; the
    transfer to the host overlaps with what the model does next.

    Args:
        device: the GPU.
        buffers: on the GPU, each as large as the largest that is brought: how many transfers may be under way
            before the model waits for one.
    """

    def __init__(self, device: torch.device, buffers: int) -> None:
        self._side = torch.cuda.Stream(device)
        self._count = buffers
        self._buffers: list[torch.Tensor] = []
        self._emptied: list[torch.cuda.Event | None] = []
        self._turn = 0

    def start(self, copies: Sequence[Copy]) -> Callable[[], None]:
        """Begin to copy into pinned host memory; returns a function that waits until it is there."""
        self._make_room(laid_out_bytes([target.nbytes for _, target in copies]))
        turn, self._turn = self._turn, (self._turn + 1) % self._count
        current = torch.cuda.current_stream(self._side.device)
        emptied = self._emptied[turn]
        if emptied is not None:
            current.wait_event(emptied)
        staged = _laid_out(self._buffers[turn], copies)
        for (source, _), stage in zip(copies, staged, strict=True):
            stage.copy_(source)
        self._side.wait_stream(current)
        # Blocking: a thread that waits for it sleeps, instead of taking a processor from the model.
        arrived = torch.cuda.Event(blocking=True)
        with torch.cuda.stream(self._side):
            for (_, target), stage in zip(copies, staged, strict=True):
                target.copy_(stage, non_blocking=True)
            arrived.record(self._side)
        self._emptied[turn] = arrived
        return arrived.synchronize

    def close(self) -> None:
        """Wait until no copy is under way."""
        self._side.synchronize()

    def _make_room(self, nbytes: int) -> None:
        if self._buffers and self._buffers[0].numel() >= nbytes:
            return
        self._side.synchronize()
        self._emptied = [None] * self._count
        # The smaller ones go first, so that the GPU never holds both.
        self._buffers.clear()
        for _ in range(self._count):
            self._buffers.append(torch.empty(nbytes, dtype=torch.uint8, device=self._side.device))


def _laid_out(buffer: torch.Tensor, copies: Sequence[Copy]) -> list[torch.Tensor]:
    """Views of ``buffer``, one behind the other, each with the dtype and shape of a copy's target."""
    views, start = [], 0
    for _, target in copies:
        end = start + target.nbytes
        views.append(buffer[start:end].view(target.dtype).view(target.shape))
        start = aligned(end)
    return views


def _nothing() -> None:
    """There is nothing to wait for."""
