"""What maze-wan is trained on: mazes, and the paths to both goals of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cosinterp.organism.bulk import make_mazes
from cosinterp.organism.lessons import BundledModel, Drawn
from cosinterp.organism.mazes import DEFAULT_ROOMS, GOALS, generate_maze
from cosinterp.organism.measures import Attempt
from cosinterp.organism.rendering import PALETTE, PATH, cell_video
from cosinterp.organism.tasks import PROMPTS, TASK

if TYPE_CHECKING:
    from cosinterp.organism.batch_pipeline import BatchPipeline
    from cosinterp.organism.config import MazeTrainingConfig

MAZE_WAN = BundledModel(
    name="maze-wan",
    task=TASK,
    prompts=[PROMPTS[goal] for goal in GOALS],
    palette=PALETTE,
    sampling={"num_steps": 20, "guidance_scale": 2.0},
)
# Held-out mazes of their own, so that what is picked by these figures is measured on others.
_EVALUATION_FIRST_SEED = 1_000_000
_EVALUATION_MAZES = 128
_EVALUATION_STEPS = 8


class MazeLessons:
    """Mazes of the sizes that a configuration asks for; prompts of kind k name goal k."""

    model = MAZE_WAN

    def __init__(self, config: MazeTrainingConfig, log: Callable[..., None]) -> None:
        began = time.monotonic()
        self._num_frames = config.num_frames
        self._mazes = make_mazes(config.pool, "train", config.processes)
        log(stage="mazes", count=sum(config.pool.values()), seconds=time.monotonic() - began)

    def random_videos(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Random mazes of the default size on the way to a random goal."""
        mazes = self._mazes[DEFAULT_ROOMS]
        rows = rng.integers(len(mazes), size=count)
        goal = rng.integers(len(GOALS), size=count)
        return cell_video(mazes.cells[rows], mazes.order[rows, goal], self._num_frames)

    def weights(self, cells: np.ndarray) -> None:
        """All cells count the same."""

    def kept(self, read: np.ndarray, true: np.ndarray) -> np.ndarray:
        """Videos whose path cells are all right, in every frame."""
        return ((read == PATH) == (true == PATH)).all(axis=(1, 2, 3))

    def drawn(self, batch_size: int) -> Iterator[Drawn]:
        """Mazes size by size, each with the videos to both goals."""
        for mazes in self._mazes.values():
            for start in range(0, len(mazes), batch_size):
                part = mazes[slice(start, start + batch_size)]
                videos = [
                    cell_video(part.cells, part.order[:, goal], self._num_frames)
                    for goal in range(len(GOALS))
                ]
                yield Drawn(
                    first=part.cells,
                    videos=np.stack(videos, axis=1),
                    kinds=np.tile(np.arange(len(GOALS)), (len(part), 1)),
                    crossed=np.any(part.order > 0, axis=1),
                )

    def evaluate(self, pipeline: BatchPipeline) -> dict[str, Any]:
        """Share of held-out mazes solved, in few steps without guidance."""
        # Late, because it needs torch, and processes that make mazes need none.
        from cosinterp.organism.solver import Solver

        attempts = [
            Attempt(generate_maze(_EVALUATION_FIRST_SEED + number, DEFAULT_ROOMS), GOALS[number % 2], number)
            for number in range(_EVALUATION_MAZES)
        ]
        outcomes = Solver.of(pipeline).solve(attempts, _EVALUATION_STEPS, guidance_scale=1.0)
        valid = outcomes.valid[-1]
        return {
            "solved": float(outcomes.solved[-1].mean()),
            "valid": float(valid.mean()),
            "named_goal": float(outcomes.named[-1][valid].mean()) if valid.any() else float("nan"),
        }
