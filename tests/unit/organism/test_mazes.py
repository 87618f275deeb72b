"""Mazes: perfect, deterministic, with far dead ends as goals, in two splits that share none."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosinterp.errors import UserError
from cosinterp.organism.bulk import make_mazes
from cosinterp.organism.mazes import GOALS, MIN_GOAL_DISTANCE, TEST_SHARE, Maze, generate_maze
from cosinterp.organism.rendering import first_cells, path_order

SEEDS = st.integers(0, 2**40)
ROOMS = st.integers(5, 9)
SPLITS = st.sampled_from(["train", "test"])

PINNED_WALLS = "3caf113f2e6d9cbc"
PINNED_ENDS = ((13, 9), {"red": (1, 5), "blue": (11, 7)})


def open_cells(maze: Maze) -> set[tuple[int, int]]:
    return {(row, col) for row, col in np.argwhere(~maze.walls).tolist()}


def neighbours(cell: tuple[int, int]) -> list[tuple[int, int]]:
    return [(cell[0] + d_row, cell[1] + d_col) for d_row, d_col in ((0, 1), (1, 0), (0, -1), (-1, 0))]


def distances(maze: Maze) -> dict[tuple[int, int], int]:
    """Cells from the start, by flooding ring after ring."""
    free, ring, found = open_cells(maze), {maze.start}, {}
    while ring:
        found |= dict.fromkeys(ring, len(set(found.values())))
        ring = {near for cell in ring for near in neighbours(cell) if near in free and near not in found}
    return found


@settings(max_examples=60)
@given(SEEDS, ROOMS, SPLITS)
def test_open_cells_are_a_tree_that_spans_all_rooms(seed, rooms, split):
    maze = generate_maze(seed, rooms, split)
    free = open_cells(maze)
    edges = sum(near in free for cell in free for near in neighbours(cell)) // 2
    assert maze.walls.shape == (2 * rooms + 1, 2 * rooms + 1)
    assert {(2 * row + 1, 2 * col + 1) for row in range(rooms) for col in range(rooms)} <= free
    # Connected, with one edge fewer than cells: a tree.
    assert set(distances(maze)) == free
    assert edges == len(free) - 1
    assert len(free) == 2 * rooms**2 - 1


@settings(max_examples=60)
@given(SEEDS, ROOMS, SPLITS)
def test_goals_are_two_dead_ends_far_enough_from_the_start(seed, rooms, split):
    maze = generate_maze(seed, rooms, split)
    free, away = open_cells(maze), distances(maze)
    assert maze.goals["red"] != maze.goals["blue"]
    for goal in maze.goals.values():
        assert sum(near in free for near in neighbours(goal)) == 1
        assert away[goal] >= 2 * MIN_GOAL_DISTANCE


@settings(max_examples=60)
@given(SEEDS, ROOMS, st.sampled_from(GOALS))
def test_a_path_is_the_shortest_way_through_open_cells_and_not_over_the_other_goal(seed, rooms, goal):
    maze = generate_maze(seed, rooms)
    path = maze.path(goal)
    other = next(cell for name, cell in maze.goals.items() if name != goal)
    assert (path[0], path[-1]) == (maze.start, maze.goals[goal])
    away = distances(maze)
    assert [away[cell] for cell in path] == list(range(len(path)))
    assert all(after in neighbours(before) for before, after in pairwise(path))
    assert other not in path


def test_a_seed_names_one_maze_whatever_was_made_before():
    first = generate_maze(3, 7)
    generate_maze(4, 7)
    again = generate_maze(3, 7)
    assert np.array_equal(first.walls, again.walls)
    assert (first.start, first.goals) == (again.start, again.goals)
    # A change of what a seed makes would let training mazes into the held-out ones of trained weights.
    assert hashlib.sha256(first.walls.tobytes()).hexdigest()[:16] == PINNED_WALLS
    assert (first.start, first.goals) == PINNED_ENDS


def identity(maze: Maze) -> bytes:
    return maze.walls.tobytes() + repr((maze.start, maze.goals)).encode()


@pytest.mark.parametrize("rooms", [5, 7])
def test_the_splits_share_no_maze(rooms):
    train = {identity(generate_maze(seed, rooms, "train")) for seed in range(300)}
    held_out = {identity(generate_maze(seed, rooms, "test")) for seed in range(100)}
    assert len(train) == 300
    assert len(held_out) == 100
    assert not train & held_out


@settings(max_examples=40)
@given(SEEDS, ROOMS, SPLITS)
def test_the_split_follows_from_the_maze_itself(seed, rooms, split):
    maze = generate_maze(seed, rooms, split)
    ends = np.array([maze.start, maze.goals["red"], maze.goals["blue"]], dtype="<i2")
    first_byte = hashlib.blake2b(maze.walls.tobytes() + ends.tobytes(), digest_size=1).digest()[0]
    assert (first_byte < TEST_SHARE) == (split == "test")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 4), "5 to 9 rooms a side, not 4"),
        ((0, 10), "5 to 9 rooms a side, not 10"),
        ((-1, 7), "a maze seed is 0 or more, not -1"),
        ((0, 7, "dev"), "unknown split 'dev': use 'train' or 'test'"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        generate_maze(*arguments)


@pytest.mark.parametrize("processes", [1, 2])
def test_mazes_in_bulk_are_those_of_their_seeds_in_order(processes, monkeypatch):
    monkeypatch.setattr("cosinterp.organism.bulk._CHUNK", 3)
    batches = make_mazes({5: 7, 8: 2}, "train", processes)
    assert {rooms: len(batch) for rooms, batch in batches.items()} == {5: 7, 8: 2}
    for rooms, batch in batches.items():
        for seed in range(len(batch)):
            maze = generate_maze(seed, rooms, "train")
            assert np.array_equal(batch.cells[seed], first_cells(maze))
            for index, goal in enumerate(GOALS):
                assert np.array_equal(batch.order[seed, index], path_order(maze, goal))
    assert np.array_equal(batches[5][slice(2, 4)].cells, batches[5].cells[2:4])
