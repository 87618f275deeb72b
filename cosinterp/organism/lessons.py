"""What a bundled model is trained on, so that one training makes all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from cosinterp.organism.batch_pipeline import BatchPipeline


@dataclass(frozen=True, eq=False)
class BundledModel:
    """A bundled model, apart from its weights.

    Attributes:
        name: what it is called.
        task: what its ``cosinterp.json`` calls the task.
        prompts: by kind, the wordings of a prompt; all kinds have as many.
        palette: uint8 (class, rgb), the colours of cells.
        sampling: its sampling defaults other than the size, by the names of the command line's flags.
    """

    name: str
    task: str
    prompts: Sequence[Sequence[str]]
    palette: np.ndarray
    sampling: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Drawn:
    """True videos, drawn on one grid. Their cells are classes of the palette.

    Attributes:
        first: uint8 (scene, row, col), the first frame.
        videos: uint8 (scene, answer, frame, row, col): a scene has a video for each right answer.
        kinds: int64 (scene, answer): which prompts ask for that answer.
        crossed: bool (scene, row, col): cells that matter most, by the first frame alone.
    """

    first: np.ndarray
    videos: np.ndarray
    kinds: np.ndarray
    crossed: np.ndarray


class Lessons(Protocol):
    """What to train on, and how to see what was learnt.

    Attributes:
        model: what is trained.
    """

    model: BundledModel

    def random_videos(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """True videos for the autoencoder: cell classes, uint8 (video, frame, row, col)."""
        ...

    def weights(self, cells: np.ndarray) -> np.ndarray | None:
        """What each cell counts for the autoencoder, float32 shaped as ``cells``; None: all the same."""
        ...

    def kept(self, read: np.ndarray, true: np.ndarray) -> np.ndarray:
        """Which videos survived the autoencoder, bool (video,): cells as they were read, and as they were."""
        ...

    def drawn(self, batch_size: int) -> Iterator[Drawn]:
        """All that the transformer learns from, a batch at a time."""
        ...

    def evaluate(self, pipeline: BatchPipeline) -> dict[str, Any]:
        """A quick look at held-out scenes, figures by name."""
        ...
