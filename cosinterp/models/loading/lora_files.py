"""Reading LoRA files of any naming into one form: two factors for each module that they change.

A LoRA changes a module's weight W to W + s B A (Hu et al. 2021, arXiv 2106.09685). Files name the factors
differently, and say the scale s in different places; what is read here has s in B.

| written by | a key | the scale |
| --- | --- | --- |
| diffusers | ``transformer.blocks.0.attn1.to_q.lora_A.weight`` | in the file's metadata, else 1 |
| PEFT | ``base_model.model.blocks.0.attn1.to_q.lora_A.weight`` | in ``adapter_config.json`` |
| DiffSynth | ``blocks.0.self_attn.q.lora_A.default.weight`` | 1 |
| ComfyUI and others | ``diffusion_model.blocks.0.self_attn.q.lora_down.weight`` | ``.alpha`` over the rank |
| kohya, musubi, VideoX-Fun | ``lora_unet_blocks_0_self_attn_q.lora_down.weight`` | ``.alpha`` over the rank |
"""

from __future__ import annotations

import json
import math
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from cosinterp.errors import ModelError
from cosinterp.models.loading.index import read_json
from cosinterp.models.loading.quiet import first_line

if TYPE_CHECKING:
    import torch

_ADAPTER_CONFIG = "adapter_config.json"
_METADATA = "lora_adapter_metadata"
_PEFT_STEM = "adapter_model"
_PEFT_KEYS = "base_model.model."
# What the names of the components that denoise begin with.
_DENOISER = "transformer"
_USUAL_NAMES = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")
_PICKLED = (".bin", ".pt", ".pth")
# What torch's reader of pickles raises of files that are none, beside its own error.
_READING_ERRORS = (
    *(OSError, SafetensorError, RuntimeError, ValueError, EOFError),
    *(KeyError, IndexError, TypeError, AttributeError),
)

# The ends of keys. A name after lora_A is that of the adapter when it was saved.
_ENDS = {
    "down": re.compile(r"\.(?:lora_(?:A|down)(?:\.[^.]+)?|lora\.down)\.weight$"),
    "up": re.compile(r"\.(?:lora_(?:B|up)(?:\.[^.]+)?|lora\.up)\.weight$"),
    "up_bias": re.compile(r"\.lora_B(?:\.[^.]+)?\.bias$"),
    "alpha": re.compile(r"\.alpha$"),
    "bias": re.compile(r"\.diff_b$"),
    "difference": re.compile(r"\.diff$"),
}

Scale = Callable[[str, Mapping[str, "torch.Tensor"]], float]
"""What the product of a module's factors is multiplied by, of the module's name and its tensors."""
_DORA = re.compile(r"\.(?:lora_magnitude_vector(?:\..+)?|dora_scale)$")
_IS_DORA = "is a DoRA, which is not supported; only plain LoRAs are"


@dataclass(frozen=True)
class Factors:
    """How one module is changed: its weight by ``up @ down``, its bias by ``bias``.

    ``down``: (rank, in, ...); ``up``: (out, rank, ...); ``bias``: (out,) or None.
    """

    down: torch.Tensor
    up: torch.Tensor
    bias: torch.Tensor | None = None


@dataclass(frozen=True)
class LoraFile:
    """What a LoRA file holds.

    ``factors`` by the file's name of the module; ``beside`` are changes of another form, such as the whole
    difference of a norm, by key.
    """

    path: Path
    factors: dict[str, Factors]
    beside: dict[str, torch.Tensor]


