"""GPUs as NVML sees them, the library that comes with NVIDIA's driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from cosinterp.devices.errors import NvmlMissing
from cosinterp.devices.gpu import Gpu, GpuProcess

_T = TypeVar("_T")


def gpus() -> list[Gpu]:
    """All GPUs of this machine, in NVML's order; one that the driver has lost is left out.

    Raises:
        NvmlMissing: there is no driver, or it does not answer.
    """
    with opened() as nvml:
        try:
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as error:
            raise NvmlMissing(f"the NVIDIA driver does not say which GPUs there are: {error}") from None
        handles = [_known(nvml, nvml.nvmlDeviceGetHandleByIndex, index) for index in range(count)]
        return [gpu_of(nvml, index, handle) for index, handle in enumerate(handles) if handle is not None]


def gpu_by_uuid(uuid: str) -> Gpu | None:
    """A GPU, or a part of one ("MIG-..."), by its UUID; None: there is none.

    Raises:
        NvmlMissing: there is no driver, or it does not answer.
    """
    with opened() as nvml:
        handle = _known(nvml, nvml.nvmlDeviceGetHandleByUUID, uuid)
        if handle is None:
            return None
        whole = _known(nvml, nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle, handle)
        index = _known(nvml, nvml.nvmlDeviceGetIndex, handle if whole is None else whole)
        return gpu_of(nvml, 0 if index is None else index, handle)


@contextmanager
def opened() -> Iterator[Any]:
    """The library, ready to be asked.

    Raises:
        NvmlMissing: there is no driver, or it does not answer.
    """
    try:
        import pynvml as nvml
    except ImportError as error:
        raise NvmlMissing(
            f"GPUs cannot be read: {error}; install it with: pip install nvidia-ml-py"
        ) from None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise NvmlMissing(f"no NVIDIA driver answers here: {error}") from None
    try:
        yield nvml
    finally:
        nvml.nvmlShutdown()


def gpu_of(nvml: Any, index: int, handle: Any) -> Gpu:
    """What the driver says of a GPU."""
    memory = _known(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    rates = _known(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    return Gpu(
        index=index,
        uuid=_text(_known(nvml, nvml.nvmlDeviceGetUUID, handle)) or f"unknown-{index}",
        name=_text(_known(nvml, nvml.nvmlDeviceGetName, handle)),
        memory_total=None if memory is None else int(memory.total),
        memory_used=None if memory is None else int(memory.used),
        memory_free=None if memory is None else int(memory.free),
        utilization=None if rates is None else int(rates.gpu),
        temperature=_known(nvml, nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
        processes=_processes(nvml, handle),
    )


def _processes(nvml: Any, handle: Any) -> tuple[GpuProcess, ...] | None:
    asked = (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses)
    told = [processes for ask in asked if (processes := _known(nvml, ask, handle)) is not None]
    if not told:
        return None
    # One that both computes and draws is told twice, with the same memory.
    memories = {int(one.pid): one.usedGpuMemory for processes in told for one in processes}
    return tuple(GpuProcess(pid, memory) for pid, memory in sorted(memories.items()))


def _known(nvml: Any, ask: Callable[..., _T], *arguments: Any) -> _T | None:
    """What NVML answers; None where this device, driver or container does not say."""
    try:
        return ask(*arguments)
    except nvml.NVMLError:
        return None


def _text(value: str | bytes | None) -> str | None:
    # Older versions of the library give bytes.
    return value.decode(errors="replace") if isinstance(value, bytes) else value
