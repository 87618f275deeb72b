"""Which GPUs there are, and which of them a text names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cosinterp.devices import (
    DeviceError,
    Gpu,
    GpuProcess,
    NvmlMissing,
    free_gpus,
    gpus,
    one_device,
    parse_devices,
    visible_gpus,
)
from tests.unit.devices.fake_nvml import GIB, FakeGpu, FakeNvml, on_path, say

FOUR = [FakeGpu(f"GPU-{letter}{letter}") for letter in "abcd"]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)


def there_are(monkeypatch: pytest.MonkeyPatch, there: Sequence[FakeGpu], no_driver: bool = False) -> FakeNvml:
    fake = FakeNvml(there, no_driver)
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def test_a_gpu_is_told_as_the_driver_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = FakeGpu(
        "GPU-b", used=30 * GIB, utilization=97, temperature=61, processes={7: 20 * GIB, 8: 10 * GIB}
    )
    fake = there_are(monkeypatch, [FakeGpu("GPU-a"), busy])
    assert gpus()[1] == Gpu(
        index=1,
        uuid="GPU-b",
        name="NVIDIA H200",
        memory_total=140 * GIB,
        memory_used=30 * GIB,
        memory_free=110 * GIB,
        utilization=97,
        temperature=61,
        processes=(GpuProcess(7, 20 * GIB), GpuProcess(8, 10 * GIB)),
    )
    assert gpus()[1].memory_of({7}) == 20 * GIB
    assert gpus()[1].memory_of_others({7}) == 10 * GIB
    assert fake.opened == 0


def test_what_a_gpu_does_not_say_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, [FakeGpu("GPU-a", total=None, utilization=None, temperature=None, processes=None)])
    told = gpus()[0]
    assert (told.memory_total, told.memory_free, told.utilization, told.temperature) == (None,) * 4
    assert told.processes is None
    assert told.memory_of({1}) is None


def test_memory_of_a_process_that_the_driver_does_not_say_is_not_counted_as_none_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there_are(monkeypatch, [FakeGpu("GPU-a", processes={7: None, 8: 10 * GIB})])
    assert gpus()[0].memory_of({8}) == 10 * GIB
    assert gpus()[0].memory_of_others({8}) is None


def test_a_lost_gpu_is_left_out_and_the_others_keep_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, [FakeGpu("GPU-a", lost=True), FakeGpu("GPU-b")])
    assert [(gpu.index, gpu.uuid) for gpu in gpus()] == [(1, "GPU-b")]


def test_without_a_driver_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, [], no_driver=True)
    with pytest.raises(NvmlMissing, match="Driver Not Loaded"):
        gpus()


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(NvmlMissing, match="pip install nvidia-ml-py"):
        gpus()


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        (None, "abcd"),
        ("2,0", "ca"),
        ("GPU-d,GPU-bb", "db"),
        ("1,GPU-c", "bc"),
        ("", ""),
        ("-1", ""),
        ("NoDevFiles", ""),
        # CUDA reads up to the first that is not there.
        ("1,7,0", "b"),
        ("0,0", ""),
        # Of all four: it names none.
        ("GPU-", ""),
    ],
)
def test_torch_counts_the_gpus_that_are_visible(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, expected: str
) -> None:
    there_are(monkeypatch, FOUR)
    seen = visible_gpus({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    assert list(seen) == [f"cuda:{number}" for number in range(len(expected))]
    assert "".join(gpu.uuid[-1] for gpu in seen.values()) == expected


def test_a_part_of_a_gpu_is_found_by_its_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    part = FakeGpu("MIG-x", total=20 * GIB, utilization=None, temperature=None, part_of=1)
    there_are(monkeypatch, [*FOUR, part])
    seen = visible_gpus({"CUDA_VISIBLE_DEVICES": "MIG-x"})
    assert seen["cuda:0"].memory_free == 20 * GIB
    assert (seen["cuda:0"].index, seen["cuda:0"].utilization) == (1, None)


def test_of_gpus_that_differ_the_order_has_to_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, [FakeGpu("GPU-a", name="NVIDIA T4"), FakeGpu("GPU-b")])
    with pytest.raises(DeviceError, match="set CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        visible_gpus({"CUDA_VISIBLE_DEVICES": "0"})
    in_order = {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert visible_gpus(in_order)["cuda:0"].uuid == "GPU-b"
    # A UUID names one in any order.
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "GPU-b"})["cuda:0"].uuid == "GPU-b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cpu", ["cpu"]),
        ("cpu,cpu", ["cpu", "cpu"]),
        ("cuda", ["cuda"]),
        ("cuda:2", ["cuda:2"]),
        ("cuda:0,2", ["cuda:0", "cuda:2"]),
        ("3,1", ["cuda:3", "cuda:1"]),
        ("cuda:0, cuda:3", ["cuda:0", "cuda:3"]),
        ("cuda:1-3", ["cuda:1", "cuda:2", "cuda:3"]),
    ],
)
def test_a_text_names_devices(monkeypatch: pytest.MonkeyPatch, text: str, expected: list[str]) -> None:
    there_are(monkeypatch, FOUR)
    assert list(parse_devices(text)) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpu0", '"gpu0" names no device'),
        ("", '"" names no device'),
        ("cuda:0,", '"" names no device'),
        ("cuda:x", '"cuda:x" names no device'),
        ("cuda:3-1", "goes backwards"),
        ("cuda:1,1", "cuda:1 is named twice"),
        ("cuda,0", "cuda:0 is named twice"),
        ("cpu,cuda:0", "either GPUs or the CPU"),
        ("cuda:4", "there is no cuda:4: 4 GPUs can be seen here"),
        ("free:5", "4 GPUs can be seen here"),
        ("free:0", "at least one"),
    ],
)
def test_what_names_no_devices_is_refused(monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    there_are(monkeypatch, FOUR)
    with pytest.raises(DeviceError, match=said) as raised:
        parse_devices(text)
    assert "\n" not in str(raised.value)


def test_devices_are_those_that_are_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, FOUR)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert parse_devices("cuda:0") == ("cuda:0",)
    with pytest.raises(DeviceError, match="there is no cuda:1: 1 GPU can be seen"):
        parse_devices("cuda:0,1")


def test_the_freest_gpus_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(
        monkeypatch,
        [
            FakeGpu("GPU-a", used=90 * GIB),
            FakeGpu("GPU-b", used=10 * GIB, utilization=80),
            FakeGpu("GPU-c", used=10 * GIB, utilization=5),
            FakeGpu("GPU-d", total=None),
        ],
    )
    assert free_gpus(4) == ("cuda:2", "cuda:1", "cuda:0", "cuda:3")
    assert parse_devices("free") == ("cuda:2",)
    # By torch's numbers, not the machine's.
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert parse_devices("free:2") == ("cuda:1", "cuda:0")


def test_without_a_driver_torch_says_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, [], no_driver=True)
    assert parse_devices("cuda:0,1") == ("cuda:0", "cuda:1")
    with pytest.raises(NvmlMissing, match=r"--device free needs the driver .* Driver Not Loaded"):
        parse_devices("free")


def test_one_device_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    there_are(monkeypatch, FOUR)
    assert one_device(None) is None
    assert one_device("free") == "cuda:0"
    with pytest.raises(DeviceError, match="this takes one device, and these are 2"):
        one_device("cuda:0,2")


def test_other_processes_can_be_shown_gpus_too(tmp_path: Path) -> None:
    folder = on_path(tmp_path / "fake", FOUR)
    program = "from cosinterp.devices import gpus; print([gpu.uuid for gpu in gpus()])"
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{Path.cwd()}"}
    for there in (FOUR, FOUR[:1]):
        say(folder, there)
        said = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        assert said.stdout.strip() == str([gpu.uuid for gpu in there])
