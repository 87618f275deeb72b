"""Scenes in bulk, made by several processes, each of which imports this module: it needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np

from cosinterp.organism.mazes import Split
from cosinterp.organism.scenes.tasks import KINDS, generate_scene

_CHUNK = 500

# Task, split, first number, count.
_Job = tuple[str, Split, int, int]


@dataclass(frozen=True, eq=False)
class SceneBatch:
    """Scenes, drawn.

    Attributes:
        cells: uint8 (scene, frame, row, col), the true videos' cell classes.
        kinds: int64 (scene,), which of `tasks.KINDS` each scene's prompts are.
        crossed: bool (scene, row, col), as in `tasks.Scene.crossed`.
    """

    cells: np.ndarray
    kinds: np.ndarray
    crossed: np.ndarray

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, rows: slice) -> SceneBatch:
        return SceneBatch(self.cells[rows], self.kinds[rows], self.crossed[rows])


def make_scenes(counts: Mapping[str, int], split: Split, processes: int) -> SceneBatch:
    """The scenes 0, 1, ... of each task, task after task: ``counts`` maps tasks to how many."""
    jobs: list[_Job] = [
        (task, split, start, min(_CHUNK, count - start))
        for task, count in counts.items()
        for start in range(0, count, _CHUNK)
    ]
    if processes == 1:
        chunks = [_make_chunk(job) for job in jobs]
    else:
        # Not fork: the parent may hold CUDA.
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
            chunks = list(executor.map(_make_chunk, jobs))
    return SceneBatch(
        np.concatenate([chunk.cells for chunk in chunks]),
        np.concatenate([chunk.kinds for chunk in chunks]),
        np.concatenate([chunk.crossed for chunk in chunks]),
    )


def _make_chunk(job: _Job) -> SceneBatch:
    task, split, first, count = job
    scenes = [generate_scene(task, number, split) for number in range(first, first + count)]
    return SceneBatch(
        np.stack([scene.cells() for scene in scenes]),
        np.array([KINDS.index(scene.kind) for scene in scenes], dtype=np.int64),
        np.stack([scene.crossed() for scene in scenes]),
    )
