"""The score of a maze."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from cosinterp.scorers.task import Frames, require
from probes.scores import ANSWER, Metric, Reading

_TRUTH = ("goal", "walls", "path_order", "start", "red_goal", "blue_goal")


class MazeTask:
    """The mazes of the bundled model: which goal the drawn path reaches, and whether it is the true path."""

    name = "maze"
    metrics: tuple[Metric, ...] = (
        Metric("solved", "solved", "solved", "share"),
        Metric("valid_path", "valid path to a goal", "valid path", "share", blind=True),
        Metric("right_goal", "reaches the named goal", "right goal", "share"),
        Metric("iou", "IoU with the true path", "IoU", "mean"),
        Metric("walls_broken", "walls broken", "walls broken", "mean", (0.0, math.inf), blind=True),
        Metric("consistent", "frames consistent", "frames ok", "share", blind=True),
    )
    headline: tuple[str, ...] = ("solved", "iou")
    readings: tuple[Reading, ...] = (
        Reading(ANSWER, "path", "solved"),
        Reading("goal", "goal", "right_goal"),
    )

    def score(self, video: Frames, truth: Mapping[str, Any]) -> dict[str, float]:
        """As `cosinterp.organism.scoring`; `right_goal`: the path reaches the named goal and no other."""
        from cosinterp.organism.scoring import score_video

        require(truth, _TRUTH, "maze")
        result = score_video(video, truth)
        return {
            "solved": float(result.solved),
            "valid_path": float(result.valid_path),
            "right_goal": float(result.goal_reached == str(truth["goal"])),
            "iou": result.iou,
            "walls_broken": float(result.walls_broken),
            "consistent": float(result.consistent),
        }

    def answer(self, video: Frames, truth: Mapping[str, Any]) -> str | None:
        """The drawn path cells of the last frame, if they lead from the start to a goal; else nothing."""
        from cosinterp.organism.rendering import PATH, read_cells
        from cosinterp.organism.scoring import score_video

        require(truth, _TRUTH, "maze")
        reached = score_video(video, truth).goal_reached
        if reached is None:
            return None
        drawn = np.packbits(read_cells(video[-1]) == PATH).tobytes()
        return f"{reached}-{hashlib.blake2b(drawn, digest_size=4).hexdigest()}"

    def read(self, reading: str, answer: str) -> str:
        """All of the answer, or the goal that its path reaches: "red", "blue" or "both"."""
        return answer.partition("-")[0] if reading == "goal" else answer

    def final_frame(self, truth: Mapping[str, Any]) -> Frames:
        """The solved maze, drawn from the truth."""
        from cosinterp.organism.rendering import PATH, colour
        from cosinterp.organism.tasks import blank_cells

        require(truth, _TRUTH, "maze")
        cells = blank_cells(truth)
        cells[np.asarray(truth["path_order"]) > 0] = PATH
        return colour(cells)
