"""What an experiment will cost: counted in what the model does, timed on this machine."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from cosinterp.samples import Sample


@dataclass(frozen=True)
class Cost:
    """Work that is to be done.

    Attributes:
        steps: denoising steps of single runs, all branches and rows counted in.
        decodes: videos decoded and scored.
        seconds: of everything else on one CPU core, as measured once on a common one: probes, bootstraps.
    """

    steps: float = 0.0
    decodes: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.steps + other.steps, self.decodes + other.decodes, self.seconds + other.seconds)


@dataclass(frozen=True)
class Rates:
    """How fast a machine is: seconds of one denoising step of one run, and of one video."""

    step: float
    decode: float

    def seconds(self, cost: Cost) -> float:
        """How long a cost takes here."""
        return cost.steps * self.step + cost.decodes * self.decode + cost.seconds


def measure_rates(model: Model, sample: Sample, **sampling: Any) -> Rates:
    """Time a short run of a sample, and the decoding of its video. Takes a few seconds."""
    from cosinterp.decoding import clean_videos
    from cosinterp.tracing import trace

    steps = 4
    with tempfile.TemporaryDirectory(prefix="cosinterp-") as folder:
        asked: dict[str, Any] = {"sites": "none", "seeds": "0", "save_video": False, **sampling}
        # The first run of a process also pays for what is loaded late.
        trace(model, sample, store=Path(folder) / "first", num_steps=1, **asked)
        begun = time.perf_counter()
        store = trace(model, sample, store=Path(folder) / "timed", num_steps=steps, **asked)
        traced = time.perf_counter() - begun
        with store.run(sample.name, 0) as run:
            begun = time.perf_counter()
            videos = sum(1 for _ in clean_videos(model, run))
            decoded = time.perf_counter() - begun
    return Rates(traced / steps, decoded / videos)
