"""What the GPUs of this machine do, read by one thread of the app and told to whoever asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui.watching import Watch

if TYPE_CHECKING:
    from cosinterp.devices import Gpu
    from tui.app import CosinterpApp

_PACE = 1.0
_LOW_BANDWIDTH = 5.0
_WITHOUT = 30.0
"""Seconds until a driver is looked for again where there is none."""
_RESTS = 9
"""As many times as long as it took to read the GPUs, nothing is read."""
PATIENCE = 5.0
"""Seconds after which a driver that has not answered is said to be silent."""


@dataclass(frozen=True)
class GpusSeen:
    """The GPUs as they were seen last.

    Attributes:
        gpus: in NVML's order; empty: there is none, or nothing is known of them.
        problem: why nothing is known of them; "": it is.
    """

    gpus: tuple[Gpu, ...] = ()
    problem: str = ""


class GpuWatch(Watch[GpusSeen]):
    """Reads the GPUs once a second, and tells of them when something has changed.

    The app has one, ``app_of(self).gpu_watch``. A driver in trouble may never answer; that is told, too.

    Args:
        app: whose.
    """

    def __init__(self, app: CosinterpApp) -> None:
        super().__init__(app, "gpus")
        self._asked_at: float | None = None

    def _start(self) -> None:
        super()._start()
        self._app.set_interval(PATIENCE / 2, self._complain)

    def _complain(self) -> None:
        asked_at = self._asked_at
        if asked_at is not None and time.monotonic() - asked_at > PATIENCE:
            self._publish(GpusSeen(problem="the NVIDIA driver does not answer"))

    def _publish(self, seen: GpusSeen) -> None:
        if seen != self.latest:
            super()._publish(seen)

    # In the thread

    def _read_on(self) -> None:
        # Imported here: the first paint does not wait for it.
        from cosinterp.devices.nvml import NvmlMissing, gpus, opened

        while not self._closed.is_set():
            try:
                # Open for as long as it answers: to open it anew takes much longer than to ask.
                self._asked_at = time.monotonic()
                with opened():
                    self._read_opened(gpus)
            except NvmlMissing as error:
                self._asked_at = None
                self._tell(GpusSeen(problem=str(error)))
                self._closed.wait(_WITHOUT)

    def _read_opened(self, gpus: Callable[[], list[Gpu]]) -> None:
        """Read the GPUs again and again.

        Raises:
            NvmlMissing: the driver answers no more.
        """
        while not self._closed.is_set():
            self._asked_at = began = time.monotonic()
            seen = GpusSeen(tuple(gpus()))
            took, self._asked_at = time.monotonic() - began, None
            self._tell(seen)
            self._closed.wait(max(self._pace, _RESTS * took))

    @property
    def _pace(self) -> float:
        return _LOW_BANDWIDTH if self._app.options.low_bandwidth else _PACE
