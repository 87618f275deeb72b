"""VBVR-Bench's own scores of a patched run, where its package ``vbvr_bench`` is installed.

Its evaluators (https://github.com/Video-Reason/VBVR-EvalKit) read files, so the video is written to one, as
`cosinterp.video_export` writes it, and the true first and last frames are looked for where the dataset lay
when it was traced. A patched run is scored against the truth of either sample.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from cosinterp.media_files import encode_video
from cosinterp.patching.measures import MeasureError, Truth
from cosinterp.samples.folders import IMAGE_FILE
from cosinterp.samples.place import KEY, Place
from cosinterp.scorers import Frames, Metric
from cosinterp.video_export import CRF

PACKAGE = "vbvr_bench"

_FRAME_RATE = 16.0


@dataclass(frozen=True)
class Reference:
    """What VBVR-Bench compares a video with.

    Attributes:
        task: the name of the task's generator, by which its evaluator is found.
        folder: the sample's folder in the dataset.
        final_frame, ground_truth: the true last frame and video; None where the sample has none.
    """

    task: str
    folder: Path
    final_frame: Path | None
    ground_truth: Path | None

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Reference | None:
        """That of a sample with these metadata; None if it is no sample of a task that can be scored."""
        place = Place.from_metadata(metadata)
        if place is None or place.task not in _evaluators().TASK_EVALUATOR_MAP:
            return None
        frame, video = (metadata[KEY].get(name) for name in ("final_frame", "ground_truth"))
        if frame is None and video is None:
            return None
        return cls(
            place.task,
            Path(frame or video).parent,
            None if frame is None else Path(frame),
            None if video is None else Path(video),
        )

    def score(self, video: Path) -> float:
        """The task's own score of a video file, 0 to 1.

        Raises:
            MeasureError: what it is compared with is no longer there.
        """
        files = {
            "gt_first_frame": self.folder / IMAGE_FILE,
            "gt_final_frame": self.final_frame,
            "gt_video_path": self.ground_truth,
        }
        known = {name: file for name, file in files.items() if file is not None}
        for file in known.values():
            # The evaluators would score without it, and lower, without a word.
            if not file.is_file():
                raise MeasureError(f"measure VBVR-Bench: {file} is not there any more; put the dataset back")
        paths = {name: str(file) for name, file in known.items()}
        asked = {
            **paths,
            "video_path": str(video),
            "gt_path": str(self.folder),
            "task_name": self.task,
            "no_ssim_fallback": True,
        }
        evaluator = _evaluators().get_evaluator(self.task, "cpu")
        return float(evaluator.evaluate(asked, task_specific_only=True)["score"])


class VbvrMeasure:
    """The score of the sample's task against the recipient's truth and the donor's."""

    name = "VBVR-Bench"

    def __init__(self, recipient: Reference | None, donor: Reference | None) -> None:
        references = {"recipient": recipient, "donor": donor}
        self._references = {whose: one for whose, one in references.items() if one is not None}
        self.columns: tuple[Metric, ...] = tuple(
            Metric(f"vbvr_{whose}", f"VBVR-Bench score, {whose}'s", "VBVR", "mean", (0.0, 1.0))
            for whose in self._references
        )

    def measure(self, video: Frames, recipient_truth: Truth, donor_truth: Truth) -> dict[str, float]:
        """Scores of a video, uint8 (frame, row, col, rgb). Raises MeasureError: a true frame is gone."""
        with TemporaryDirectory(prefix="cosinterp-") as folder:
            file = Path(folder) / "video.mp4"
            encode_video(video, file, _FRAME_RATE, crf=CRF)
            return {f"vbvr_{whose}": one.score(file) for whose, one in self._references.items()}


def vbvr_measures(
    recipient_metadata: Mapping[str, Any], donor_metadata: Mapping[str, Any]
) -> tuple[VbvrMeasure, ...]:
    """What VBVR-Bench can measure of a pair of runs whose samples have these metadata.

    Nothing, if its package is not installed, or neither sample is of one of its tasks.
    """
    if find_spec(PACKAGE) is None:
        return ()
    recipient, donor = Reference.of(recipient_metadata), Reference.of(donor_metadata)
    return () if recipient is None and donor is None else (VbvrMeasure(recipient, donor),)


@cache
def _evaluators() -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.evaluators")
