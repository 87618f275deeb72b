"""Which GPUs a job is to have: those that its words name, any that are free, or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from cosinterp.devices import DeviceError, NvmlMissing, gpus, parse_devices, visible_gpus
from cosinterp.devices.choosing import CPU
from cosinterp.devices.gpu import Gpu
from cosinterp.devices.visible import ORDER, VISIBLE

_FREE = "free"
_BY_BUS = "PCI_BUS_ID"
_NO_UUID = "unknown-"


@dataclass(frozen=True)
class Wants:
    """The GPUs that a job waits for; by default none.

    Attributes:
        count: so many of those that it may use, whichever are free.
        named: the UUIDs of certain ones; where nothing is known of GPUs, torch's names of them.
    """

    count: int = 0
    named: tuple[str, ...] = ()


def wanted(takes_device: bool, device: str | None, takes_all: bool = False) -> Wants:
    """What a command wants that has this text as its ``--device``.

    Args:
        takes_device: whether it can use a GPU at all.
        device: None: none is given; it then takes a GPU if there is one.
        takes_all: it takes all that it sees, unless that is the CPU.

    Raises:
        DeviceError: the text names no device, or one that is not there.
    """
    if not takes_device:
        return Wants()
    if takes_all and device != CPU:
        return Wants(named=tuple(gpu.uuid for gpu in usable_gpus()))
    if device is None or device.strip() == "cuda":
        return Wants(count=1 if usable_gpus() else 0)
    free, _, count = device.strip().partition(":")
    if free == _FREE:
        return Wants(count=int(count or 1))
    names = [name for name in parse_devices(device) if name != CPU]
    if not names:
        return Wants()
    try:
        seen = visible_gpus()
    except NvmlMissing:
        return Wants(named=tuple(names))
    numbered = ["cuda:0" if name == "cuda" else name for name in names]
    return Wants(named=tuple(seen[name].uuid for name in numbered))


def usable_gpus() -> list[Gpu]:
    """The GPUs that may be chosen from: all, or those of ``CUDA_VISIBLE_DEVICES``; none if none are known of.

    Raises:
        DeviceError: the variable names them by numbers, and only CUDA knows whose these are.
    """
    try:
        return list(visible_gpus(_counted_by_bus()).values())
    except NvmlMissing:
        return []


def known_gpus(uuids: tuple[str, ...]) -> list[Gpu]:
    """Certain GPUs as they are now, in this order; what is not known of is left out."""
    if not uuids:
        return []
    try:
        # Parts of GPUs are among those that were made visible alone.
        seen = {gpu.uuid: gpu for gpu in [*gpus(), *usable_gpus()]}
    except DeviceError:
        return []
    return [seen[uuid] for uuid in uuids if uuid in seen]


def environment_for(chosen: list[Gpu]) -> dict[str, str]:
    """The variables by which a command sees these GPUs alone, in this order."""
    names = [str(gpu.index) if gpu.uuid.startswith(_NO_UUID) else gpu.uuid for gpu in chosen]
    return {ORDER: _BY_BUS, VISIBLE: ",".join(names)}


def _counted_by_bus() -> Mapping[str, str]:
    # Where nobody has said which are meant, the order makes no difference, since we name what we choose.
    return os.environ if VISIBLE in os.environ else {**os.environ, ORDER: _BY_BUS}
