"""Mazes as videos and videos as cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosinterp.organism.mazes import GOALS, generate_maze
from cosinterp.organism.rendering import (
    BLUE,
    CELL_PX,
    FLOOR,
    NUM_FRAMES,
    PATH,
    RED,
    START,
    WALL,
    cell_video,
    colour,
    first_cells,
    grid_side,
    path_order,
    read_cells,
    render_video,
)
from cosinterp.organism.tasks import PROMPTS, blank_cells, truth

MAZES = st.builds(generate_maze, st.integers(0, 10**6), st.integers(5, 9))


@pytest.mark.parametrize(("rooms", "side"), [(5, 12), (6, 16), (7, 16), (8, 20), (9, 20)])
def test_grids_are_padded_to_what_the_pipeline_takes(rooms, side):
    assert grid_side(rooms) == side
    assert side * CELL_PX % 16 == 0
    assert side >= 2 * rooms + 1


@settings(max_examples=40)
@given(MAZES, st.sampled_from(GOALS))
def test_what_is_drawn_can_be_read(maze, goal):
    cells = cell_video(first_cells(maze), path_order(maze, goal))
    video = render_video(maze, goal)
    side = grid_side(maze.rooms)
    assert video.shape == (NUM_FRAMES, side * CELL_PX, side * CELL_PX, 3)
    assert video.dtype == np.uint8
    assert np.array_equal(read_cells(video), cells)


@settings(max_examples=40)
@given(MAZES)
def test_the_first_frame_is_the_maze_and_the_padding_is_wall(maze):
    cells = first_cells(maze)
    side = 2 * maze.rooms + 1
    assert np.array_equal(cells[:side, :side] == WALL, maze.walls)
    assert (cells[side:] == WALL).all()
    assert (cells[:, side:] == WALL).all()
    assert [tuple(np.argwhere(cells == kind)[0]) for kind in (START, RED, BLUE)] == [
        maze.start,
        maze.goals["red"],
        maze.goals["blue"],
    ]
    assert (cells == FLOOR).sum() == (~maze.walls).sum() - 3


@settings(max_examples=40)
@given(MAZES, st.sampled_from(GOALS), st.integers(2, 13))
def test_the_path_grows_evenly_from_nothing_to_all(maze, goal, num_frames):
    cells = cell_video(first_cells(maze), path_order(maze, goal), num_frames)
    path = maze.path(goal)[1:-1]
    shown = [[tuple(cell) for cell in np.argwhere(frame == PATH)] for frame in cells]
    assert np.array_equal(cells[0], first_cells(maze))
    for frame, on in enumerate(shown):
        assert set(on) == set(path[: len(on)])
        assert abs(len(on) - frame / (num_frames - 1) * len(path)) <= 0.5
    assert set(shown[-1]) == set(path)
    # Outside the path nothing ever changes.
    assert all(np.array_equal(frame[frame != PATH], cells[0][frame != PATH]) for frame in cells)


def test_a_batch_of_cell_videos_is_the_videos_one_by_one():
    mazes = [generate_maze(seed, 5) for seed in range(3)]
    cells = np.stack([first_cells(maze) for maze in mazes])
    order = np.stack([path_order(maze, "blue") for maze in mazes])
    batch = cell_video(cells, order)
    assert all(np.array_equal(batch[i], cell_video(cells[i], order[i])) for i in range(3))


@settings(max_examples=25)
@given(MAZES, st.sampled_from(GOALS), st.integers(0, 2**32 - 1))
def test_noise_of_20_grey_levels_changes_no_class(maze, goal, seed):
    video = render_video(maze, goal)
    noise = np.random.default_rng(seed).integers(-20, 21, video.shape)
    assert np.array_equal(
        read_cells(np.clip(video + noise, 0, 255).astype(np.uint8)),
        cell_video(first_cells(maze), path_order(maze, goal)),
    )


@pytest.mark.parametrize("shift", [(a, b, c) for a in (-20, 20) for b in (-20, 20) for c in (-20, 20)])
def test_a_tint_of_20_grey_levels_changes_no_class(shift):
    every = np.arange(6, dtype=np.uint8)[None]
    tinted = np.clip(colour(every).astype(int) + np.array(shift), 0, 255).astype(np.uint8)
    assert np.array_equal(read_cells(tinted), every)


def test_few_wrong_pixels_change_no_class():
    video = render_video(generate_maze(0, 5), "red")
    broken = video.copy()
    broken[:, ::CELL_PX, ::CELL_PX] = 255 - broken[:, ::CELL_PX, ::CELL_PX]
    assert np.array_equal(read_cells(broken), read_cells(video))


@settings(max_examples=25)
@given(MAZES, st.sampled_from(GOALS))
def test_the_truth_tells_the_maze(maze, goal):
    known = truth(maze, goal)
    assert (known["task"], known["goal"], known["rooms"]) == ("maze", goal, maze.rooms)
    assert known["path_length"] == len(maze.path(goal))
    assert np.array_equal(blank_cells(known), first_cells(maze))
    assert known["path_order"].max() == len(maze.path(goal)) - 2
    order = np.asarray(known["path_order"])
    drawn = sorted(map(tuple, np.argwhere(order > 0).tolist()), key=lambda cell: order[cell])
    assert drawn == maze.path(goal)[1:-1]


def test_prompts_of_the_goals_differ_in_one_word():
    for red, blue in zip(PROMPTS["red"], PROMPTS["blue"], strict=True):
        assert red != blue
        assert red.replace("red", "blue") == blue
    assert len(set(PROMPTS["red"])) == 5
