"""The scores of scene-wan's tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cosinterp.scorers.task import Frames, require
from probes.scores import ANSWER, Metric, Reading

_PERMANENCE_TRUTH = (
    *("colour", "direction", "exit_row", "exit_frame"),
    *("walls", "resting", "trail", "places", "hidden"),
)
_GROUNDING_TRUTH = ("named", "walls", "blocks", "target", "course")


class PermanenceTask:
    """A ball that rolls behind a wall: where, when and in which colour it comes out."""

    name = "permanence"
    metrics: tuple[Metric, ...] = (
        Metric("solved", "solved", "solved", "share"),
        Metric("right_exit", "comes out in the right row in its colour", "right exit", "share"),
        Metric("right_row", "comes out in the right row", "right row", "share"),
        Metric("colour_kept", "comes out in its colour", "colour", "share"),
        Metric("in_time", "comes out in the right frame", "in time", "share"),
        Metric("hidden", "hidden while behind the wall", "hidden", "share"),
        Metric("consistent", "scene consistent", "scene ok", "share", blind=True),
    )
    headline: tuple[str, ...] = ("solved", "right_row", "colour_kept")
    readings: tuple[Reading, ...] = (
        Reading(ANSWER, "exit", "right_exit"),
        Reading("row", "exit row", "right_row"),
        Reading("colour", "colour", "colour_kept"),
    )

    def score(self, video: Frames, truth: Mapping[str, Any]) -> dict[str, float]:
        """As `cosinterp.organism.scenes.scoring`; `right_exit` is `right_row` and `colour_kept` in one."""
        from cosinterp.organism.scenes.scoring import score_permanence

        require(truth, _PERMANENCE_TRUTH, "scene")
        result = score_permanence(video, truth)
        return {
            "solved": float(result.solved),
            "right_exit": float(result.right_row and result.right_colour),
            "right_row": float(result.right_row),
            "colour_kept": float(result.right_colour),
            "in_time": float(result.in_time),
            "hidden": float(result.hidden),
            "consistent": float(result.consistent),
        }

    def answer(self, video: Frames, truth: Mapping[str, Any]) -> str | None:
        """Colour and row in which the ball comes out ("red-7"), if it does."""
        from cosinterp.organism.scenes.scoring import score_permanence

        require(truth, _PERMANENCE_TRUTH, "scene")
        found = score_permanence(video, truth).exit
        return None if found is None else f"{found.colour}-{found.row}"

    def read(self, reading: str, answer: str) -> str:
        """All of the answer, the row or the colour."""
        colour, _, row = answer.partition("-")
        return {"row": row, "colour": colour}.get(reading, answer)

    def final_frame(self, truth: Mapping[str, Any]) -> Frames:
        """The true last frame, drawn from the truth."""
        from cosinterp.organism.scenes.permanence import cell_video
        from cosinterp.organism.scenes.rendering import colour

        require(truth, _PERMANENCE_TRUTH, "scene")
        return colour(cell_video(truth)[-1])


class GroundingTask:
    """Blocks of several colours, one of which has to move to the target: which one does."""

    name = "grounding"
    metrics: tuple[Metric, ...] = (
        Metric("solved", "solved", "solved", "share"),
        Metric("right_block", "the named block is at the target", "right block", "share"),
        Metric("others_unmoved", "other blocks unmoved", "others stay", "share"),
        Metric("on_course", "frames with the block on its course", "on course", "mean"),
        Metric("consistent", "scene consistent", "scene ok", "share", blind=True),
    )
    headline: tuple[str, ...] = ("solved", "right_block")
    readings: tuple[Reading, ...] = (Reading(ANSWER, "block", "right_block"),)

    def score(self, video: Frames, truth: Mapping[str, Any]) -> dict[str, float]:
        """As `cosinterp.organism.scenes.scoring`."""
        from cosinterp.organism.scenes.scoring import score_grounding

        require(truth, _GROUNDING_TRUTH, "scene")
        result = score_grounding(video, truth)
        return {
            "solved": float(result.solved),
            "right_block": float(result.right_block),
            "others_unmoved": float(result.others_unmoved),
            "on_course": result.on_course,
            "consistent": float(result.consistent),
        }

    def answer(self, video: Frames, truth: Mapping[str, Any]) -> str | None:
        """The colour of the block that is at the target in the last frame, if one is."""
        from cosinterp.organism.scenes.scoring import score_grounding

        require(truth, _GROUNDING_TRUTH, "scene")
        return score_grounding(video, truth).at_target

    def read(self, reading: str, answer: str) -> str:
        """All of the answer: there is no other reading."""
        return answer

    def final_frame(self, truth: Mapping[str, Any]) -> Frames:
        """The true last frame, drawn from the truth."""
        from cosinterp.organism.scenes.grounding import cell_video
        from cosinterp.organism.scenes.rendering import colour

        require(truth, _GROUNDING_TRUTH, "scene")
        return colour(cell_video(truth)[-1])
