"""The text of ``--device``: which devices a command takes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cosinterp.devices.errors import DeviceError, NvmlMissing
from cosinterp.devices.gpu import Gpu
from cosinterp.devices.visible import VISIBLE, visible_gpus
from stores.units import count_text

CPU = "cpu"
_GPUS = re.compile(r"(?:cuda:)?([0-9]{1,3})(?:-([0-9]{1,3}))?")
_FREE = re.compile(r"free(?::([0-9]{1,3}))?")
_KNOWN = "cpu, cuda, cuda:N, cuda:0,2 or free:N"


def parse_devices(text: str) -> tuple[str, ...]:
    """The devices that a text names, as torch calls them, in its order.

    "cpu", "cuda" (the first GPU), "cuda:0,2" or "0,2", "cuda:0-3"; "free" and "free:2": the GPUs with the
    most free memory; "cpu,cpu": the CPU for two workers.

    Where nothing is known of GPUs, whether those that are named exist is left for torch to say.

    Raises:
        DeviceError: there is no such device, one is named twice, or the text names none.
    """
    free = _FREE.fullmatch(text.strip())
    if free is not None:
        return free_gpus(int(free[1] or 1))
    named = [device for word in text.split(",") for device in _named(word.strip(), text)]
    if CPU in named and set(named) != {CPU}:
        raise DeviceError(f"--device {text}: either GPUs or the CPU; their numbers differ")
    same = [_numbered(device) for device in named if device != CPU]
    twice = next((device for device in same if same.count(device) > 1), None)
    if twice is not None:
        raise DeviceError(f"--device {text}: {twice} is named twice; a GPU takes one worker")
    if same:
        _check_there(same, text)
    return tuple(named)


def one_device(text: str | None) -> str | None:
    """The device that a text names, for what takes no more than one; None stays None.

    Raises:
        DeviceError: it names several, or as `parse_devices`.
    """
    if text is None:
        return None
    device, *more = parse_devices(text)
    if more:
        raise DeviceError(f"--device {text}: this takes one device, and these are {1 + len(more)}")
    return device


def free_gpus(count: int = 1) -> tuple[str, ...]:
    """The ``count`` GPUs with the most free memory of those that are visible; of equals, the idlest.

    Raises:
        DeviceError: there are fewer.
        NvmlMissing: nothing is known of GPUs here.
    """
    if count < 1:
        raise DeviceError(f"--device free:{count}: at least one")
    try:
        seen = visible_gpus()
    except NvmlMissing as error:
        raise NvmlMissing(f"--device free needs the driver to say what is free: {error}") from None
    if count > len(seen):
        raise DeviceError(f"--device free:{count}: {_seen(len(seen))}")
    ranked = sorted(seen, key=lambda name: _rank(seen[name]))
    return tuple(ranked[:count])


def _rank(gpu: Gpu) -> tuple[int, int]:
    # What does not say how much is free comes last.
    free = -1 if gpu.memory_free is None else gpu.memory_free
    return -free, gpu.utilization or 0


def _named(word: str, text: str) -> Iterator[str]:
    if word in (CPU, "cuda"):
        yield word
        return
    found = _GPUS.fullmatch(word)
    if found is None:
        raise DeviceError(f'--device {text}: "{word}" names no device; use {_KNOWN}')
    first = int(found[1])
    last = first if found[2] is None else int(found[2])
    if last < first:
        raise DeviceError(f"--device {text}: {word} goes backwards")
    yield from (f"cuda:{number}" for number in range(first, last + 1))


def _numbered(device: str) -> str:
    return "cuda:0" if device == "cuda" else device


def _check_there(devices: list[str], text: str) -> None:
    try:
        seen = visible_gpus()
    except NvmlMissing:
        return
    missing = next((device for device in devices if device not in seen), None)
    if missing is not None:
        raise DeviceError(f"--device {text}: there is no {missing}: {_seen(len(seen))}")


def _seen(count: int) -> str:
    return f"{count_text(count, 'GPU')} can be seen here (by the driver, and {VISIBLE})"
