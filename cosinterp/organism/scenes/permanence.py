"""Object permanence: a ball rolls behind a wall and has to come out of it, where, when and as it must.

A ball crosses the scene by one column a frame, and by -2 to 2 rows a frame; it bounces off ceiling and
floor. In its way stands a wall from ceiling to floor that hides it for 2 to 4 frames. The first frame shows
where the ball was before (a yellow trail), so all of its course follows from that frame. Other balls rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np

from cosinterp.organism.mazes import Cell, Split
from cosinterp.organism.rendering import FLOOR, NUM_FRAMES, WALL
from cosinterp.organism.scenes.rendering import CLASS_OF, SIDE, THING, apart, by_latent_frame, draw, footprint
from cosinterp.organism.scenes.splits import check_number, split_of

TASK = "permanence"
BallColour = Literal["red", "blue"]
BALL_COLOURS: tuple[BallColour, ...] = get_args(BallColour)
PROMPTS = (
    "The ball rolls behind the wall and comes out.",
    "Follow the ball behind the wall.",
    "Show where the ball comes out.",
    "The moving ball goes on behind the wall.",
    "Let the ball pass the wall.",
)
# First and last row that a ball can be in: ceiling and floor are a row of wall each.
_TOP, _BOTTOM = 1, SIDE - 1 - THING
_MAX_CLIMB = 2
# Columns between the ball and the wall, and of the wall; so that the last two frames show the whole ball.
_GAPS_AND_WIDTHS = ((0, 3), (1, 3), (2, 3), (0, 4), (1, 4), (0, 5))
_STREAM = 1
_PLACING_ATTEMPTS = 50


@dataclass(frozen=True)
class Course:
    """Where the ball and the wall are in the first frame, and where the ball goes.

    Attributes:
        row, col: the ball's place.
        heading: columns a frame, 1 (to the right) or -1.
        climb: rows a frame, negative upwards.
        gap: columns between the ball and the wall.
        width: columns of the wall.
    """

    row: int
    col: int
    heading: int
    climb: int
    gap: int
    width: int

    @property
    def split(self) -> Split:
        """Which split it belongs to."""
        return split_of(TASK, self.row, self.col, self.heading, self.climb, self.gap, self.width)

    @property
    def before(self) -> Cell:
        """The ball's place before the first frame."""
        return self.row - self.climb, self.col - self.heading

    @property
    def exit_frame(self) -> int:
        """The first frame that shows the whole ball beyond the wall."""
        return THING + self.gap + self.width

    @property
    def hidden(self) -> range:
        """The frames in which nothing of the ball is seen."""
        return range(THING + self.gap, self.gap + self.width + 1)

    @property
    def wall(self) -> slice:
        """The wall's columns."""
        first = self.col + THING + self.gap if self.heading > 0 else self.col - self.gap - self.width
        return slice(first, first + self.width)

    def places(self) -> list[Cell]:
        """The ball's place in each frame, seen or not."""
        return [
            (_bounced(self.row + frame * self.climb), self.col + frame * self.heading)
            for frame in range(NUM_FRAMES)
        ]

    @property
    def exit_row(self) -> int:
        """The row of the ball's place in the first frame that shows all of it beyond the wall."""
        return self.places()[self.exit_frame][0]

    @property
    def bounces(self) -> int:
        """How often it changes its direction until the last frame."""
        unbounced = self.row + (NUM_FRAMES - 1) * self.climb
        outside = max(0, unbounced - _BOTTOM, _TOP - unbounced)
        return -(-outside // (_BOTTOM - _TOP))

    def others(self) -> list[Course]:
        """Courses that differ in the starting row alone, or in the climb alone, and end otherwise."""
        rows = [replace(self, row=row) for row in range(_TOP, _BOTTOM + 1)]
        climbs = [replace(self, climb=climb) for climb in range(-_MAX_CLIMB, _MAX_CLIMB + 1)]
        return [
            course
            for course in rows + climbs
            if course.exit_row != self.exit_row and _is_clear(course) and course.split == self.split
        ]


@dataclass(frozen=True)
class PermanenceScene:
    """One scene.

    Attributes:
        number: what made it (with ``split``).
        split: ``"train"`` or ``"test"``, a hash of its course, so without colours and balls at rest.
        course: of the ball.
        colour: of the ball.
        resting: the balls at rest, colour and place.
        other: a course of the same split that ends in another row and keeps clear of the balls at rest.
    """

    task: ClassVar[str] = TASK
    number: int
    split: Split
    course: Course
    colour: BallColour
    resting: tuple[tuple[BallColour, Cell], ...]
    other: Course

    @property
    def kind(self) -> str:
        """Which prompts are its prompts."""
        return TASK

    def cells(self) -> np.ndarray:
        """Cell classes, uint8 (frame, row, col)."""
        return cell_video(self.truth())

    def crossed(self) -> np.ndarray:
        """Cells that the ball is in at some time, bool (row, col)."""
        return footprint(self.course.places())

    def counterfactuals(self) -> dict[str, PermanenceScene]:
        """The same scene but for one thing: the ball's colour, or where it comes from."""
        other = BALL_COLOURS[1 - BALL_COLOURS.index(self.colour)]
        return {
            "colour": replace(self, colour=other),
            "course": replace(self, course=self.other, other=self.course),
        }

    def truth(self) -> dict[str, Any]:
        """What is known of the scene. Arrays lie on the token grid of scene-wan, unless said otherwise.

        Returns:
            ``task`` "permanence"; ``colour`` "red" or "blue"; ``direction`` "right" or "left"; ``climb``
            (rows a frame, negative upwards); ``bounces``; ``exit_row`` and ``exit_frame`` (the first frame
            that shows all of the ball beyond the wall, and the row of its place there); ``hidden_frames``
            (how many show nothing of it); ``walls`` (uint8 (row, col)); ``resting`` (uint8 (row, col), the
            cell class of balls at rest, 0 elsewhere); ``trail`` (uint8 (row, col), in the first frame);
            ``ball`` (uint8 (latent frame, row, col): the ball is there in a frame of the latent frame, seen
            or not); ``seen`` (the same where it is seen); ``places`` (int64 (frame, 2): its place in each
            frame of the video); ``hidden`` (uint8 (frame,): frames of the video that show nothing of it).
        """
        course = self.course
        walls = np.zeros((SIDE, SIDE), dtype=np.uint8)
        walls[[0, -1]] = 1
        walls[:, course.wall] = 1
        resting = np.zeros((SIDE, SIDE), dtype=np.uint8)
        for name, place in self.resting:
            draw(resting, place, CLASS_OF[name])
        ball = np.stack([footprint([place]) for place in course.places()])
        seen = ball & (walls == 0)
        return {
            "task": TASK,
            "colour": self.colour,
            "direction": "right" if course.heading > 0 else "left",
            "climb": course.climb,
            "bounces": course.bounces,
            "exit_row": course.exit_row,
            "exit_frame": course.exit_frame,
            "hidden_frames": len(course.hidden),
            "walls": walls,
            "resting": resting,
            "trail": (footprint([course.before]) & ~ball[0]).astype(np.uint8),
            "ball": by_latent_frame(ball).astype(np.uint8),
            "seen": by_latent_frame(seen).astype(np.uint8),
            "places": np.array(course.places()),
            "hidden": (~seen.any(axis=(1, 2))).astype(np.uint8),
        }


def still_cells(truth: Mapping[str, Any]) -> np.ndarray:
    """What does not move: cell classes, uint8 (row, col), of a truth's wall, balls at rest and floor."""
    resting = np.asarray(truth["resting"])
    still = np.where(resting > 0, resting, FLOOR).astype(np.uint8)
    still[np.asarray(truth["walls"]).astype(bool)] = WALL
    return still


def cell_video(truth: Mapping[str, Any]) -> np.ndarray:
    """The true video of a truth, cell classes uint8 (frame, row, col)."""
    still, places = still_cells(truth), np.asarray(truth["places"])
    cells = np.repeat(still[None], len(places), axis=0)
    cells[0][np.asarray(truth["trail"]).astype(bool)] = CLASS_OF["yellow"]
    for frame, (row, col) in zip(cells, places.tolist(), strict=True):
        draw(frame, (row, col), CLASS_OF[truth["colour"]])
    cells[:, still == WALL] = WALL
    return cells


def generate_permanence(number: int, split: Split = "test") -> PermanenceScene:
    """The scene of a number and split.

    Raises:
        UserError: a negative number, or an unknown split.
    """
    check_number(number, split)
    rng = np.random.default_rng([_STREAM, number, split == "test"])
    while True:
        course = _draw_course(rng)
        others = course.others() if course.split == split and _is_clear(course) else []
        if not others:
            continue
        other = others[rng.integers(len(others))]
        resting = _draw_resting(rng, course, other)
        if resting is not None:
            ball = BALL_COLOURS[rng.integers(len(BALL_COLOURS))]
            return PermanenceScene(number, split, course, ball, resting, other)


def _draw_course(rng: np.random.Generator) -> Course:
    gap, width = _GAPS_AND_WIDTHS[rng.integers(len(_GAPS_AND_WIDTHS))]
    heading = 1 if rng.random() < 0.5 else -1
    # From the column that the trail begins in, to that of the ball in the last frame.
    run = int(rng.integers(1, SIDE - THING - NUM_FRAMES + 2))
    return Course(
        row=int(rng.integers(_TOP, _BOTTOM + 1)),
        col=run if heading > 0 else SIDE - THING - run,
        heading=heading,
        climb=int(rng.integers(-_MAX_CLIMB, _MAX_CLIMB + 1)),
        gap=gap,
        width=width,
    )


def _is_clear(course: Course) -> bool:
    """Whether the trail says how the ball moves: it does not if the ball has just bounced."""
    return _TOP <= course.before[0] <= _BOTTOM


def _draw_resting(
    rng: np.random.Generator, course: Course, other: Course
) -> tuple[tuple[BallColour, Cell], ...] | None:
    """One or two balls that touch neither course, nor each other, nor the wall; None if there is no room."""
    taken = footprint([*course.places(), course.before, *other.places(), other.before])
    # Balls may touch ceiling and floor, as the moving one does.
    taken[:, course.wall] = True
    resting: list[tuple[BallColour, Cell]] = []
    count = int(rng.integers(1, 3))
    for _ in range(_PLACING_ATTEMPTS):
        place = (int(rng.integers(_TOP, _BOTTOM + 1)), int(rng.integers(SIDE - THING + 1)))
        if not apart(place, taken):
            continue
        draw(taken, place, True)
        resting.append((BALL_COLOURS[rng.integers(len(BALL_COLOURS))], place))
        if len(resting) == count:
            return tuple(resting)
    return None


def _bounced(row: int) -> int:
    """Where a ball is that would be in ``row`` had it never bounced."""
    span = _BOTTOM - _TOP
    phase = (row - _TOP) % (2 * span)
    return _TOP + min(phase, 2 * span - phase)
