"""The devices of this machine: which GPUs there are, what they do, and which of them a command takes.

No torch: GPUs are read by NVML, the driver's own library. Without a driver everything else works, and what
needs one says why it cannot be had.
"""

from cosinterp.devices.choosing import free_gpus, one_device, parse_devices
from cosinterp.devices.errors import DeviceError, NvmlMissing
from cosinterp.devices.gpu import Gpu, GpuProcess
from cosinterp.devices.nvml import gpus
from cosinterp.devices.visible import visible_gpus

__all__ = [
    "DeviceError",
    "Gpu",
    "GpuProcess",
    "NvmlMissing",
    "free_gpus",
    "gpus",
    "one_device",
    "parse_devices",
    "visible_gpus",
]
