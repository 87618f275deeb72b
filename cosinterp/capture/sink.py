"""Where captured tensors go."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from cosinterp.capture.conversion import as_stored
from cosinterp.capture.writer_thread import WriterThread
from cosinterp.errors import TraceError

if TYPE_CHECKING:
    import numpy as np
    import torch

Write = Callable[["np.ndarray"], object]


class Sink(Protocol):
    """Takes tensors from the running model and hands them on as arrays, in order."""

    def put(self, tensor: torch.Tensor, dtype: str, write: Write) -> None:
        """Have ``write`` called with ``tensor`` as an array of ``dtype``.

        When this returns the tensor may change again: it is copied, or guarded until its copy is complete.
        """

    def then(self, action: Callable[[], object]) -> None:
        """Have ``action`` called after all that came before."""


class CopyingSink:
    """Copies each tensor to host memory at once and lets a `WriterThread` write the copies."""

    def __init__(self, thread: WriterThread) -> None:
        self._thread = thread

    def put(self, tensor: torch.Tensor, dtype: str, write: Write) -> None:
        """Copy ``tensor`` as ``dtype`` ("bf16", "fp16", "fp32"); waits while the host memory is full."""
        array = as_stored(tensor, dtype)
        self._thread.submit(lambda: write(_checked(array, dtype)), array.nbytes)

    def then(self, action: Callable[[], object]) -> None:
        """Have the writer thread call ``action`` after all that came before."""
        self._thread.submit(action)


def _checked(array: np.ndarray, dtype: str) -> np.ndarray:
    """Refuse values that float16 cannot hold: a store must not turn them into infinity unseen."""
    if dtype == "fp16":
        import numpy as np

        if np.isinf(array).any():
            raise TraceError("activations exceed the range of fp16 (65504); store them as bf16 or fp32")
    return array
