"""Grounding: of several blocks, the one that the prompt names has to move to the target.

Three or four blocks of different colours lie on the floor. The named one moves straight to the target, at an
even pace; the others stay where they are. Whichever is named has a free way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from cosinterp.organism.mazes import Cell, Split
from cosinterp.organism.rendering import FLOOR, NUM_FRAMES, WALL
from cosinterp.organism.scenes.rendering import (
    CLASS_OF,
    COLOURS,
    SIDE,
    TARGET,
    THING,
    Colour,
    apart,
    by_latent_frame,
    draw,
    footprint,
)
from cosinterp.organism.scenes.splits import check_number, split_of

TASK = "grounding"
_TEMPLATES = (
    "Move the {colour} block to the target.",
    "Push the {colour} block onto the target.",
    "Bring the {colour} block to the target.",
    "The {colour} block goes to the target.",
    "Put the {colour} block where the target is.",
)
PROMPTS: dict[Colour, tuple[str, ...]] = {
    colour: tuple(template.format(colour=colour) for template in _TEMPLATES) for colour in COLOURS
}
# First and last row and column that a thing can be in: a ring of wall lies around the floor.
_FIRST, _LAST = 1, SIDE - 1 - THING
_MIN_BLOCKS = 3
# In rows or columns, whichever is more.
_MIN_DISTANCE = 4
_STREAM = 2


@dataclass(frozen=True)
class GroundingScene:
    """One scene.

    Attributes:
        number: what made it (with ``split``).
        split: ``"train"`` or ``"test"``, a hash of its blocks and its target.
        blocks: colour and place of each block, in the order of `COLOURS`.
        target: its place.
        named: the block that the prompt names.
    """

    task: ClassVar[str] = TASK
    number: int
    split: Split
    blocks: tuple[tuple[Colour, Cell], ...]
    target: Cell
    named: Colour

    @property
    def kind(self) -> str:
        """Which prompts are its prompts."""
        return f"{TASK}-{self.named}"

    def course(self) -> list[Cell]:
        """The place of the named block in each frame."""
        return _course(dict(self.blocks)[self.named], self.target)

    def cells(self) -> np.ndarray:
        """Cell classes, uint8 (frame, row, col)."""
        return cell_video(self.truth())

    def crossed(self) -> np.ndarray:
        """Cells that a block is in at some time, whichever is named, bool (row, col)."""
        return footprint(place for _, start in self.blocks for place in _course(start, self.target))

    def counterfactuals(self) -> dict[str, GroundingScene]:
        """The same scene with another block named: the next in the order of colours."""
        names = [name for name, _ in self.blocks]
        after = names[(names.index(self.named) + 1) % len(names)]
        return {"named": replace(self, named=after)}

    def truth(self) -> dict[str, Any]:
        """What is known of the scene. Arrays lie on the token grid of scene-wan, unless said otherwise.

        Returns:
            ``task`` "grounding"; ``named`` (the colour that the prompt names); ``count`` of blocks;
            ``distance`` (rows or columns that it moves, whichever is more); ``walls`` (uint8 (row, col));
            ``blocks`` (uint8 (row, col): the cell class of each block in the first frame, 0 elsewhere);
            ``on_named`` (uint8 (row, col): the named block in the first frame); ``target`` (int64 (2,): its
            place); ``moving`` (uint8 (latent frame, row, col): the named block is there in a frame of the
            latent frame); ``course`` (int64 (frame, 2): its place in each frame of the video).
        """
        course = self.course()
        blocks = np.zeros((SIDE, SIDE), dtype=np.uint8)
        for name, place in self.blocks:
            draw(blocks, place, CLASS_OF[name])
        moving = np.stack([footprint([place]) for place in course])
        return {
            "task": TASK,
            "named": self.named,
            "count": len(self.blocks),
            "distance": _distance(course[0], course[-1]),
            "walls": _ring().astype(np.uint8),
            "blocks": blocks,
            "on_named": moving[0].astype(np.uint8),
            "target": np.array(self.target),
            "moving": by_latent_frame(moving).astype(np.uint8),
            "course": np.array(course),
        }


def still_cells(truth: Mapping[str, Any]) -> np.ndarray:
    """What never moves, whichever block is named: cell classes, uint8 (row, col), of wall, target, floor."""
    walls = np.asarray(truth["walls"]).astype(bool)
    still = np.where(walls, np.uint8(WALL), np.uint8(FLOOR))
    row, col = np.asarray(truth["target"]).tolist()
    draw(still, (row, col), TARGET)
    return still


def cell_video(truth: Mapping[str, Any]) -> np.ndarray:
    """The true video of a truth, cell classes uint8 (frame, row, col)."""
    named = CLASS_OF[truth["named"]]
    blocks, course = np.asarray(truth["blocks"]), np.asarray(truth["course"])
    others = np.where(blocks == named, 0, blocks).astype(np.uint8)
    still = np.where(others > 0, others, still_cells(truth))
    cells = np.repeat(still[None], len(course), axis=0)
    for frame, (row, col) in zip(cells, course.tolist(), strict=True):
        draw(frame, (row, col), named)
    return cells


def generate_grounding(number: int, split: Split = "test") -> GroundingScene:
    """The scene of a number and split.

    Raises:
        UserError: a negative number, or an unknown split.
    """
    check_number(number, split)
    rng = np.random.default_rng([_STREAM, number, split == "test"])
    while True:
        count = int(rng.integers(_MIN_BLOCKS, len(COLOURS) + 1))
        chosen = sorted(rng.choice(len(COLOURS), size=count, replace=False).tolist())
        target, *places = map(tuple, rng.integers(_FIRST, _LAST + 1, size=(count + 1, 2)).tolist())
        if not _is_free(target, places):
            continue
        blocks = tuple((COLOURS[index], place) for index, place in zip(chosen, places, strict=True))
        if split_of(TASK, blocks, target) == split:
            named = blocks[rng.integers(count)][0]
            return GroundingScene(number, split, blocks, target, named)


def _is_free(target: Cell, places: list[Cell]) -> bool:
    """Whether every block is far from the target, and on its way there touches no other."""
    if min(_distance(place, target) for place in places) < _MIN_DISTANCE:
        return False
    ways = [footprint(_course(place, target)) for place in places]
    return all(
        apart(place, ways[other])
        for index, place in enumerate(places)
        for other in range(len(places))
        if other != index
    )


def _course(start: Cell, target: Cell) -> list[Cell]:
    """Places on the straight line from ``start`` to ``target``, one a frame, to the nearest cell."""
    last = NUM_FRAMES - 1
    return [
        (_between(start[0], target[0], frame, last), _between(start[1], target[1], frame, last))
        for frame in range(NUM_FRAMES)
    ]


def _between(first: int, end: int, part: int, whole: int) -> int:
    return first + (2 * part * (end - first) + whole) // (2 * whole)


def _distance(one: Cell, other: Cell) -> int:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1]))


def _ring() -> np.ndarray:
    walls = np.ones((SIDE, SIDE), dtype=bool)
    walls[1:-1, 1:-1] = False
    return walls
