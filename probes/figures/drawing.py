"""Figures as files and as bytes: texts stay texts, nothing is cut off, equal figures give equal bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stores.errors import StoreError
from stores.hdf5 import why_unreadable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
DPI = 200
"""Of PNG: sharp at the width of a page."""

_PAD = 0.08
# TrueType in PDF, because many publishers refuse Type 3; ids of SVG that depend on the figure alone.
_STYLE: Any = {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.hashsalt": "cosinterp"}
# The time of drawing would make each file another.
_TIMELESS: dict[str, dict[str, Any]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {},
}


def save_figure(figure: Figure, path: Path | str) -> Path:
    """Draw a figure into a file (.png, .svg or .pdf); its folder is made.

    Texts of SVG and PDF are texts: in PDF the font is with them, in SVG others are named to take its place.
    The page is as large as what is on it.

    Raises:
        StoreError: the name ends in something else, or the disk refuses.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise StoreError(f"{path}: the name has to end in {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    content = drawn(figure, path.suffix[1:])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {why_unreadable(error) or error}") from error
    return path


def drawn(figure: Figure, format: str, *, dpi: int = DPI, outlines: bool = False) -> bytes:
    """A figure as a file's bytes.

    Args:
        figure: what is drawn.
        format: "png", "svg" or "pdf".
        dpi: of "png", and of pictures in the others.
        outlines: texts of "svg" as outlines, which look alike where no font is.
    """
    import matplotlib

    made = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        matplotlib.rcParams["svg.fonttype"] = "path" if outlines else "none"
        figure.savefig(
            made, format=format, dpi=dpi, bbox_inches="tight", pad_inches=_PAD, metadata=_TIMELESS[format]
        )
    return made.getvalue()
