"""The training configuration of scene-wan: ``scene-train.toml``, in the sections that maze-wan's has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cosinterp.organism.config import (
    TrainingConfig,
    checked,
    frame_contradictions,
    read_sections,
    read_toml,
)
from cosinterp.organism.rendering import NUM_FRAMES
from cosinterp.organism.scenes.rendering import SIDE
from cosinterp.organism.scenes.tasks import TASKS

DEFAULT_CONFIG = Path(__file__).parent.with_name("scene-train.toml")


@dataclass(frozen=True)
class SceneTrainingConfig(TrainingConfig):
    """All that makes a scene-wan.

    Attributes:
        pool: task -> scenes in the training pool.
    """

    pool: dict[str, int]


def load_scene_config(path: Path = DEFAULT_CONFIG) -> SceneTrainingConfig:
    """Read a configuration file.

    Raises:
        UserError: no such file, no TOML, a key that is missing or unknown, or a value that cannot be.
    """
    return checked(read_sections(SceneTrainingConfig, read_toml(path), path.name), _contradictions)


def _contradictions(config: SceneTrainingConfig) -> Iterator[str]:
    yield from frame_contradictions(config)
    if config.num_frames != NUM_FRAMES:
        yield f"a scene has {NUM_FRAMES} frames, not {config.num_frames}"
    if set(config.pool) != set(TASKS):
        yield f"the pool has to have {' and '.join(TASKS)}, not {', '.join(config.pool) or 'nothing'}"
    if any(set(phase.shares) != {SIDE} for phase in config.denoiser.curriculum):
        yield f"scenes are drawn on {SIDE} cells a side, and the curriculum has to ask for no other"
