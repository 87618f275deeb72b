"""Let scene-wan show scenes in bulk, and score what it drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cosinterp.organism.batch_pipeline import BatchPipeline
from cosinterp.organism.scenes.tasks import KINDS, Scene
from cosinterp.scorers import task_of


@dataclass(frozen=True)
class SceneSolver(BatchPipeline):
    """scene-wan's parts on a device, with the scenes' prompts: those of kind k are of ``tasks.KINDS[k]``."""

    def solve(
        self,
        scenes: Sequence[Scene],
        seeds: Sequence[int],
        num_steps: int,
        guidance_scale: float,
        each_step: bool = False,
    ) -> list[list[dict[str, float]]]:
        """Denoise, decode and score: by step, then by scene, the metrics of the scene's task.

        Args:
            scenes: what to show.
            seeds: of each scene's initial noise.
            num_steps: denoising steps.
            guidance_scale: 1 or less runs the ``cond`` branch alone.
            each_step: score the clean estimate of every step; the last step's is the final video. Else that
                alone.
        """
        steps: list[list[dict[str, float]]] = []
        for start in range(0, len(scenes), self.batch_size):
            part = slice(start, start + self.batch_size)
            scored = self._solve_batch(scenes[part], seeds[part], num_steps, guidance_scale, each_step)
            steps = [before + more for before, more in zip(steps, scored, strict=True)] if steps else scored
        return steps

    def _solve_batch(
        self,
        scenes: Sequence[Scene],
        seeds: Sequence[int],
        num_steps: int,
        guidance_scale: float,
        each_step: bool,
    ) -> list[list[dict[str, float]]]:
        first = np.stack([scene.cells()[0] for scene in scenes])
        kinds = [KINDS.index(scene.kind) for scene in scenes]
        truths = [scene.truth() for scene in scenes]
        steps = self.videos(first, kinds, seeds, num_steps, guidance_scale, each_step)
        return [
            [_score(video, truth) for video, truth in zip(videos, truths, strict=True)] for videos in steps
        ]


def _score(video: np.ndarray, truth: dict) -> dict[str, float]:
    task = task_of(truth)
    assert task is not None
    return task.score(video, truth)
