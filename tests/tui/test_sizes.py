"""Every place at every size: nothing falls over, and what is focused can be seen."""

from pathlib import Path

import pytest
from textual.pilot import Pilot

from cosinterp.jobs.state import State
from tests.tui.driving import until_read
from tests.tui.job_factory import plant_ended
from tests.tui.store_factory import make_store
from tests.tui.test_traffic import make_noise
from tui.app import CosinterpApp

SIZES = ((40, 12), (1, 1), (80, 24))
"""To which a terminal is made, one after the other; the last is that which it begins with."""

WAYS: dict[str, tuple[str, ...]] = {
    "runs": (),
    "filter": ("slash",),
    "keys": ("question_mark",),
    "a run": ("enter",),
    "quantities": ("enter", "c"),
    "frames": ("f",),
    "results": ("2",),
    "a result": ("2", "enter"),
    "launch": ("3",),
    "jobs": ("4",),
    "GPUs": ("g",),
    "palette": ("ctrl+p",),
}
"""Keys that lead somewhere from the runs."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = make_store(tmp_path_factory.mktemp("stores") / "mazes", [("maze-1", seed) for seed in range(3)])
    make_noise(store)
    return store


def focus_in_sight(pilot: Pilot[None]) -> bool:
    """Whether a cell of the widget with the keys is on the screen."""
    screen = pilot.app.screen
    if screen.focused is None or screen.focused is screen:
        return True
    region = screen.find_widget(screen.focused).visible_region
    return region.area > 0 and screen.region.overlaps(region)


async def test_every_place_bears_every_size(store: Path, app_home: Path) -> None:
    plant_ended(app_home, "trace-1123-0900-fox", State.FINISHED)
    app = CosinterpApp(store)
    async with app.run_test(size=SIZES[-1]) as pilot:
        await until_read(pilot)
        for way, keys in WAYS.items():
            await pilot.press(*keys)
            await pilot.pause(0.1)
            there = type(app.screen)
            for columns, rows in SIZES:
                await pilot.resize_terminal(columns, rows)
                if rows > 1:
                    assert focus_in_sight(pilot), (way, columns, rows, app.screen.focused)
            assert type(app.screen) is there, way
            while len(app.screen_stack) > 1:
                await pilot.press("escape")
            await pilot.press("escape" if way == "filter" else "1")
            if way == "GPUs":
                await pilot.press("g")
