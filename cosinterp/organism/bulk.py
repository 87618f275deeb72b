"""Mazes in bulk, made by several processes.

Apart from ``pool``, because each process imports this module: without torch it starts in a moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from cosinterp.organism.mazes import GOALS, Split, generate_maze
from cosinterp.organism.rendering import first_cells, path_order

_CHUNK = 500

# Rooms a side, split, first seed, count.
_Job = tuple[int, Split, int, int]


@dataclass(frozen=True, eq=False)
class MazeBatch:
    """Mazes of one size, compact.

    Attributes:
        cells: uint8 (maze, row, col), the first frame's cell classes.
        order: uint8 (maze, goal, row, col), the path order to each goal, goals as in ``mazes.GOALS``.
    """

    cells: np.ndarray
    order: np.ndarray

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, rows: slice) -> MazeBatch:
        return MazeBatch(self.cells[rows], self.order[rows])


def make_mazes(counts: Mapping[int, int], split: Split, processes: int) -> dict[int, MazeBatch]:
    """The mazes of seeds 0, 1, ... of each size: ``counts`` maps rooms a side to how many."""
    jobs: list[_Job] = [
        (rooms, split, start, min(_CHUNK, count - start))
        for rooms, count in counts.items()
        for start in range(0, count, _CHUNK)
    ]
    if processes == 1:
        chunks = [_make_chunk(job) for job in jobs]
    else:
        # Not fork: the parent may hold CUDA.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
            chunks = list(executor.map(_make_chunk, jobs))
    by_rooms = {
        rooms: [chunk for job, chunk in zip(jobs, chunks, strict=True) if job[0] == rooms] for rooms in counts
    }
    return {
        rooms: MazeBatch(np.concatenate([p.cells for p in parts]), np.concatenate([p.order for p in parts]))
        for rooms, parts in by_rooms.items()
    }


def _make_chunk(job: _Job) -> MazeBatch:
    rooms, split, first_seed, count = job
    mazes = [generate_maze(seed, rooms, split) for seed in range(first_seed, first_seed + count)]
    cells = np.stack([first_cells(maze) for maze in mazes])
    order = np.stack([np.stack([path_order(maze, goal) for goal in GOALS]) for maze in mazes])
    return MazeBatch(cells, order)
