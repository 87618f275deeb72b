"""GPUs: as the driver sees them, and as torch does."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from cosinterp import devices
from cosinterp.devices import Gpu, NvmlMissing
from cosinterp.devices.nvml import opened
from cosinterp.devices.visible import VISIBLE
from cosinterp.doctor import torch_report
from cosinterp.doctor.asking import Circumstances
from cosinterp.doctor.finding import Finding, is_fine, is_lacking, is_noted
from cosinterp.signals import signal_name
from stores.units import count_text, size_text

# Compute capability from which the tensor cores take bf16, and fp8 (CUDA C++ Programming Guide, "Compute
# Capabilities").
_BF16 = (8, 0)
_FP8 = (8, 9)
# What a driver keeps for itself, and a desktop, is no sign of another program.
_HELD_BY_OTHERS = 2 * 10**9
_KERNEL_MODULE = Path("/proc/driver/nvidia/version")
_TORCH_SECONDS, _ENDING_SECONDS = 80.0, 2.0
_INSTALL = "Install a build of torch for your driver's CUDA: https://pytorch.org/get-started/locally"


def nvml(_: Circumstances) -> Iterator[Finding]:
    """The driver and its GPUs, by NVML: which there are, and how much of each is free."""
    try:
        seen = devices.gpus()
    except NvmlMissing as missing:
        yield _without_nvml(str(missing))
        return
    yield is_fine("driver", _driver_text(), "NVML answers: free GPUs are found, and jobs tell what they use.")
    if not seen:
        yield is_noted("GPUs", "none", "Models run on the processor.")
    for gpu in seen:
        yield _gpu(gpu)


def torch(circumstances: Circumstances) -> Iterator[Finding]:
    """torch: whether it loads, and whether it can use the GPUs that are there."""
    try:
        said = ask_torch()
    except TorchFails as error:
        yield is_lacking(
            "torch loads",
            str(error),
            "No model can be run; stores can be read and probed.",
            "python -c 'import torch' shows all of it. Install torch again.",
            needed=True,
        )
        return
    threads = count_text(said["threads"], "thread")
    yield is_fine("torch loads", f"{said['version']}, {threads}", "Models can be run.", needed=True)
    yield _cuda(said, circumstances)
    yield from (_device(device, said) for device in said["devices"])
    for warning in said["warnings"]:
        yield is_noted("torch warns", warning, "torch may not work with this device or driver.", _INSTALL)


class TorchFails(Exception):
    """torch cannot be loaded; the message is the last line that it said."""


def ask_torch(limit: float = _TORCH_SECONDS) -> dict[str, Any]:
    """What `torch_report` prints, in a process of its own.

    Raises:
        TorchFails: it ends with an error, or takes longer than ``limit`` seconds.
    """
    # -P: the folder of the program has modules of other libraries' names.
    words = [sys.executable, "-P", torch_report.__file__]
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    try:
        printed, complaints = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        # One that hangs in the driver cannot be ended, and is not waited for.
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_ENDING_SECONDS)
        raise TorchFails(f"no answer within {limit:g} s") from None
    if process.returncode:
        raise TorchFails(_last_line(complaints) or _ended(process.returncode))
    return json.loads(printed.splitlines()[-1])


def _ended(code: int) -> str:
    return f"ended by {signal_name(-code)}" if code < 0 else f"exit code {code}"


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


def _without_nvml(why: str) -> Finding:
    if _KERNEL_MODULE.exists():
        return is_lacking(
            "driver",
            why,
            "The driver's module is loaded, but its library does not answer: after an update mostly, or in a "
            "container that was started without its GPUs.",
            "Restart the machine after an update of the driver; start a container with --gpus all.",
        )
    return is_noted(
        "driver",
        why,
        "There is no NVIDIA GPU here, or this container was started without it. Models run on the processor: "
        "enough for the bundled ones.",
        "If there should be one: try nvidia-smi, on the host too; start a container with --gpus all.",
    )


def _driver_text() -> str:
    with opened() as library:
        driver, cuda = library.nvmlSystemGetDriverVersion(), library.nvmlSystemGetCudaDriverVersion()
    driver = driver.decode() if isinstance(driver, bytes) else driver
    return f"{driver}, CUDA up to {cuda // 1000}.{cuda % 1000 // 10}"


def _gpu(gpu: Gpu) -> Finding:
    name = f"GPU {gpu.index}"
    parts = [gpu.name or "unnamed"]
    if gpu.memory_free is not None and gpu.memory_total is not None:
        parts.append(f"{size_text(gpu.memory_free)} free of {size_text(gpu.memory_total)}")
    if gpu.utilization is not None:
        parts.append(f"{gpu.utilization} % busy")
    if gpu.processes:
        parts.append(f"held by {count_text(len(gpu.processes), 'program')}")
    value = ", ".join(parts)
    if gpu.memory_used is not None and gpu.memory_used > _HELD_BY_OTHERS:
        return is_noted(
            name,
            value,
            f"Other programs hold {size_text(gpu.memory_used)} of it, which a model cannot have.",
            "--device free takes the GPU with the most free memory; nvidia-smi names the programs.",
        )
    return is_fine(name, value, "Nobody else holds much of it.")


def _cuda(said: dict[str, Any], circumstances: Circumstances) -> Finding:
    """Whether torch can use the GPUs that the driver sees."""
    try:
        there = len(devices.gpus())
    except NvmlMissing:
        there = 0
    name, count = "torch on GPUs", len(said["devices"])
    built = f"HIP {said['hip']}" if said["hip"] else f"CUDA {said['cuda']}" if said["cuda"] else "processors"
    if said["available"] and count:
        value = f"{count_text(count, 'GPU')}, built for {built}"
        if count < there:
            hidden = f"{VISIBLE}={circumstances.environ.get(VISIBLE, '')}"
            return is_noted(name, value, f"The driver sees {there}; {hidden} shows torch fewer.", needed=True)
        return is_fine(name, value, "Models run there unless --device says otherwise.", needed=True)
    if said["mps"]:
        return is_fine(name, "an Apple GPU (mps)", "Untested: --device cpu is what is known to work.")
    if there == 0:
        return is_noted(name, f"none, built for {built}", "Models run on the processor.")
    return _unused(name, said, there, circumstances)


def _unused(name: str, said: dict[str, Any], there: int, circumstances: Circumstances) -> Finding:
    value = f"none of {count_text(there, 'GPU')}"
    if circumstances.environ.get(VISIBLE, "0").strip() in ("", "-1"):
        return is_noted(name, value, f"{VISIBLE} hides them.", f"unset {VISIBLE}, if they are yours to use.")
    if not said["cuda"] and not said["hip"]:
        meaning = f"torch {said['version']} is built without CUDA, so models run on the processor."
        return is_lacking(name, value, meaning, _INSTALL, needed=True)
    needed, offered = _major(said["cuda"] or ""), _offered()
    if offered is not None and needed > offered:
        meaning = f"torch is built for CUDA {said['cuda']}, and the driver goes up to CUDA {offered}."
        return is_lacking(name, value, meaning, f"Update the driver. Or: {_INSTALL}", needed=True)
    why = said["error"] or "torch does not say why"
    return is_lacking(
        name,
        value,
        f"torch cannot use CUDA: {why}",
        "See what nvidia-smi says; restart the machine after an update of its driver.",
        needed=True,
    )


def _offered() -> int | None:
    """The newest major version of CUDA that the driver serves; None: it does not say."""
    try:
        with opened() as library:
            return library.nvmlSystemGetCudaDriverVersion() // 1000
    except NvmlMissing:
        return None


def _major(version: str) -> int:
    number = version.partition(".")[0]
    return int(number) if number.isdigit() else 0


def _device(device: dict[str, Any], said: dict[str, Any]) -> Finding:
    name = f"cuda:{device['index']}"
    if said["hip"]:
        return is_noted(name, device["name"], "An AMD GPU: untested, though torch can use it.")
    capability = tuple(device["capability"])
    value = f"{device['name']}, compute capability {capability[0]}.{capability[1]}"
    if capability < _BF16:
        return is_noted(
            name,
            f"{value}: no bf16",
            "bf16 is computed without its tensor cores, so slowly.",
            "--dtype fp16, if the model's values stay within its range (65504), or fp32.",
        )
    fast = "bf16, fp8" if capability >= _FP8 else "bf16, no fp8"
    return is_fine(name, f"{value}: {fast}", "Storing in fp8 (--store-dtype fp8) works on any device.")