def find_lora(path: Path) -> Path:
    """The LoRA file that a path means: itself, or the one in a folder.

    Raises:
        ModelError: there is none, or several.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise ModelError(f"{path}: no such LoRA file or folder")
    for name in _USUAL_NAMES:
        if (path / name).is_file():
            return path / name
    files = sorted(path.glob("*.safetensors"))
    if len(files) != 1:
        found = f"several: {', '.join(file.name for file in files[:4])}; name one" if files else "none"
        raise ModelError(f"{path}: a folder with one LoRA file is wanted; it has {found}")
    return files[0]


def read_lora(path: Path) -> LoraFile:
    """Read a LoRA file.

    Raises:
        ModelError: it cannot be read, or is something else than a LoRA.
    """
    tensors, scale = _contents(path)
    if any(_DORA.search(key) for key in tensors):
        raise ModelError(f"{path}: {_IS_DORA}")
    broken = next((key for key, tensor in tensors.items() if not tensor.isfinite().all()), None)
    if broken is not None:
        raise ModelError(f"{path}: its {broken} has numbers that are not finite")
    try:
        factors, beside = group(tensors, scale)
    except ValueError as error:
        raise ModelError(f"{path}: is no LoRA: {error}") from error
    if not factors:
        raise ModelError(f"{path}: is no LoRA: it has no lora_A and lora_B, nor lora_down and lora_up")
    return LoraFile(path, factors, beside)


def group(
    tensors: Mapping[str, torch.Tensor], scale: Scale
) -> tuple[dict[str, Factors], dict[str, torch.Tensor]]:
    """Factors by module, and changes of another form by key; ``scale`` is that of a module and its tensors.

    Raises:
        ValueError: a key is none of a LoRA, or a factor lacks the other.
    """
    modules: dict[str, dict[str, torch.Tensor]] = {}
    unknown: list[str] = []
    for key, tensor in tensors.items():
        kind, module = _part(key)
        if kind is None:
            unknown.append(key)
        else:
            modules.setdefault(module, {})[kind] = tensor
    if unknown:
        raise ValueError(f"it has {', '.join(unknown[:3])}")
    factors: dict[str, Factors] = {}
    beside: dict[str, torch.Tensor] = {}
    for module, found in modules.items():
        if ("down" in found) != ("up" in found):
            raise ValueError(f"{module} has one factor of two")
        if "down" in found:
            _check_factors(module, found)
            factors[module] = _factors(found, scale(module, found))
        elif "bias" in found:
            beside[f"{module}.diff_b"] = found["bias"]
        if "difference" in found:
            beside[f"{module}.diff"] = found["difference"]
    return factors, beside


def _part(key: str) -> tuple[str | None, str]:
    for kind, end in _ENDS.items():
        if match := end.search(key):
            return kind, key[: match.start()]
    return None, key


def _check_factors(module: str, found: Mapping[str, torch.Tensor]) -> None:
    down, up = found["down"], found["up"]
    if down.ndim < 2 or up.ndim < 2:
        raise ValueError(f"a factor of {module} is no matrix")
    if down.shape[0] != up.shape[1] or not down.shape[0]:
        raise ValueError(f"the factors of {module} have the ranks {down.shape[0]} and {up.shape[1]}")
    if "alpha" in found and found["alpha"].numel() != 1:
        raise ValueError(f"the alpha of {module} is not one number")


def _factors(found: Mapping[str, torch.Tensor], scale: float) -> Factors:
    down, up, bias = found["down"], _scaled(found["up"], scale), found.get("bias")
    if bias is None and "up_bias" in found:
        # Of lora_B, which the scale multiplies as a whole.
        bias = _scaled(found["up_bias"], scale)
    return Factors(down, up, bias)


def _scaled(tensor: torch.Tensor, scale: float) -> torch.Tensor:
    return tensor if scale == 1 else (tensor.float() * scale).to(tensor.dtype)


@dataclass(frozen=True)
class _Config:
    """What PEFT's configuration says of the scale: alpha over the rank, or over its root."""

    alpha: float | None = None
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    root: bool = False

    def scale(self, module: str, found: Mapping[str, torch.Tensor]) -> float:
        """What the product of a module's factors is multiplied by."""
        rank = found["down"].shape[0]
        if "alpha" in found:
            return float(found["alpha"]) / rank
        own = (
            alpha
            for pattern, alpha in self.alpha_pattern.items()
            if re.match(rf"(.*\.)?({pattern})$", module)
        )
        alpha = next(own, self.alpha)
        if alpha is None:
            return 1.0
        return alpha / (math.sqrt(rank) if self.root else rank)


def _contents(path: Path) -> tuple[dict[str, torch.Tensor], Scale]:
    """The tensors of a file, and what each module's product of factors is multiplied by."""
    try:
        if path.suffix in _PICKLED:
            import torch

            tensors = torch.load(path, map_location="cpu", weights_only=True)
            metadata: dict[str, Any] = {}
        else:
            with safe_open(path, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                metadata = json.loads((file.metadata() or {}).get(_METADATA, "{}"))
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: cannot be read as a LoRA: it is no pickle of tensors alone, and code in it is not run"
        ) from error
    except _READING_ERRORS as error:
        raise ModelError(f"{path}: cannot be read as a LoRA: {first_line(error)}") from error
    if not isinstance(metadata, dict):
        raise ModelError(f"{path}: the settings in its metadata have to be an object")
    if not _are_tensors(tensors):
        raise ModelError(f"{path}: cannot be read as a LoRA: it holds something else than tensors")
    if metadata:
        return tensors, _scale_by_component(metadata, path)
    beside = path.parent / _ADAPTER_CONFIG
    if beside.is_file() and _is_of_peft(path, tensors):
        return tensors, _config(read_json(beside), beside).scale
    return tensors, _Config().scale


def _are_tensors(content: Any) -> bool:
    import torch

    return isinstance(content, dict) and all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in content.items()
    )


def _is_of_peft(path: Path, tensors: Mapping[str, Any]) -> bool:
    """Whether PEFT wrote a file, by its name or keys; a folder may hold its settings beside other files."""
    return path.stem == _PEFT_STEM or all(key.startswith(_PEFT_KEYS) for key in tensors)


def _scale_by_component(metadata: dict[str, Any], path: Path) -> Scale:
    """The scale by diffusers' metadata, where the component is before each setting.

    A file may have settings of other components beside the denoiser's, such as ``text_encoder.lora_alpha``.
    """
    settings: dict[str, dict[str, Any]] = {}
    for key, value in metadata.items():
        component, _, name = key.rpartition(".")
        if not component or component.startswith(_DENOISER):
            settings.setdefault(component, {})[name] = value
    configs = {component: _config(own, path) for component, own in settings.items()}
    usual = configs.get(_DENOISER) or configs.get("") or _Config()

    def scale(module: str, found: Mapping[str, torch.Tensor]) -> float:
        return configs.get(module.partition(".")[0], usual).scale(module, found)

    return scale


def _config(settings: dict[str, Any], path: Path) -> _Config:
    if settings.get("use_dora"):
        raise ModelError(f"{path}: {_IS_DORA}")
    try:
        alpha = settings.get("lora_alpha")
        return _Config(
            alpha=None if alpha is None else float(alpha),
            alpha_pattern={
                name: float(value) for name, value in (settings.get("alpha_pattern") or {}).items()
            },
            root=bool(settings.get("use_rslora")),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(f"{path}: its settings of the LoRA cannot be read: {first_line(error)}") from error
