"""GPUs that are missing, busy, hidden, too old, or that torch cannot use."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cosinterp import devices
from cosinterp.devices import Gpu, GpuProcess, NvmlMissing
from cosinterp.doctor import gpus, torch_report
from tests.unit.doctor.asked import asked

GB = 10**9
SAID = {
    "version": "2.9.0+cu128",
    "cuda": "12.8",
    "hip": None,
    "threads": 8,
    "mps": False,
    "available": True,
    "error": "",
    "devices": [{"index": 0, "name": "NVIDIA H200", "capability": [9, 0], "memory_total": 150 * GB}],
    "warnings": [],
}
Machine = Callable[..., None]


def gpu(index: int = 0, used: int = 0, processes: tuple[GpuProcess, ...] = ()) -> Gpu:
    return Gpu(
        index=index,
        uuid=f"GPU-secret-{index}",
        name="NVIDIA H200",
        memory_total=150 * GB,
        memory_used=used,
        memory_free=150 * GB - used,
        utilization=12,
        temperature=41,
        processes=processes,
    )


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Sets what the driver and torch say."""

    def answer(result: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    def of(*, there: Any = (), driver: int = 12080, **said: Any) -> None:
        library = SimpleNamespace(
            nvmlSystemGetDriverVersion=lambda: b"570.86.10", nvmlSystemGetCudaDriverVersion=lambda: driver
        )
        monkeypatch.setattr(
            devices, "gpus", lambda: answer(there if isinstance(there, Exception) else list(there))
        )
        monkeypatch.setattr(gpus, "opened", lambda: nullcontext(library))
        monkeypatch.setattr(gpus, "ask_torch", lambda: SAID | said)

    return of


def test_gpus_are_told_with_what_is_free(machine: Machine) -> None:
    machine(there=[gpu(), gpu(1)])
    found = asked(gpus.nvml)
    assert found["driver"].value == "570.86.10, CUDA up to 12.8"
    assert (found["GPU 1"].state, found["GPU 1"].value) == (
        "ok",
        "NVIDIA H200, 150 GB free of 150 GB, 12 % busy",
    )
    assert "secret" not in str(found)


def test_memory_that_others_hold_is_noted(machine: Machine) -> None:
    machine(there=[gpu(used=70 * GB, processes=(GpuProcess(1, 70 * GB),))])
    found = asked(gpus.nvml)["GPU 0"]
    assert found.state == "note"
    assert "80.0 GB free" in found.value
    assert "held by 1 program" in found.value
    assert "70.0 GB" in found.meaning
    assert "--device free" in found.advice


def test_without_a_driver_models_run_on_the_processor(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpus, "_KERNEL_MODULE", tmp_path / "none")
    machine(there=NvmlMissing("no NVIDIA driver answers here"), available=False, cuda=None, devices=[])
    found = asked(gpus.nvml)["driver"]
    assert (found.state, found.value) == ("note", "no NVIDIA driver answers here")
    assert "processor" in found.meaning
    on_gpus = asked(gpus.torch)["torch on GPUs"]
    assert (on_gpus.state, on_gpus.is_lacking) == ("note", False)


def test_a_driver_whose_library_does_not_answer_is_a_lack(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpus, "_KERNEL_MODULE", tmp_path)
    machine(there=NvmlMissing("Driver/library version mismatch"))
    found = asked(gpus.nvml)["driver"]
    assert (found.state, found.is_lacking) == ("lack", False)
    assert "Restart" in found.advice


def test_torch_on_a_gpu_says_what_the_gpu_can(machine: Machine) -> None:
    machine(there=[gpu()])
    found = asked(gpus.torch)
    assert found["torch on GPUs"].value == "1 GPU, built for CUDA 12.8"
    assert found["cuda:0"].value == "NVIDIA H200, compute capability 9.0: bf16, fp8"
    assert {one.state for one in found.values()} == {"ok"}


@pytest.mark.parametrize(
    ("capability", "state", "text"),
    [([7, 5], "note", "no bf16"), ([8, 0], "ok", "bf16, no fp8"), ([8, 9], "ok", "bf16, fp8")],
)
def test_what_a_gpu_can_follows_from_its_compute_capability(
    machine: Machine, capability: list[int], state: str, text: str
) -> None:
    machine(there=[gpu()], devices=[SAID["devices"][0] | {"capability": capability}])  # type: ignore[index]
    found = asked(gpus.torch)["cuda:0"]
    assert found.state == state
    assert found.value.endswith(text)


NO_CUDA = {"available": False, "devices": []}
UNUSED = [
    ({"cuda": None, "version": "2.9.0+cpu"}, 12080, "is built without CUDA"),
    ({"cuda": "13.0"}, 12080, "is built for CUDA 13.0, and the driver goes up to CUDA 12"),
    ({"cuda": "12.8", "error": "CUDA unknown error"}, 12080, "CUDA unknown error"),
]


@pytest.mark.parametrize(("said", "driver", "why"), UNUSED)
def test_a_gpu_that_torch_cannot_use_is_a_need(
    machine: Machine, said: dict[str, Any], driver: int, why: str
) -> None:
    machine(there=[gpu()], driver=driver, **NO_CUDA | said)
    found = asked(gpus.torch)["torch on GPUs"]
    assert (found.state, found.value, found.is_lacking) == ("lack", "none of 1 GPU", True)
    assert why in found.meaning
    assert found.advice


def test_hidden_gpus_are_no_lack(machine: Machine) -> None:
    machine(there=[gpu()], **NO_CUDA)
    found = asked(gpus.torch, environ={"CUDA_VISIBLE_DEVICES": ""})["torch on GPUs"]
    assert (found.state, found.is_lacking) == ("note", False)
    assert "CUDA_VISIBLE_DEVICES hides them" in found.meaning


def test_some_hidden_gpus_are_noted(machine: Machine) -> None:
    machine(there=[gpu(), gpu(1)])
    found = asked(gpus.torch, environ={"CUDA_VISIBLE_DEVICES": "1"})["torch on GPUs"]
    assert found.state == "note"
    assert "The driver sees 2; CUDA_VISIBLE_DEVICES=1" in found.meaning


def test_what_torch_warns_of_is_passed_on(machine: Machine) -> None:
    machine(there=[gpu()], warnings=["sm_50 is not compatible"])
    assert asked(gpus.torch)["torch warns"].value == "sm_50 is not compatible"


def program(monkeypatch: pytest.MonkeyPatch, path: Path, text: str) -> None:
    """Puts ``text`` in the place of the program that imports torch."""
    path.write_text(text)
    monkeypatch.setattr(torch_report, "__file__", str(path))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("raise ImportError('libcudart.so.12: not found')", "ImportError: libcudart.so.12: not found"),
        ("import os; os.abort()", "ended by SIGABRT"),
        ("raise SystemExit(3)", "exit code 3"),
    ],
)
def test_a_torch_that_does_not_load_is_a_need(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, told: str
) -> None:
    program(monkeypatch, tmp_path / "report.py", text)
    found = asked(gpus.torch)
    assert found.keys() == {"torch loads"}
    assert (found["torch loads"].value, found["torch loads"].is_lacking) == (told, True)


def test_a_torch_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[subprocess.Popen[str]] = []
    start = subprocess.Popen

    def remembered(*words: Any, **how: Any) -> subprocess.Popen[str]:
        started.append(start(*words, **how))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remembered)
    program(monkeypatch, tmp_path / "report.py", "import time; time.sleep(60)")
    with pytest.raises(gpus.TorchFails, match="no answer within 0.3 s"):
        gpus.ask_torch(limit=0.3)
    assert started[0].wait(10) == -signal.SIGKILL


def test_torch_itself_answers() -> None:
    import torch

    said = gpus.ask_torch()
    assert (said["version"], said["cuda"]) == (torch.__version__, torch.version.cuda)
    assert said["available"] == torch.cuda.is_available()
    assert said.keys() == SAID.keys()
