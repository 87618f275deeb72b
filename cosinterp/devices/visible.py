"""Which GPUs this process may use, and what torch calls them.

torch's ``cuda:K`` is the K-th of ``CUDA_VISIBLE_DEVICES``, or, without that, of the machine's GPUs in the
order that ``CUDA_DEVICE_ORDER`` says (CUDA C++ Programming Guide, "Environment Variables").
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from cosinterp.devices.errors import DeviceError
from cosinterp.devices.gpu import Gpu
from cosinterp.devices.nvml import gpu_by_uuid, gpus

VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"
_BY_BUS = "PCI_BUS_ID"
_PART = "MIG-"


def visible_gpus(environment: Mapping[str, str] | None = None) -> dict[str, Gpu]:
    """The GPUs that a process with this environment (default: our own) sees, by torch's names: "cuda:0", ...

    Raises:
        NvmlMissing: nothing is known of GPUs here.
        DeviceError: they differ, and only CUDA knows in which order it counts them.
    """
    environment = os.environ if environment is None else environment
    there = gpus()
    asked = environment.get(VISIBLE)
    if asked is None:
        _check_order(there, environment)
        seen = there
    else:
        words = [word.strip() for word in asked.split(",")]
        if any(word.isdigit() for word in words):
            _check_order(there, environment)
        seen = _seen(words, there)
    return {f"cuda:{number}": gpu for number, gpu in enumerate(seen)}


def _seen(words: list[str], there: list[Gpu]) -> list[Gpu]:
    """As CUDA reads the variable: up to the first word that names no GPU; none, if one is named twice."""
    seen: list[Gpu] = []
    for word in words:
        gpu = _named(word, there)
        if gpu is None:
            break
        if any(gpu.uuid == other.uuid for other in seen):
            return []
        seen.append(gpu)
    return seen


def _named(word: str, there: list[Gpu]) -> Gpu | None:
    if word.isdigit():
        return there[int(word)] if int(word) < len(there) else None
    if word.startswith(_PART):
        return gpu_by_uuid(word)
    # A UUID may be cut off where what is left of it is still of one GPU only.
    found = [gpu for gpu in there if word and gpu.uuid.startswith(word)]
    return found[0] if len(found) == 1 else None


def _check_order(there: list[Gpu], environment: Mapping[str, str]) -> None:
    # CUDA counts the fastest first unless told otherwise; of GPUs that are alike that changes nothing.
    if environment.get(ORDER) != _BY_BUS and len({gpu.name for gpu in there}) > 1:
        raise DeviceError(
            "the GPUs of this machine differ, and which is cuda:0 is not known beforehand; set "
            f"{ORDER}={_BY_BUS}"
        )
