"""Quantised denoisers: quantising while loading, and folders whose weights are quantised already."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cosinterp.errors import ModelError
from cosinterp.models.loading.index import Index

if TYPE_CHECKING:
    import torch

QUANTIZATIONS = ("bnb-8bit", "bnb-4bit", "torchao-int8", "torchao-fp8")

# What ``quant_method`` of a config needs: the module, and what to install.
_PACKAGES = {
    "bitsandbytes": ("bitsandbytes", "bitsandbytes"),
    "torchao": ("torchao", "torchao"),
    "quanto": ("optimum.quanto", "optimum-quanto"),
    "gguf": ("gguf", "gguf"),
    "modelopt": ("modelopt", "nvidia-modelopt"),
    "auto-round": ("auto_round", "auto-round"),
    "sdnq": ("sdnq", "sdnq"),
}
# The packed weights of bitsandbytes do not come back whole from everywhere that offloading puts them.
_OFFLOADABLE = {"bnb-8bit": ("model", "sequential"), "bnb-4bit": ("model",)}


def check_quantization(
    quantize: str | None, index: Index, device: torch.device, offload: str | None, name: str
) -> None:
    """Refuse a quantisation that is not known, not installed, or cannot run, before anything is loaded.

    Raises:
        ModelError: says what to install or to choose.
    """
    for component in index.components.values():
        config = component.quantization
        if config is None:
            continue
        if quantize is not None and component.name in index.denoisers:
            raise ModelError(
                f"{name}: the weights of {component.name} are quantised already ({_method(config)}); "
                "leave out the quantisation"
            )
        what = f"{name}: the weights of {component.name} are quantised"
        _check_installed(_method(config), what)
        _check_bitsandbytes(_of_bitsandbytes(config), device, offload, what)
    if quantize is None:
        return
    if quantize not in QUANTIZATIONS:
        raise ModelError(f'unknown quantisation "{quantize}"; use {", ".join(QUANTIZATIONS)}')
    what = f'quantisation "{quantize}"'
    _check_installed("bitsandbytes" if quantize in _OFFLOADABLE else "torchao", what)
    _check_bitsandbytes(quantize, device, offload, what)


def quantization_of(quantize: str | None, index: Index) -> str | None:
    """How the denoiser is quantised: as asked, or as its folder says; None: not at all."""
    if quantize is not None:
        return quantize
    configs = [index.components[part].quantization for part in index.denoisers]
    return next((_method(config) for config in configs if config is not None), None)


def loading_arguments(quantize: str | None, precision: torch.dtype, device: torch.device) -> dict[str, Any]:
    """What ``from_pretrained`` of a denoiser is given for a quantisation; it computes in ``precision``."""
    if quantize is None:
        return {}
    from diffusers.quantizers.quantization_config import BitsAndBytesConfig, TorchAoConfig

    if quantize == "bnb-8bit":
        config: Any = BitsAndBytesConfig(load_in_8bit=True)
    elif quantize == "bnb-4bit":
        config = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=precision
        )
    else:
        from torchao import quantization  # type: ignore[import-not-found]

        kind = "Int8WeightOnlyConfig" if quantize == "torchao-int8" else "Float8WeightOnlyConfig"
        config = TorchAoConfig(getattr(quantization, kind)())
    return {"quantization_config": config, "device_map": {"": device}}


def _method(config: dict[str, Any]) -> str:
    return str(config.get("quant_method", "unknown"))


def _of_bitsandbytes(config: dict[str, Any]) -> str | None:
    if _method(config) != "bitsandbytes":
        return None
    return "bnb-4bit" if config.get("load_in_4bit") else "bnb-8bit"


def _check_installed(method: str, what: str) -> None:
    module, package = _PACKAGES.get(method, (None, None))
    if module is not None and not _installed(module):
        raise ModelError(f"{what}: it needs the package {package}; try `pip install {package}`")


def _check_bitsandbytes(name: str | None, device: torch.device, offload: str | None, what: str) -> None:
    if name not in _OFFLOADABLE:
        return
    if device.type == "cpu":
        raise ModelError(f"{what}: bitsandbytes needs a GPU to run on")
    if offload is not None and offload not in _OFFLOADABLE[name]:
        ways = " or ".join(f'"{way}"' for way in _OFFLOADABLE[name])
        raise ModelError(f'{what}: it cannot be offloaded with offload "{offload}"; use {ways}')


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False  # the package around a module is missing
