"""Pictures of videos: frames scaled to a readable size, labelled, and laid out steps by frames.

Laid out pixel by pixel (Pillow, not matplotlib): a small video is enlarged by a whole factor with nearest
neighbour, so that every pixel of it is seen as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Frames = NDArray[np.uint8]
"""(frame, row, col, rgb)"""

INK = (32, 32, 32)
FAINT = (112, 112, 112)
PAPER = (255, 255, 255)

_GAP = 6
_MARGIN = 16
_TEXT = 15


@dataclass(frozen=True)
class StripRow:
    """One row of a film strip: `label` and fainter `note` left of `frames` (frame, row, col, rgb) uint8."""

    label: str
    note: str
    frames: Frames


def enlargement(height: int, width: int, least: int) -> int:
    """The whole factor that brings the longer side of a small picture to at least `least` px; else 1."""
    return max(1, -(-least // max(height, width)))


def enlarge(frames: Frames, least: int) -> Frames:
    """Frames (..., row, col, rgb) enlarged by nearest neighbour, the longer side to at least `least` px."""
    factor = enlargement(frames.shape[-3], frames.shape[-2], least)
    return frames.repeat(factor, axis=-3).repeat(factor, axis=-2) if factor > 1 else frames


def fit(frame: Frames, least: int, most: int) -> Frames:
    """One frame (row, col, rgb) brought between `least` and `most` px on its longer side, its shape kept."""
    height, width = frame.shape[:2]
    if max(height, width) <= most:
        return enlarge(frame, least)
    scale = most / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BOX))


def choose_frames(count: int, most: int) -> list[int]:
    """At most `most` of `count` frames, the first and the last among them, evenly spaced if possible."""
    if count < 1 or most < 2:
        raise ValueError(f"cannot choose {most} of {count} frames: at least 2 of at least 1 are needed")
    if count <= most:
        return list(range(count))
    for chosen in range(most, max(2, most // 2), -1):
        if (count - 1) % (chosen - 1) == 0:
            return list(range(0, count, (count - 1) // (chosen - 1)))
    return [round(index) for index in np.linspace(0, count - 1, most)]


def film_strip(
    rows: Sequence[StripRow],
    *,
    title: str,
    caption: Sequence[str] = (),
    final_frame: Frames | None = None,
    frame_numbers: Sequence[int] | None = None,
    least: int = 112,
    most: int = 224,
) -> Image.Image:
    """Rows of frames as one picture: steps downwards, frames to the right.

    All rows hold frames of one shape; `frame_numbers` (default 0, 1, ...) says which of the video they are.
    `final_frame` (row, col, rgb) uint8, when known, stands apart to the right of the last row, next to the
    final estimate that it is to be compared with. Frames are brought between `least` and `most` px.
    """
    if not rows:
        raise ValueError("a film strip needs at least one row")
    shapes = {row.frames.shape for row in rows}
    if len(shapes) > 1:
        raise ValueError(f"rows of a film strip must share one shape, not {sorted(shapes)}")
    columns = range(len(rows[0].frames)) if frame_numbers is None else frame_numbers
    cells = [[fit(frame, least, most) for frame in row.frames] for row in rows]
    height, width = cells[0][0].shape[:2]
    big, text, small = _font(_TEXT + 3, bold=True), _font(_TEXT), _font(_TEXT - 2)

    label_width = int(max(max(text.getlength(row.label), small.getlength(row.note)) for row in rows)) + 14
    left = _MARGIN + label_width
    truth_gap = 28 if final_frame is not None else 0
    grid_width = len(columns) * (width + _GAP) - _GAP
    total_width = left + grid_width + (truth_gap + width if final_frame is not None else 0) + _MARGIN
    total_width = max(
        total_width,
        int(big.getlength(title)) + 2 * _MARGIN,
        *(int(small.getlength(line)) + 2 * _MARGIN for line in caption),
    )
    top = _MARGIN + 56
    grid_height = len(rows) * (height + _GAP) - _GAP
    total_height = top + grid_height + (10 + 20 * len(caption) if caption else 0) + _MARGIN

    picture = Image.new("RGB", (total_width, total_height), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((_MARGIN, _MARGIN), title, font=big, fill=INK)
    for place, column in enumerate(columns):
        x = left + place * (width + _GAP) + width // 2
        draw.text((x, top - 6), f"frame {column}", font=small, fill=FAINT, anchor="ms")
    for index, (row, line) in enumerate(zip(rows, cells, strict=True)):
        y = top + index * (height + _GAP)
        middle = y + height // 2
        draw.text((left - 12, middle - 1), row.label, font=text, fill=INK, anchor="rs")
        draw.text((left - 12, middle + 16), row.note, font=small, fill=FAINT, anchor="rs")
        for place, cell in enumerate(line):
            picture.paste(Image.fromarray(cell), (left + place * (width + _GAP), y))
    if final_frame is not None:
        x = left + grid_width + truth_gap
        y = top + (len(rows) - 1) * (height + _GAP)
        truth = Image.fromarray(fit(final_frame, least, most)).resize(
            (width, height), Image.Resampling.NEAREST
        )
        picture.paste(truth, (x, y))
        draw.line([(x - truth_gap // 2, y), (x - truth_gap // 2, y + height)], fill=FAINT)
        draw.text((x + width // 2, y - 6), "true final frame", font=small, fill=INK, anchor="ms")
    for index, line in enumerate(caption):
        draw.text((_MARGIN, top + grid_height + 14 + 20 * index), line, font=small, fill=FAINT)
    return picture


def labelled(frame: Frames, label: str, *, least: int = 320) -> Frames:
    """One frame (row, col, rgb) enlarged, with a line of text above it; the height and width come out even.

    Even sides: the usual video encoding (yuv420p) takes no others.
    """
    large = enlarge(frame, least)
    height, width = large.shape[:2]
    band = 32
    picture = Image.new("RGB", (width + width % 2, height + height % 2 + band), PAPER)
    picture.paste(Image.fromarray(large), (0, band))
    ImageDraw.Draw(picture).text((8, band // 2), label, font=_font(_TEXT), fill=INK, anchor="lm")
    return np.asarray(picture)


def side_by_side(frames: Frames, gap: int = 4) -> Frames:
    """Frames (frame, row, col, rgb) beside one another on white: one picture (row, col, rgb)."""
    height = frames.shape[1]
    between = np.full((height, gap, 3), 255, dtype=np.uint8)
    parts = [part for frame in frames for part in (between, frame)][1:]
    return np.concatenate(parts, axis=1)


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)
