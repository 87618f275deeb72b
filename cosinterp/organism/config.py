"""The training configuration: ``train.toml`` as checked dataclasses."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from cosinterp.errors import UserError
from cosinterp.organism.architecture import TransformerSize

DEFAULT_CONFIG = Path(__file__).with_name("train.toml")

_Section = TypeVar("_Section")


@dataclass(frozen=True)
class AutoencoderTraining:
    iterations: int
    batch_size: int
    learning_rate: float
    kl_weight: float
    clip_frames: int
    whole_video_share: float


@dataclass(frozen=True)
class CurriculumPhase:
    """Up to the share ``until`` of training, the chance of a batch of each grid side (in cells)."""

    until: float
    shares: dict[int, float]


@dataclass(frozen=True)
class DenoiserTraining:
    iterations: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup_iterations: int
    decay_share: float
    ema_decay: float
    empty_prompt_share: float
    path_weight: float
    curriculum: tuple[CurriculumPhase, ...]
    log_every: int
    evaluate_every: int
    checkpoint_every: int


@dataclass(frozen=True)
class TrainingConfig:
    """All that makes a maze-wan, but the hardware."""

    seed: int
    num_frames: int
    processes: int
    transformer: TransformerSize
    pool: dict[int, int]
    autoencoder: AutoencoderTraining
    denoiser: DenoiserTraining


def load_config(path: Path = DEFAULT_CONFIG) -> TrainingConfig:
    """Read a configuration file.

    Raises:
        UserError: no such file, no TOML, or a key that is missing or unknown.
    """
    try:
        raw = tomllib.loads(path.read_text())
    except OSError as error:
        raise UserError(f"cannot read the training configuration {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is no valid TOML: {error}") from error
    raw["transformer"] = _section(TransformerSize, raw.get("transformer"), "transformer")
    raw["autoencoder"] = _section(AutoencoderTraining, raw.get("autoencoder"), "autoencoder")
    denoiser = dict(raw.get("denoiser", {}))
    denoiser["curriculum"] = tuple(
        CurriculumPhase(phase["until"], {int(side): share for side, share in phase["shares"].items()})
        for phase in denoiser.get("curriculum", ())
    )
    raw["denoiser"] = _section(DenoiserTraining, denoiser, "denoiser")
    raw["pool"] = {int(rooms): count for rooms, count in raw.get("pool", {}).items()}
    return _section(TrainingConfig, raw, path.name)


def _section(kind: type[_Section], values: dict[str, Any] | None, name: str) -> _Section:
    known = {field.name for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    given = set(values or {})
    if known != given:
        wrong = [f"missing {key}" for key in sorted(known - given)] + [
            f"unknown {key}" for key in sorted(given - known)
        ]
        raise UserError(f"training configuration, [{name}]: {', '.join(wrong)}")
    return kind(**(values or {}))
