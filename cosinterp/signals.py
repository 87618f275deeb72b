"""The names of signals."""

from __future__ import annotations

import signal


def signal_name(number: int) -> str:
    """What a signal is called: "SIGKILL"; real-time signals have no name: "signal 60"."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
