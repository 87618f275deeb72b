"""Pictures: half cells."""

import numpy as np
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll

from tui.pictures import Picture, Placed, Sheet, fitted, half_cells

CHECKERED = np.array([[[250, 0, 0], [0, 250, 0]], [[0, 0, 250], [250, 250, 250]]], np.uint8)


def test_a_picture_keeps_its_shape_in_half_cells() -> None:
    assert fitted(np.zeros((64, 64, 3), np.uint8), 40, 10).shape == (20, 20, 3)
    assert fitted(np.zeros((60, 120, 3), np.uint8), 40, 30).shape == (20, 40, 3)


def test_a_cell_is_two_pixels() -> None:
    ((first, second),) = half_cells(CHECKERED)
    assert first[0] == second[0] == "▀"
    assert first[1].color is not None
    assert first[1].bgcolor is not None
    assert first[1].color.triplet is not None
    assert tuple(first[1].color.triplet) == (252, 4, 4)
    assert first[1].bgcolor.triplet is not None
    assert tuple(first[1].bgcolor.triplet) == (4, 4, 252)


def test_sheets_keep_track_of_their_pictures() -> None:
    inner = Sheet.of_picture(CHECKERED, 4, 4)
    outer = Sheet()
    outer.put(0, 0, [[("a", half_cells(CHECKERED)[0][0][1])]])
    outer.put(3, 1, inner)
    assert [(one.x, one.y, one.columns, one.lines) for one in outer.pictures] == [(3, 1, 4, 2)]
    assert [len(line) for line in outer.lines] == [1, 7, 7]
    assert isinstance(inner.pictures[0], Placed)
    assert inner.pictures[0].x == 0


class Shown(App[None]):
    """A picture above another."""

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Picture(CHECKERED)
            yield Picture()


async def test_a_picture_is_as_high_as_its_width_asks() -> None:
    app = Shown()
    async with app.run_test(size=(20, 30)) as pilot:
        first, second = app.query(Picture)
        assert (first.size.width, first.size.height) == (20, 10)
        assert second.size.height == 0
        second.show(CHECKERED[:1])
        await pilot.pause()
        assert second.size.height == 5
        assert second.line_text(0) == " " * 20
