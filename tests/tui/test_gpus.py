"""What is shown of GPUs: in the line of places, in the panel, and when the driver is in trouble."""

import sys
import threading
from pathlib import Path

import pytest
from textual.pilot import Pilot

from cosinterp.devices.gpu import Gpu
from cosinterp.jobs.home import host
from cosinterp.jobs.state import State
from cosinterp.jobs.status import Status
from tests.tui.driving import screen_text, shown_text, until, until_read
from tests.tui.store_factory import make_store
from tests.unit.devices.fake_nvml import GIB, FakeGpu, FakeNvml
from tui.app import CosinterpApp
from tui.gpus import watch
from tui.gpus.lines import gpu_lines
from tui.gpus.summary import summaries
from tui.memory import Memory
from tui.opening import OpeningApp


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "mazes", [("maze-1", 0)])


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml([FakeGpu("GPU-a", used=61 * GIB, utilization=87, temperature=64)])
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.setattr(watch, "_PACE", 0.05)
    return fake


def gpu(index: int, used: int | None = 0, utilization: int | None = 0, temperature: int | None = 40) -> Gpu:
    total = None if used is None else 140 * GIB
    return Gpu(index, f"GPU-{index}", "NVIDIA H200", total, used, None, utilization, temperature, None)


def living(name: str, *devices: str, on: str = "") -> Status:
    return Status(name, None, ("trace",), "/", State.RUNNING, 1, 0.0, host=on or host(), devices=devices)


def panel(pilot: Pilot[None]) -> list[str]:
    """The lines of the panel as a terminal would show them."""
    lines = screen_text(pilot)
    head = next((place for place, line in enumerate(lines) if "GPUs" in line and "─" in line), len(lines))
    return [line.rstrip() for line in lines[head + 1 : -1]]


def test_one_gpu_is_told_by_its_numbers_in_ever_fewer_words() -> None:
    assert summaries([gpu(0, 61 * GIB, 87, 64)]) == [
        "GPU 87 %  61 of 140 GiB  64 °C",
        "GPU 87 %  61 of 140 GiB",
        "GPU 87 %",
    ]
    assert summaries([gpu(0, None, None, None)]) == ["GPU 0"]


def test_many_gpus_are_told_by_how_many_are_idle_and_the_sum() -> None:
    seen = [gpu(0, 10 * GIB, 3), gpu(1, 20 * GIB, 90), gpu(2, None, None)]
    assert summaries(seen) == ["3 GPUs, 1 idle  30 of 280 GiB", "3 GPUs, 1 idle", "3 GPUs"]
    assert summaries([]) == []


def test_a_line_has_bars_numbers_and_the_jobs_that_hold_the_gpu_on_this_machine() -> None:
    jobs = [
        living("trace-kite", "GPU 1"),
        living("patch-fox", "GPU 10", "GPU 1"),
        living("far-away", "GPU 1", on="another"),
    ]
    first, second = gpu_lines([gpu(0), gpu(1, 70 * GIB, 50, 64)], jobs, host(), 90)
    assert first.rstrip() == "0  ░░░░░░░░░░░░   0 %  ░░░░░░░░░░░░   0 of 140 GiB  40 °C"
    assert second == "1  ██████░░░░░░  50 %  ██████░░░░░░  70 of 140 GiB  64 °C  trace-kite, patch-fox"


@pytest.mark.parametrize("width", [10, 36, 60, 80, 200])
def test_lines_never_go_beyond_their_room(width: int) -> None:
    seen = [gpu(place, None if place == 2 else place * GIB, None if place == 3 else 99) for place in range(8)]
    lines = gpu_lines(seen, [living("a-job-with-quite-a-long-name-kite", "GPU 0")], host(), width)
    assert len(lines) == 8
    assert max(map(len, lines)) <= width
    assert all(line.startswith(str(place)) for place, line in enumerate(lines))


async def test_the_panel_follows_the_gpus_and_can_be_put_away(store: Path, nvml: FakeNvml) -> None:
    async with CosinterpApp(store).run_test(size=(80, 24)) as pilot:
        await until_read(pilot)
        await until(pilot, lambda: "GPU 87 %  61 of 140 GiB  64 °C" in screen_text(pilot)[0])
        await pilot.press("g")
        await until(pilot, lambda: len(panel(pilot)) == 1 and "87 %" in panel(pilot)[0])
        nvml.gpus = [
            FakeGpu(f"GPU-{n}", used=n * GIB, utilization=None if n == 2 else 3 * n, lost=n == 5)
            for n in range(8)
        ]
        await until(pilot, lambda: len(panel(pilot)) == 7)
        assert [line.split()[0] for line in panel(pilot)] == list("0123467")
        assert "?" in panel(pilot)[2]
        assert "7 GPUs, 2 idle" in screen_text(pilot)[0]
        nvml.gpus = []
        await until(pilot, lambda: "no GPU: the NVIDIA driver knows of none" in shown_text(pilot))
        assert "GPU" not in screen_text(pilot)[0]
        await pilot.press("g")
        await until(pilot, lambda: panel(pilot) == [])


async def test_the_panel_stays_from_screen_to_screen_and_scrolls_where_there_is_no_room(
    store: Path, nvml: FakeNvml
) -> None:
    nvml.gpus = [FakeGpu(f"GPU-{n}", utilization=n) for n in range(8)]
    async with CosinterpApp(store).run_test(size=(40, 12)) as pilot:
        await until_read(pilot)
        await pilot.press("g")
        await until(pilot, lambda: "5 %" not in shown_text(pilot) and "0 %" in shown_text(pilot))
        await pilot.press("tab", "tab", "end")
        await until(pilot, lambda: "7 %" in shown_text(pilot))
        await pilot.press("enter")
        await pilot.press("question_mark", "escape", "f")
        await until(pilot, lambda: bool(panel(pilot)))


@pytest.mark.parametrize("kind", [CosinterpApp, OpeningApp])
async def test_the_panel_is_there_again_at_the_next_start(store: Path, kind: type[CosinterpApp]) -> None:
    memory = Memory()
    memory.put("gpus", True)
    async with kind(store, memory=memory).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "no GPU: " in shown_text(pilot))
        await pilot.press("g")
        await until(pilot, lambda: panel(pilot) == [])
        assert memory.get("gpus", True) is False


async def test_without_a_driver_the_panel_says_so_and_the_bar_nothing(store: Path, nvml: FakeNvml) -> None:
    nvml.no_driver = True
    async with CosinterpApp(store).run_test(size=(80, 24)) as pilot:
        await until_read(pilot)
        await pilot.press("g")
        await until(pilot, lambda: "no GPU: no NVIDIA driver answers here" in shown_text(pilot))
        assert screen_text(pilot)[0].strip() == "1 Runs  2 Results  3 Launch  4 Jobs"


async def test_a_driver_that_hangs_is_said_to_and_stops_nothing(
    store: Path, nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    count = nvml.nvmlDeviceGetCount

    def hang() -> int:
        answers.wait()
        return count()

    monkeypatch.setattr(nvml, "nvmlDeviceGetCount", hang)
    monkeypatch.setattr(watch, "PATIENCE", 0.1)
    app = CosinterpApp(store)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            await until_read(pilot)
            await pilot.press("g")
            await until(pilot, lambda: "no GPU: the NVIDIA driver does not answer" in shown_text(pilot))
            answers.set()
            await until(pilot, lambda: "87 %" in screen_text(pilot)[0])
            answers.clear()
            await pilot.press("q")
            await pilot.pause()
        assert not app.is_running
    finally:
        answers.set()
