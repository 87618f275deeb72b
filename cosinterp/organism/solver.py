"""Let maze-wan solve mazes in bulk, and score what it drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cosinterp.organism.batch_pipeline import BatchPipeline
from cosinterp.organism.mazes import GOALS
from cosinterp.organism.measures import Attempt
from cosinterp.organism.rendering import PATH, first_cells, read_cells
from cosinterp.organism.scoring import score_video
from cosinterp.organism.tasks import truth


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What came of a list of attempts.

    The step axis holds the clean estimates of all steps if those were asked for, else the final video alone.

    Attributes:
        solved: bool (step, attempt).
        valid: bool (step, attempt): a path from the start to one goal and nothing else.
        named: bool (step, attempt): the goal reached is the one that the prompt names.
        drawn: bool (step, attempt, row, col): the last frame's path cells.
        path_length: int (attempt,): cells of the true path, both ends included.
    """

    solved: np.ndarray
    valid: np.ndarray
    named: np.ndarray
    drawn: np.ndarray
    path_length: np.ndarray


@dataclass(frozen=True)
class Solver(BatchPipeline):
    """maze-wan's parts on a device, with the mazes' prompts: kind k names goal k of ``mazes.GOALS``."""

    def solve(
        self, attempts: Sequence[Attempt], num_steps: int, guidance_scale: float, each_step: bool = False
    ) -> Outcomes:
        """Denoise, decode and score; all mazes of one drawn size.

        Args:
            attempts: what to solve.
            num_steps: denoising steps.
            guidance_scale: 1 or less runs the ``cond`` branch alone.
            each_step: score the clean estimate of every step; the last step's is the final video.
        """
        batches = [
            self._solve_batch(attempts[start : start + self.batch_size], num_steps, guidance_scale, each_step)
            for start in range(0, len(attempts), self.batch_size)
        ]
        return Outcomes(
            solved=np.concatenate([batch.solved for batch in batches], axis=1),
            valid=np.concatenate([batch.valid for batch in batches], axis=1),
            named=np.concatenate([batch.named for batch in batches], axis=1),
            drawn=np.concatenate([batch.drawn for batch in batches], axis=1),
            path_length=np.concatenate([batch.path_length for batch in batches]),
        )

    def _solve_batch(
        self, attempts: Sequence[Attempt], num_steps: int, guidance_scale: float, each_step: bool
    ) -> Outcomes:
        steps = self.videos(
            np.stack([first_cells(attempt.maze) for attempt in attempts]),
            [GOALS.index(attempt.goal) for attempt in attempts],
            [attempt.seed for attempt in attempts],
            num_steps,
            guidance_scale,
            each_step,
        )
        truths = [truth(attempt.maze, attempt.goal) for attempt in attempts]
        solved, valid, named, drawn = [], [], [], []
        for videos in steps:
            scores = [score_video(video, known) for video, known in zip(videos, truths, strict=True)]
            solved.append([score.solved for score in scores])
            valid.append([score.valid_path for score in scores])
            named.append([s.goal_reached == a.goal for s, a in zip(scores, attempts, strict=True)])
            drawn.append(read_cells(videos[:, -1]) == PATH)
        return Outcomes(
            solved=np.array(solved),
            valid=np.array(valid),
            named=np.array(named),
            drawn=np.stack(drawn),
            path_length=np.array([known["path_length"] for known in truths]),
        )
