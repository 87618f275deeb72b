"""Pictures on the screen: pixels where the terminal can show them, else half cells.

A `Picture` is a widget that shows one; a `PictureCanvas` shows any number of them between text.
"""

from tui.pictures.canvas import PictureCanvas
from tui.pictures.half_cells import Frame, best_columns, fitted, half_cells
from tui.pictures.picture import Picture
from tui.pictures.sheet import Placed, Sheet

__all__ = [
    "Frame",
    "Picture",
    "PictureCanvas",
    "Placed",
    "Sheet",
    "best_columns",
    "fitted",
    "half_cells",
]
