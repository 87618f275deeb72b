"""LoRAs: which one an expert runs with, what is recorded of it, and putting it in."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosinterp.errors import ModelError, ModelWarning
from cosinterp.models.loading.lora_files import Factors, LoraFile, find_lora, read_lora
from cosinterp.models.loading.lora_names import fit
from cosinterp.models.loading.quiet import first_line
from cosinterp.models.loading.sources import expanded

Asked = str | Path | Sequence[str | Path] | None


@dataclass(frozen=True)
class Lora:
    """What is recorded of a LoRA that an expert runs with; ``scale`` multiplies what the file itself says."""

    expert: str
    path: str
    sha256: str
    scale: float


@dataclass(frozen=True)
class FittedLora:
    """A LoRA, read, and found to fit an expert; ``factors`` are by the name of the expert's module."""

    record: Lora
    factors: dict[str, Factors]


@dataclass(frozen=True)
class _Wish:
    path: Path
    scale: float
    expert: str | None


def fit_loras(asked: Asked, pipeline: Any, experts: tuple[str, ...]) -> tuple[FittedLora, ...]:
    """Read the LoRAs that are asked for and see that they fit; the pipeline may be a skeleton.

    ``asked``: ``PATH``, ``PATH:SCALE`` or ``EXPERT=PATH:SCALE``, one or several. Those without an expert are
    one for all experts, or one for each in order; several of an expert add up.

    Raises:
        ModelError: one cannot be read, or fits nothing, or it is not clear for which expert it is.
    """
    if asked is None:
        return ()
    wishes = [_wish(each, experts) for each in ([asked] if isinstance(asked, str | Path) else asked)]
    # One file may be for several experts, and is large.
    read: dict[Path, tuple[LoraFile, str]] = {}
    fitted = []
    for expert, wish in _by_expert(wishes, experts):
        path = find_lora(wish.path).resolve()
        if not hasattr(getattr(pipeline, expert), "load_lora_adapter"):
            kind = type(getattr(pipeline, expert)).__name__
            raise ModelError(f"{path}: diffusers puts no LoRA into a {kind}")
        if path not in read:
            read[path] = read_lora(path), _sha256(path)
        file, digest = read[path]
        factors, left = fit(file, pipeline, expert, experts)
        _warn_of_left(file, left, expert)
        fitted.append(FittedLora(Lora(expert, str(path), digest, wish.scale), factors))
    return tuple(fitted)


def add_loras(pipeline: Any, loras: tuple[FittedLora, ...]) -> None:
    """Put LoRAs into the experts that they are for.

    Raises:
        ModelError: PEFT, which diffusers does it with, refuses one.
    """
    adapters: dict[str, dict[str, float]] = {}
    for number, lora in enumerate(loras):
        expert = lora.record.expert
        adapter = f"lora_{number}"
        try:
            with warnings.catch_warnings():
                # That there are several adapters is what was asked for.
                warnings.filterwarnings("ignore", message="Already found a `peft_config` attribute")
                getattr(pipeline, expert).load_lora_adapter(_state(lora.factors), adapter_name=adapter)
        except (ValueError, KeyError, RuntimeError, TypeError, AttributeError, ImportError) as error:
            raise ModelError(
                f"{lora.record.path}: cannot be put into {expert}: {first_line(error)}"
            ) from error
        adapters.setdefault(expert, {})[adapter] = lora.record.scale
    for expert, scales in adapters.items():
        getattr(pipeline, expert).set_adapters(list(scales), weights=list(scales.values()))


def _wish(text: str | Path, experts: tuple[str, ...]) -> _Wish:
    if isinstance(text, Path):
        return _Wish(expanded(text), 1.0, None)
    expert, rest = _named_expert(text, experts)
    path, colon, number = rest.rpartition(":")
    if not colon or expanded(rest).exists():
        return _Wish(_path(rest, text), 1.0, expert)
    try:
        scale = float(number)
    except ValueError:
        return _Wish(_path(rest, text), 1.0, expert)
    if not math.isfinite(scale):
        raise ModelError(f"{text}: the scale of a LoRA has to be a number, not {number}")
    return _Wish(_path(path, text), scale, expert)


def _named_expert(text: str, experts: tuple[str, ...]) -> tuple[str | None, str]:
    """The expert that is named before a path, and the rest; a path may have an equals sign too."""
    expert, equals, rest = text.partition("=")
    if not equals:
        return None, text
    if expert in experts:
        return expert, rest
    if expert.startswith("transformer") and expert.isidentifier():
        raise ModelError(f"{text}: the model has no {expert} to put a LoRA into; it has {', '.join(experts)}")
    return None, text


def _path(path: str, text: str) -> Path:
    if not path.strip():
        raise ModelError(f'the LoRA "{text}" names no file')
    return expanded(path)


def _by_expert(wishes: list[_Wish], experts: tuple[str, ...]) -> list[tuple[str, _Wish]]:
    unnamed = [wish for wish in wishes if wish.expert is None]
    if len(unnamed) not in (0, 1, len(experts)):
        raise ModelError(
            f"{len(unnamed)} LoRAs for {len(experts)} expert(s): give one for all, one for each in order, "
            f"or say for which, as in {experts[-1]}=PATH"
        )
    pairs = [(expert, unnamed[index % len(unnamed)]) for index, expert in enumerate(experts) if unnamed]
    return pairs + [(wish.expert, wish) for wish in wishes if wish.expert is not None]


def _warn_of_left(file: LoraFile, left: list[str], expert: str) -> None:
    changed = [key for key, tensor in file.beside.items() if tensor.any()]
    for names, what in (
        (left, "modules that the model does not have"),
        (changed, "changes that are no LoRA"),
    ):
        if names:
            warnings.warn(
                f"{file.path}: left out of {expert}: {len(names)} {what}, such as {', '.join(names[:3])}",
                ModelWarning,
                stacklevel=2,
            )


def _state(factors: dict[str, Factors]) -> dict[str, Any]:
    """Factors as diffusers takes them; PEFT wants a bias for all modules or for none."""
    biased = any(each.bias is not None for each in factors.values())
    state = {}
    for name, each in factors.items():
        start = f"transformer.{name}"
        state[f"{start}.lora_A.weight"] = each.down
        state[f"{start}.lora_B.weight"] = each.up
        if biased:
            zeros = each.up.new_zeros(each.up.shape[0])
            state[f"{start}.lora_B.bias"] = zeros if each.bias is None else each.bias
    return state


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
