"""How many frames a second the videos of a pipeline usually have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Pipelines whose videos depend on it are told it, under one of these names.
_SETTINGS = ("frame_rate", "fps")

# (what the pipeline's class begins with, what is in the model's name, frames a second), as in the examples of
# diffusers and of the models' authors. The first that fits counts.
_USUAL = (
    ("Allegro", "", 15),
    ("CogVideoX", "1.5", 16),
    ("CogVideoX", "", 8),
    ("Cosmos2", "", 16),
    ("Cosmos", "", 30),
    ("HunyuanVideoFramepack", "", 30),
    ("HunyuanVideo", "", 24),
    ("HunyuanSkyreels", "", 24),
    ("Kandinsky5", "", 24),
    ("LTX", "", 24),
    ("Mochi", "", 30),
    ("SanaVideo", "", 16),
    ("SkyReelsV2", "", 24),
    ("Wan", "ti2v", 24),
    ("Wan", "", 16),
)
_OTHERWISE = 16.0


def usual_frame_rate(model: Mapping[str, Any], sampling: Mapping[str, Any]) -> float:
    """Frames a second of a run's video: what the pipeline was told, else what is usual for it, else 16.

    Args:
        model: of the store's settings.
        sampling: the run's settings.
    """
    for name in _SETTINGS:
        told = sampling.get(name)
        if isinstance(told, int | float) and not isinstance(told, bool) and told > 0:
            return float(told)
    pipeline, called = str(model.get("pipeline")), str(model.get("name")).lower()
    fitting = (rate for begin, part, rate in _USUAL if pipeline.startswith(begin) and part in called)
    return float(next(fitting, _OTHERWISE))
