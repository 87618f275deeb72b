"""Where the decoded pictures of a run lie."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = "media"
"""Of a store, unless another is named."""
_STEP_VIDEO = re.compile(r"step-(\d+)\.mp4")


def media_folder(root: Path, sample: str, seed: int, variant: str = "base") -> Path:
    """Where a run's pictures lie: ROOT/SAMPLE/SEED; ROOT/SAMPLE/SEED.VARIANT for anything but the base."""
    return root / sample / (str(seed) if variant == "base" else f"{seed}.{variant}")


def step_video(folder: Path, step: int) -> Path:
    """The file of a step's decoded clean estimate."""
    return folder / f"step-{step:02d}.mp4"


def step_of(path: Path) -> int | None:
    """The step whose decoded clean estimate a file is by its name; None: it is something else.

    >>> step_of(step_video(Path("media/maze-1/0"), 7)), step_of(Path("steps.gif"))
    (7, None)
    """
    named = _STEP_VIDEO.fullmatch(path.name)
    return int(named[1]) if named else None
