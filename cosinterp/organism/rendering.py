"""A maze as a video: the path grows from the start to the named goal, one frame after another.

Everything is drawn cell by cell: a *cell video* holds a class for each cell (wall, floor, start, the two
goals, path), and pixels are those classes in colour, each cell a square. One cell is one latent cell of
maze-wan.
"""

from __future__ import annotations

import numpy as np

from cosinterp.organism.mazes import Goal, Maze

NUM_FRAMES = 9
CELL_PX = 4
# The pipeline takes sizes that are multiples of 16 px, which is 4 cells.
GRID_MULTIPLE = 4

WALL, FLOOR, START, RED, BLUE, PATH = range(6)
PALETTE = np.array(
    [[24, 24, 32], [236, 236, 228], [40, 160, 72], [224, 48, 48], [48, 88, 224], [244, 176, 32]],
    dtype=np.uint8,
)


def grid_side(rooms: int) -> int:
    """Cells a side of the drawn grid: ``2 * rooms + 1``, padded with wall to a multiple of 4."""
    return -(-(2 * rooms + 1) // GRID_MULTIPLE) * GRID_MULTIPLE


def first_cells(maze: Maze) -> np.ndarray:
    """The maze before any path: cell classes, uint8 (row, col), padded."""
    side = grid_side(maze.rooms)
    cells = np.full((side, side), WALL, dtype=np.uint8)
    inner = cells[: maze.walls.shape[0], : maze.walls.shape[1]]
    inner[~maze.walls] = FLOOR
    cells[maze.start] = START
    cells[maze.goals["red"]] = RED
    cells[maze.goals["blue"]] = BLUE
    return cells


def path_order(maze: Maze, goal: Goal) -> np.ndarray:
    """When each cell is drawn: 1, 2, ... along the path, 0 off it; uint8 (row, col), padded.

    The start and the goal keep their own colours and are not counted.
    """
    side = grid_side(maze.rooms)
    order = np.zeros((side, side), dtype=np.uint8)
    for position, cell in enumerate(maze.path(goal)[1:-1], start=1):
        order[cell] = position
    return order


def cell_video(cells: np.ndarray, order: np.ndarray, num_frames: int = NUM_FRAMES) -> np.ndarray:
    """Cell classes over time, uint8 (..., frame, row, col).

    Frame f shows the first f / (num_frames - 1) of the path, to the nearest cell.

    Args:
        cells: what `first_cells` gives, (..., row, col).
        order: what `path_order` gives, (..., row, col).
        num_frames: 2 or more.
    """
    length = order.max(axis=(-2, -1), keepdims=True).astype(np.int32)[..., None, :, :]
    frame = np.arange(num_frames, dtype=np.int32).reshape(-1, 1, 1)
    shown = (2 * frame * length + num_frames - 1) // (2 * (num_frames - 1))
    step = order[..., None, :, :]
    return np.where((step > 0) & (step <= shown), np.uint8(PATH), cells[..., None, :, :])


def colour(cells: np.ndarray, palette: np.ndarray = PALETTE) -> np.ndarray:
    """Pixels, uint8 (..., row, col, rgb), of cell classes (..., row, col)."""
    return palette[cells].repeat(CELL_PX, axis=-3).repeat(CELL_PX, axis=-2)


def render_video(maze: Maze, goal: Goal, num_frames: int = NUM_FRAMES) -> np.ndarray:
    """The true video, uint8 (frame, row, col, rgb)."""
    return colour(cell_video(first_cells(maze), path_order(maze, goal), num_frames))


def read_cells(video: np.ndarray, palette: np.ndarray = PALETTE) -> np.ndarray:
    """Cell classes, uint8 (..., row, col), of pixels (..., row, col, rgb).

    A cell's class is the palette colour nearest to the mean of its pixels, so single pixels do not matter.
    """
    *lead, height, width, _ = video.shape
    blocks = video.reshape(*lead, height // CELL_PX, CELL_PX, width // CELL_PX, CELL_PX, 3)
    mean = blocks.astype(np.float32).mean(axis=(-4, -2))
    distance = ((mean[..., None, :] - palette.astype(np.float32)) ** 2).sum(axis=-1)
    return distance.argmin(axis=-1).astype(np.uint8)
