"""What scene-wan is trained on: scenes of its tasks, mixed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cosinterp.organism.lessons import BundledModel, Drawn
from cosinterp.organism.rendering import FLOOR, WALL
from cosinterp.organism.scenes.bulk import make_scenes
from cosinterp.organism.scenes.rendering import PALETTE
from cosinterp.organism.scenes.tasks import PROMPTS, TASKS, generate_scene

if TYPE_CHECKING:
    from cosinterp.organism.batch_pipeline import BatchPipeline
    from cosinterp.organism.scenes.config import SceneTrainingConfig

SCENE_WAN = BundledModel(
    name="scene-wan",
    task="scenes",
    prompts=list(PROMPTS.values()),
    palette=PALETTE,
    sampling={"num_steps": 20, "guidance_scale": 2.0},
)
# A ball or block is 4 cells of 256, and its colour has to last.
_THING_WEIGHT = 10.0
# The first frame is decoded by a path of its own, without temporal upsampling, and comes once a video.
_FIRST_FRAME_WEIGHT = 2.0
# Held-out scenes of their own, so that what is picked by these figures is measured on others.
_EVALUATION_FIRST_NUMBER = 1_000_000
_EVALUATION_SCENES = 128
_EVALUATION_STEPS = 8


def cell_weights(cells: np.ndarray) -> np.ndarray:
    """What cells (video, frame, row, col) count for the autoencoder, float32 of the same shape.

    Cells that show more than wall or floor in any frame count more, in all frames. Were it only in the frames
    in which they do, a thing would cost less where it is than where it is not, and be drawn where it was.
    """
    plain = np.isin(cells, (WALL, FLOOR)).all(axis=1, keepdims=True)
    by_cell = np.where(plain, np.float32(1), np.float32(_THING_WEIGHT))
    by_cell = np.repeat(by_cell, cells.shape[1], axis=1)
    by_cell[:, 0] *= _FIRST_FRAME_WEIGHT
    return by_cell


class SceneLessons:
    """Scenes of each task, as many as a configuration asks for."""

    model = SCENE_WAN

    def __init__(self, config: SceneTrainingConfig, log: Callable[..., None]) -> None:
        began = time.monotonic()
        self._scenes = make_scenes(config.pool, "train", config.processes)
        self._held_out = {
            task: [generate_scene(task, _EVALUATION_FIRST_NUMBER + n) for n in range(_EVALUATION_SCENES)]
            for task in TASKS
        }
        log(stage="scenes", count=len(self._scenes), seconds=time.monotonic() - began)

    def random_videos(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Random scenes of all tasks."""
        return self._scenes.cells[rng.integers(len(self._scenes), size=count)]

    def weights(self, cells: np.ndarray) -> np.ndarray:
        """As `cell_weights`."""
        return cell_weights(cells)

    def kept(self, read: np.ndarray, true: np.ndarray) -> np.ndarray:
        """Videos whose cells are all right, in every frame."""
        return (read == true).all(axis=(1, 2, 3))

    def drawn(self, batch_size: int) -> Iterator[Drawn]:
        """Scenes task after task, each with its one video."""
        for start in range(0, len(self._scenes), batch_size):
            part = self._scenes[slice(start, start + batch_size)]
            yield Drawn(
                first=part.cells[:, 0],
                videos=part.cells[:, None],
                kinds=part.kinds[:, None],
                crossed=part.crossed,
            )

    def evaluate(self, pipeline: BatchPipeline) -> dict[str, Any]:
        """Means of all metrics over held-out scenes of each task, in few steps without guidance."""
        # Late, because it needs torch, and processes that make scenes need none.
        from cosinterp.organism.scenes.solver import SceneSolver

        figures: dict[str, Any] = {}
        for task, scenes in self._held_out.items():
            solver = SceneSolver.of(pipeline)
            [scores] = solver.solve(scenes, range(len(scenes)), _EVALUATION_STEPS, guidance_scale=1.0)
            figures[task] = {
                name: round(float(np.mean([score[name] for score in scores])), 4) for name in scores[0]
            }
        return figures
