"""A stand-in for the module ``pynvml``: the GPUs that a file or a list says there are.

In this process: ``monkeypatch.setitem(sys.modules, "pynvml", FakeNvml([...]))``. In others: `on_path` writes
a module that takes pynvml's place for all processes with that folder on their ``PYTHONPATH``; the GPUs are
those of a JSON file, read anew each time, so that a test can change them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

GIB = 1024**3


@dataclass(frozen=True)
class FakeGpu:
    """A GPU; what is None, NVML does not support on it."""

    uuid: str
    name: str = "NVIDIA H200"
    total: int | None = 140 * GIB
    used: int = 0
    utilization: int | None = 0
    temperature: int | None = 40
    processes: dict[int, int | None] | None = field(default_factory=dict)
    lost: bool = False
    part_of: int | None = None
    """Of a MIG device: the index of its GPU. It is found by its UUID alone."""


class NVMLError(Exception):
    """As pynvml's."""


class FakeNvml:
    """What of pynvml is used."""

    NVML_TEMPERATURE_GPU = 0
    NVMLError = NVMLError

    def __init__(self, gpus: Sequence[FakeGpu], no_driver: bool = False) -> None:
        self.gpus = list(gpus)
        self.no_driver = no_driver
        self.opened = 0

    def nvmlInit(self) -> None:
        if self.no_driver:
            raise NVMLError("Driver Not Loaded")
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlDeviceGetCount(self) -> int:
        return sum(gpu.part_of is None for gpu in self.gpus)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> FakeGpu:
        return _had([gpu for gpu in self.gpus if gpu.part_of is None][index])

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> FakeGpu:
        for gpu in self.gpus:
            if gpu.uuid == uuid:
                return _had(gpu)
        raise NVMLError("Not Found")

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, gpu: FakeGpu) -> FakeGpu:
        if gpu.part_of is None:
            raise NVMLError("Invalid Argument")
        return self.gpus[gpu.part_of]

    def nvmlDeviceGetIndex(self, gpu: FakeGpu) -> int:
        return self.gpus.index(gpu)

    def nvmlDeviceGetUUID(self, gpu: FakeGpu) -> str:
        return gpu.uuid

    def nvmlDeviceGetName(self, gpu: FakeGpu) -> str:
        return gpu.name

    def nvmlDeviceGetMemoryInfo(self, gpu: FakeGpu) -> Any:
        total = _supported(gpu.total)
        return SimpleNamespace(total=total, used=gpu.used, free=total - gpu.used)

    def nvmlDeviceGetUtilizationRates(self, gpu: FakeGpu) -> Any:
        return SimpleNamespace(gpu=_supported(gpu.utilization), memory=0)

    def nvmlDeviceGetTemperature(self, gpu: FakeGpu, sensor: int) -> int:
        assert sensor == self.NVML_TEMPERATURE_GPU
        return _supported(gpu.temperature)

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: FakeGpu) -> list[Any]:
        held = _supported(gpu.processes)
        return [SimpleNamespace(pid=pid, usedGpuMemory=memory) for pid, memory in held.items()]

    def nvmlDeviceGetGraphicsRunningProcesses(self, gpu: FakeGpu) -> list[Any]:
        _supported(gpu.processes)
        return []


def on_path(folder: Path, gpus: Sequence[FakeGpu]) -> Path:
    """A folder for ``PYTHONPATH``, in which ``pynvml`` is this stand-in; `gpus.json` there says the GPUs."""
    folder.mkdir(parents=True, exist_ok=True)
    say(folder, gpus)
    (folder / "fake_nvml.py").write_text(Path(__file__).read_text())
    (folder / "pynvml.py").write_text(
        "from pathlib import Path\n"
        "import fake_nvml, sys\n"
        "sys.modules[__name__] = fake_nvml.from_file(Path(__file__).with_name('gpus.json'))\n"
    )
    return folder


def say(folder: Path, gpus: Sequence[FakeGpu]) -> None:
    """Change the GPUs of a folder of `on_path`."""
    draft = folder / "gpus.draft"
    draft.write_text(json.dumps([asdict(gpu) for gpu in gpus]))
    draft.replace(folder / "gpus.json")


class _FromFile(FakeNvml):
    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__([])

    def nvmlInit(self) -> None:
        super().nvmlInit()
        self.gpus = [_gpu(**told) for told in json.loads(self._path.read_text())]


def from_file(path: Path) -> FakeNvml:
    """As `on_path` says."""
    return _FromFile(path)


def _gpu(**told: Any) -> FakeGpu:
    if told["processes"] is not None:
        told["processes"] = {int(pid): memory for pid, memory in told["processes"].items()}
    return FakeGpu(**told)


def _had(gpu: FakeGpu) -> FakeGpu:
    if gpu.lost:
        raise NVMLError("GPU is lost")
    return gpu


def _supported(value: Any) -> Any:
    if value is None:
        raise NVMLError("Not Supported")
    return value
