"""A widget that shows one picture."""

from __future__ import annotations

from textual.events import Resize
from textual.geometry import Size

from tui.pictures.canvas import PictureCanvas
from tui.pictures.half_cells import Frame, size_in_cells
from tui.pictures.sheet import Sheet


class Picture(PictureCanvas):
    """One picture as large as it fits, its shape kept, from the upper left corner.

    With ``height: auto`` it is as high as the picture is at its width.
    """

    DEFAULT_CSS = """
    Picture {
        width: 1fr;
        height: auto;
    }
    """

    TALLEST = 1000
    """Lines that a picture is fitted into where its height is its own."""

    def __init__(self, frame: Frame | None = None, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._frame = frame

    def show(self, frame: Frame | None) -> None:
        """Show a picture (row, col, rgb) uint8, or none."""
        self._frame = frame
        self._fit()
        if self.styles.auto_dimensions:
            self.refresh(layout=True)

    def on_resize(self, event: Resize) -> None:
        """Fit the picture in anew."""
        self._fit()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The lines of the picture at a width."""
        if self._frame is None or width < 1:
            return 0
        return size_in_cells(self._frame, width, self.TALLEST)[1]

    def _fit(self) -> None:
        width, height = self.size
        self.show_sheet(Sheet() if self._frame is None else Sheet.of_picture(self._frame, width, height))
