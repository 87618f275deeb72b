"""The training configuration: ``train.toml`` and the like as checked dataclasses."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

from cosinterp.errors import UserError
from cosinterp.organism.architecture import TEMPORAL_FACTOR, TransformerSize
from cosinterp.organism.mazes import DEFAULT_ROOMS, MAX_ROOMS, MIN_ROOMS
from cosinterp.organism.rendering import grid_side

DEFAULT_CONFIG = Path(__file__).with_name("train.toml")

_Section = TypeVar("_Section")
_Config = TypeVar("_Config", bound="TrainingConfig")


@dataclass(frozen=True)
class AutoencoderTraining:
    """How the autoencoder learns: on clips of ``clip_frames``, and in the last share on whole videos."""

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
    """How the transformer learns; ``train.toml`` explains each number."""

    iterations: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup_iterations: int
    decay_share: float
    ema_decay: float
    empty_prompt_share: float
    crossed_weight: float
    curriculum: tuple[CurriculumPhase, ...]
    log_every: int
    evaluate_every: int
    checkpoint_every: int


@dataclass(frozen=True)
class TrainingConfig:
    """All that makes a bundled model but what it is trained on, and by how many processes that is made.

    Attributes:
        seed: of all that is drawn.
        num_frames: of each video.
        processes: that make what is trained on; they change nothing in it.
        transformer: its size.
        autoencoder: first stage.
        denoiser: second stage.
    """

    seed: int
    num_frames: int
    processes: int
    transformer: TransformerSize
    autoencoder: AutoencoderTraining
    denoiser: DenoiserTraining


@dataclass(frozen=True)
class MazeTrainingConfig(TrainingConfig):
    """All that makes a maze-wan.

    Attributes:
        pool: rooms a side -> mazes in the training pool.
    """

    pool: dict[int, int]


def load_config(path: Path = DEFAULT_CONFIG) -> MazeTrainingConfig:
    """Read maze-wan's configuration file.

    Raises:
        UserError: no such file, no TOML, a key that is missing or unknown, or a value that cannot be.
    """
    raw = _by_size(read_toml(path), "pool", path.name)
    return checked(read_sections(MazeTrainingConfig, raw, path.name), _contradictions)


def read_toml(path: Path) -> dict[str, Any]:
    """A configuration file as it stands.

    Raises:
        UserError: no such file, or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the training configuration {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is no valid TOML: {error}") from error


def read_sections(kind: type[_Config], raw: dict[str, Any], name: str) -> _Config:
    """A configuration of its tables and values.

    Raises:
        UserError: a key that is missing or unknown, or a value that cannot be.
    """
    denoiser = dict(_table(raw, "denoiser"))
    phases = denoiser.get("curriculum", ())
    if not isinstance(phases, list) or not phases:
        raise UserError("training configuration: denoiser.curriculum has to be a list of one phase or more")
    denoiser["curriculum"] = tuple(
        _section(CurriculumPhase, _by_size(phase, "shares", name), name)
        for name, phase in ((f"denoiser.curriculum {index}", phase) for index, phase in enumerate(phases))
    )
    return _section(
        kind,
        raw
        | {
            "transformer": _section(TransformerSize, _table(raw, "transformer"), "transformer"),
            "autoencoder": _section(AutoencoderTraining, _table(raw, "autoencoder"), "autoencoder"),
            "denoiser": _section(DenoiserTraining, denoiser, "denoiser"),
        },
        name,
    )


def checked(config: _Config, contradictions: Callable[[_Config], Iterator[str]]) -> _Config:
    """The configuration, if nothing is wrong between values that are each right by themselves.

    Raises:
        UserError: the first contradiction.
    """
    for wrong in contradictions(config):
        raise UserError(f"training configuration: {wrong}")
    return config


def frame_contradictions(config: TrainingConfig) -> Iterator[str]:
    """What is wrong between the numbers of frames, and in the curriculum's shares."""
    if config.num_frames % TEMPORAL_FACTOR != 1:
        yield f"num_frames has to be a multiple of {TEMPORAL_FACTOR} and 1 more, not {config.num_frames}"
    if config.autoencoder.clip_frames > config.num_frames:
        yield "autoencoder.clip_frames is more than num_frames"
    for phase in config.denoiser.curriculum:
        if not math.isclose(sum(phase.shares.values()), 1.0):
            yield f"the shares of the curriculum's phase until {phase.until:g} do not add up to 1"


def _contradictions(config: MazeTrainingConfig) -> Iterator[str]:
    yield from frame_contradictions(config)
    if DEFAULT_ROOMS not in config.pool:
        yield f"the pool needs mazes of {DEFAULT_ROOMS} rooms a side"
    sizes = [rooms for rooms in config.pool if not MIN_ROOMS <= rooms <= MAX_ROOMS]
    if sizes:
        yield f"a maze has {MIN_ROOMS} to {MAX_ROOMS} rooms a side, not {sizes[0]}"
    if min(config.pool.values(), default=0) < 1:
        yield "each size in the pool needs at least 1 maze"
    drawn = {grid_side(rooms) for rooms in config.pool}
    for phase in config.denoiser.curriculum:
        missing = sorted(set(phase.shares) - drawn)
        if missing:
            yield f"the curriculum asks for {missing[0]} cells a side, which no maze of the pool has"


def _table(values: dict[str, Any], name: str) -> dict[str, Any]:
    table = values.get(name, {})
    if not isinstance(table, dict):
        raise UserError(f"training configuration: {name} has to be a table")
    return table


def _by_size(values: Any, key: str, name: str) -> dict[str, Any]:
    """``values`` with the table ``key``, whose keys are sizes, read as such."""
    if not isinstance(values, dict):
        raise UserError(f"training configuration: {name} has to be a table")
    if key not in values:
        return values
    try:
        return values | {key: {int(size): number for size, number in _table(values, key).items()}}
    except ValueError as error:
        raise UserError(f"training configuration, [{name}]: the keys of {key} have to be sizes") from error


def _section(kind: type[_Section], values: dict[str, Any], name: str) -> _Section:
    known = {field.name for field in fields(kind)}  # pyright: ignore[reportArgumentType]
    if known != set(values):
        wrong = [f"missing {key}" for key in sorted(known - set(values))] + [
            f"unknown {key}" for key in sorted(set(values) - known)
        ]
        raise UserError(f"training configuration, [{name}]: {', '.join(wrong)}")
    for key, expected in get_type_hints(kind).items():
        is_table = get_origin(expected) is dict
        numbers = values[key].values() if is_table else [values[key]]
        if expected in (int, dict[int, int], dict[str, int]):
            _check(numbers, int, 0 if key == "seed" else 1, f"[{name}]: {key}")
        elif expected in (float, dict[int, float]):
            _check(numbers, (int, float), 0, f"[{name}]: {key}")
    return kind(**values)


def _check(numbers: Iterable[Any], kind: type | tuple[type, ...], least: int, what: str) -> None:
    for number in numbers:
        if not isinstance(number, kind) or isinstance(number, bool) or number < least:
            words = "a whole number" if kind is int else "a number"
            raise UserError(
                f"training configuration, {what} has to be {words}, {least} or more, not {number!r}"
            )
