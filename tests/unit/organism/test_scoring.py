"""Scores of hand-made drawings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosinterp.errors import UserError
from cosinterp.organism.mazes import GOALS, generate_maze
from cosinterp.organism.rendering import (
    BLUE,
    FLOOR,
    PATH,
    RED,
    START,
    WALL,
    cell_video,
    colour,
    first_cells,
    path_order,
    render_video,
)
from cosinterp.organism.scoring import MazeScore, score_video
from cosinterp.organism.tasks import truth

# Start S, goals R and B; the way to R goes right and down, that to B straight down. `.` is floor.
PICTURE = """
########
#S.....#
#.####.#
#.#....#
#.#.##.#
#.#..#.#
#B###R.#
########
"""
KINDS = {"#": WALL, ".": FLOOR, "S": START, "R": RED, "B": BLUE, "o": PATH}
TO_RED = [(1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (2, 6), (3, 6), (4, 6), (5, 6), (6, 6)]
TO_BLUE = [(2, 1), (3, 1), (4, 1), (5, 1)]
SPUR = [(3, 5), (3, 4)]


def blank() -> np.ndarray:
    return np.array([[KINDS[sign] for sign in line] for line in PICTURE.split()], dtype=np.uint8)


def known(goal: str = "red") -> dict:
    order = np.zeros((8, 8), dtype=np.uint8)
    for position, cell in enumerate(TO_RED if goal == "red" else TO_BLUE, start=1):
        order[cell] = position
    return {
        "walls": (blank() == WALL).astype(np.uint8),
        "path_order": order,
        "start": np.array([1, 1]),
        "red_goal": np.array([6, 5]),
        "blue_goal": np.array([6, 1]),
        "goal": goal,
    }


def drawn(*cells: tuple[int, int], first: np.ndarray | None = None) -> np.ndarray:
    """A video of three frames: the maze, half of the cells, all of them."""
    frames = np.stack([blank() if first is None else first] * 3)
    for index, cell in enumerate(cells):
        frames[2 if index >= len(cells) // 2 else slice(1, 3)][..., cell[0], cell[1]] = PATH
    return colour(frames)


def score(*cells: tuple[int, int], goal: str = "red") -> MazeScore:
    return score_video(drawn(*cells), known(goal))


def test_the_true_path_is_solved():
    assert score(*TO_RED) == MazeScore(True, True, "red", 1.0, 0, True)
    assert score(*TO_BLUE, goal="blue") == MazeScore(True, True, "blue", 1.0, 0, True)


def test_a_clean_path_to_the_other_goal_is_valid_but_not_solved():
    assert score(*TO_BLUE, goal="red") == MazeScore(False, True, "blue", 0.0, 0, True)


def test_an_empty_drawing_reaches_nothing():
    assert score() == MazeScore(False, False, None, 0.0, 0, True)


def test_both_goals_reached_is_no_valid_path():
    assert score(*TO_RED, *TO_BLUE) == MazeScore(False, False, "both", 10 / 14, 0, True)


def test_a_spur_keeps_the_goal_but_not_the_path():
    assert score(*TO_RED, *SPUR) == MazeScore(False, False, "red", 10 / 12, 0, True)


@pytest.mark.parametrize("gap", range(len(TO_RED)))
def test_a_gap_loses_the_goal(gap):
    cells = TO_RED[:gap] + TO_RED[gap + 1 :]
    assert score(*cells) == MazeScore(False, False, None, 9 / 10, 0, True)


def test_a_spot_of_path_elsewhere_is_no_valid_path():
    assert score(*TO_RED, (5, 3)) == MazeScore(False, False, "red", 10 / 11, 0, True)


def test_a_path_that_starts_nowhere_near_the_start_reaches_nothing():
    assert score(*TO_RED[5:]) == MazeScore(False, False, None, 0.5, 0, True)


def test_a_way_through_a_wall_does_not_count():
    # From (3, 1) through the wall at (3, 2) and on to the red goal.
    cells = [(2, 1), (3, 1), (3, 2), (3, 3), (3, 4), (3, 5), (3, 6), (4, 6), (5, 6), (6, 6)]
    result = score(*cells)
    assert result == MazeScore(False, False, None, 4 / 16, 1, True)


def test_a_wall_painted_beside_the_true_path_is_counted():
    assert score(*TO_RED, (2, 2), (0, 0)) == MazeScore(False, False, "red", 10 / 12, 2, True)


@pytest.mark.parametrize("end", [(1, 1), (6, 5)])
def test_painting_over_the_start_or_the_goal_is_not_solved(end):
    assert score(*TO_RED, end) == MazeScore(False, False, "red", 10 / 11, 0, True)


def test_the_last_frame_decides_but_for_consistency():
    video = drawn(*TO_RED)
    video[1] = video[2]
    video[2] = drawn()[2]
    assert score_video(video, known()) == MazeScore(False, False, None, 0.0, 0, False)


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ((1, 2), WALL),
        ((0, 0), FLOOR),
        ((3, 3), START),
        ((3, 3), RED),
    ],
)
@pytest.mark.parametrize("frame", [0, 1])
def test_a_wall_or_floor_cell_that_is_not_what_the_maze_has_there_is_inconsistent(cell, kind, frame):
    cells = cell_video(blank(), known()["path_order"], 3)
    cells[frame][cell] = kind
    assert score_video(colour(cells), known()) == MazeScore(True, True, "red", 1.0, 0, False)


@pytest.mark.parametrize("cell", [(1, 1), (6, 1), (6, 5)])
def test_the_colours_of_start_and_goals_are_not_asked(cell):
    cells = cell_video(blank(), known()["path_order"], 3)
    cells[0][cell] = BLUE
    assert score_video(colour(cells), known()).consistent


def test_a_path_that_comes_and_goes_is_inconsistent():
    cells = cell_video(blank(), known()["path_order"], 4)
    cells[1][3, 4] = PATH
    assert not score_video(colour(cells), known()).consistent


def test_a_path_that_was_drawn_early_is_consistent():
    cells = np.stack([cell_video(blank(), known()["path_order"], 3)[-1]] * 3)
    assert score_video(colour(cells), known()).consistent


def test_a_video_of_another_size_is_refused():
    with pytest.raises(UserError, match="the video is 48x48 px, but this maze is drawn at 32x32 px"):
        score_video(np.zeros((3, 48, 48, 3), dtype=np.uint8), known())


def test_a_score_as_a_dict_has_every_field():
    assert score(*TO_RED).to_dict() == {
        "solved": True,
        "valid_path": True,
        "goal_reached": "red",
        "iou": 1.0,
        "walls_broken": 0,
        "consistent": True,
    }


def reference(cells: np.ndarray, walls: np.ndarray, start, goals) -> tuple[bool, str | None]:
    """(valid path, goal reached) by relaxing distances over all cells until nothing changes."""
    passable = (cells == PATH) & ~walls
    passable[start] = True
    label = np.full(cells.shape, np.inf)
    label[start] = 0
    while True:
        padded = np.pad(label, 1, constant_values=np.inf)
        best = np.minimum.reduce([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
        relaxed = np.where(passable, np.minimum(label, best + 1), np.inf)
        if np.array_equal(relaxed, label):
            break
        label = relaxed
    reached = [goal for goal in GOALS if np.isfinite(best[goals[goal]])]
    named = "both" if len(reached) == 2 else reached[0] if reached else None
    if len(reached) != 1:
        return False, named
    # In a tree the shortest way is the only one: valid if it takes every drawn cell.
    length = best[goals[reached[0]]]
    drawn_cells = int((cells == PATH).sum())
    return bool(drawn_cells == length and cells[start] != PATH and not (walls & (cells == PATH)).any()), named


@settings(max_examples=150)
@given(
    st.integers(0, 500),
    st.integers(5, 7),
    st.sampled_from(["red", "blue", "both", "none"]),
    st.lists(st.tuples(st.integers(0, 15), st.integers(0, 15)), max_size=3),
    st.booleans(),
)
def test_scores_agree_with_an_independent_reference(seed, rooms, paths, flips, on_open):
    maze = generate_maze(seed, rooms)
    cells = first_cells(maze)
    for goal in GOALS:
        if paths in (goal, "both"):
            cells[path_order(maze, goal) > 0] = PATH
    for row, col in flips:
        place = (row % len(cells), col % len(cells))
        if on_open and first_cells(maze)[place] == WALL:
            continue
        cells[place] = first_cells(maze)[place] if cells[place] == PATH else PATH
    known_maze = truth(maze, "red")
    walls = known_maze["walls"].astype(bool)
    result = score_video(colour(np.stack([first_cells(maze), cells])), known_maze)
    valid, named = reference(cells, walls, maze.start, maze.goals)
    red = path_order(maze, "red") > 0
    assert result == MazeScore(
        solved=bool(((cells == PATH) == red).all()),
        valid_path=valid,
        goal_reached=named,
        iou=len(np.argwhere((cells == PATH) & red)) / len(np.argwhere((cells == PATH) | red)),
        walls_broken=int(((cells == PATH) & walls).sum()),
        consistent=True,
    )
    assert not result.solved or (result.valid_path and result.goal_reached == "red")


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(5, 9), st.sampled_from(GOALS))
def test_every_true_video_is_solved(seed, rooms, goal):
    maze = generate_maze(seed, rooms)
    assert score_video(render_video(maze, goal), truth(maze, goal)) == MazeScore(
        True, True, goal, 1.0, 0, True
    )
