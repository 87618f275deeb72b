"""Score a decoded video against its scene, by the cells that it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cosinterp.errors import UserError
from cosinterp.organism.rendering import CELL_PX, FLOOR
from cosinterp.organism.scenes import grounding, permanence
from cosinterp.organism.scenes.rendering import CLASS_OF, COLOURS, TARGET, THING, Colour, read_cells

# A latent frame of the end: solved is what shows them right.
_LAST_FRAMES = 2
_BALLS = [CLASS_OF[colour] for colour in permanence.BALL_COLOURS]
_BLOCKS = [CLASS_OF[colour] for colour in COLOURS]
_NAMES: dict[int, Colour] = {kind: colour for colour, kind in CLASS_OF.items()}


@dataclass(frozen=True)
class Exit:
    """The first whole ball that a video shows beyond the wall: in which frame, in which row, its colour."""

    frame: int
    row: int
    colour: Colour


@dataclass(frozen=True)
class PermanenceScore:
    """One video's score.

    Attributes:
        solved: in the last two frames, what has a ball's colour is exactly what has to have it.
        exit: how the ball comes out, None if no whole ball does.
        right_row: it comes out in the right row, whatever its colour and time.
        right_colour: it comes out in its colour.
        in_time: it comes out in the right frame.
        hidden: while it is behind the wall, nothing but the balls at rest has a ball's colour.
        consistent: in every frame but the first, which is given: balls at rest, walls and floor stay what
            they are, wherever no ball is drawn on the floor.
    """

    solved: bool
    exit: Exit | None
    right_row: bool
    right_colour: bool
    in_time: bool
    hidden: bool
    consistent: bool


@dataclass(frozen=True)
class GroundingScore:
    """One video's score.

    Attributes:
        solved: in the last frame, what has a block's colour is exactly what has to have it.
        at_target: the colour of the block that covers the target in the last frame, None if none does.
        right_block: it is the block that the prompt names.
        others_unmoved: in every frame the other blocks are where they were, and nowhere else.
        on_course: share of the frames but the first in which the named block is exactly where it has to be.
        consistent: in every frame but the first, walls, floor and target stay what they are, wherever no
            block is drawn on the floor.
    """

    solved: bool
    at_target: Colour | None
    right_block: bool
    others_unmoved: bool
    on_course: float
    consistent: bool


def score_permanence(video: np.ndarray, truth: Mapping[str, Any]) -> PermanenceScore:
    """Score a video, uint8 (frame, row, col, rgb), against the truth of a `PermanenceScene`.

    Raises:
        UserError: the video's size or length is not that of the scene.
    """
    true = permanence.cell_video(truth)
    cells = _read(video, true)
    drawn, wanted = _only(cells, _BALLS), _only(true, _BALLS)
    resting = np.asarray(truth["resting"]) > 0
    hidden = np.asarray(truth["hidden"]).astype(bool)
    found = find_exit(cells, truth)
    return PermanenceScore(
        solved=bool(np.array_equal(drawn[-_LAST_FRAMES:], wanted[-_LAST_FRAMES:])),
        exit=found,
        right_row=found is not None and found.row == int(truth["exit_row"]),
        right_colour=found is not None and found.colour == str(truth["colour"]),
        in_time=found is not None and found.frame == int(truth["exit_frame"]),
        hidden=not drawn[hidden][:, ~resting].any(),
        consistent=_consistent(cells, permanence.still_cells(truth), _BALLS),
    )


def find_exit(cells: np.ndarray, truth: Mapping[str, Any]) -> Exit | None:
    """How the ball comes out in cells (frame, row, col): the first frame that shows one whole ball, and no
    more, beyond the wall; None if there is no such frame."""
    # The rows of wall at ceiling and floor say nothing of columns.
    columns = np.flatnonzero(np.asarray(truth["walls"])[1])
    beyond = np.zeros(cells.shape[1:], dtype=bool)
    if str(truth["direction"]) == "right":
        beyond[:, columns[-1] + 1 :] = True
    else:
        beyond[:, : columns[0]] = True
    beyond &= np.asarray(truth["resting"]) == 0
    first = int(np.flatnonzero(np.asarray(truth["hidden"]))[0])
    for frame in range(first, len(cells)):
        whole = [(row, kind) for kind in _BALLS for row, _ in _things((cells[frame] == kind) & beyond)]
        if len(whole) == 1:
            row, kind = whole[0]
            return Exit(frame, row, _NAMES[kind])
    return None


def score_grounding(video: np.ndarray, truth: Mapping[str, Any]) -> GroundingScore:
    """Score a video, uint8 (frame, row, col, rgb), against the truth of a `GroundingScene`.

    Raises:
        UserError: the video's size or length is not that of the scene.
    """
    true = grounding.cell_video(truth)
    cells = _read(video, true)
    drawn, wanted = _only(cells, _BLOCKS), _only(true, _BLOCKS)
    named = CLASS_OF[truth["named"]]
    others = [kind for kind in _BLOCKS if kind != named]
    at_target = block_at_target(cells[-1], truth)
    on_course = ((cells == named) == (true == named)).all(axis=(1, 2))
    return GroundingScore(
        solved=bool(np.array_equal(drawn[-1], wanted[-1])),
        at_target=at_target,
        right_block=at_target == str(truth["named"]),
        others_unmoved=bool(np.array_equal(_only(cells, others)[1:], _only(true, others)[1:])),
        on_course=float(on_course[1:].mean()),
        consistent=_consistent(cells, grounding.still_cells(truth), _BLOCKS),
    )


def block_at_target(cells: np.ndarray, truth: Mapping[str, Any]) -> Colour | None:
    """The colour of the block that covers all of the target in cells (row, col), None if none does."""
    row, col = np.asarray(truth["target"]).tolist()
    kinds = np.unique(cells[row : row + THING, col : col + THING])
    return _NAMES.get(int(kinds[0])) if len(kinds) == 1 else None


def _read(video: np.ndarray, true: np.ndarray) -> np.ndarray:
    frames, *sides = true.shape
    height, width = (CELL_PX * side for side in sides)
    if video.shape[:3] != (frames, height, width):
        shown = " x ".join(map(str, video.shape[:3]))
        raise UserError(
            f"the video has {shown} frames and px, but this scene is drawn at {frames} x {height} x {width}"
        )
    return read_cells(video)


def _only(cells: np.ndarray, kinds: list[int]) -> np.ndarray:
    """Cells of some classes, 0 elsewhere."""
    return np.where(np.isin(cells, kinds), cells, 0)


def _things(covered: np.ndarray) -> np.ndarray:
    """Places of all squares of a thing's size that are covered wholly, (square, 2)."""
    windows = np.lib.stride_tricks.sliding_window_view(covered, (THING, THING))
    return np.argwhere(windows.all(axis=(2, 3)))


def _consistent(cells: np.ndarray, still: np.ndarray, movers: list[int]) -> bool:
    """Whether all but the first frame keep what does not move: of it only floor and target may be covered."""
    covered = np.isin(cells, movers) & np.isin(still, [FLOOR, TARGET])
    return bool(((cells == still) | covered)[1:].all())
