"""What can be wrong with devices."""

from __future__ import annotations

from cosinterp.errors import UserError


class DeviceError(UserError):
    """A device that is not there, or a text that names none."""


class NvmlMissing(DeviceError):
    """Nothing is known of this machine's GPUs; the message says why."""
