"""The pictures of docs/tui.md, made from the app as it runs.

    python -m tests.tui.pictures runs/mazes

writes SVG files to docs/images. The store needs decoded runs (``cosinterp decode runs/mazes --all``).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.tui.driving import until, until_mapped, until_read
from tui.app import CosinterpApp
from tui.screens.frames import Frames
from tui.widgets.film_view import FilmView

IMAGES = Path(__file__).parents[2] / "docs" / "images"


async def picture_of_run(store: Path) -> None:
    """A run's energy by step and layer."""
    app = CosinterpApp(store)
    async with app.run_test(size=(132, 30)) as pilot:
        await until_mapped(pilot)
        await pilot.press(*["right"] * 3, *["down"] * 6)
        app.save_screenshot("tui-run.svg", str(IMAGES))


async def picture_of_frames(store: Path) -> None:
    """The frames of three runs side by side."""
    app = CosinterpApp(store)
    async with app.run_test(size=(132, 25)) as pilot:
        await until_read(pilot)
        await pilot.press("space", "down", "space", "down", "space", "f")
        await pilot.pause()
        assert isinstance(app.screen, Frames)
        views = list(app.screen.query(FilmView))
        await until(pilot, lambda: all(view._is_read for view in views), seconds=120)
        await pilot.press("right", "right")
        await pilot.pause()
        app.save_screenshot("tui-frames.svg", str(IMAGES))


def main() -> None:
    """Make all pictures from the store that is named."""
    store = Path(sys.argv[1]).resolve()
    asyncio.run(picture_of_run(store))
    asyncio.run(picture_of_frames(store))


if __name__ == "__main__":
    main()
