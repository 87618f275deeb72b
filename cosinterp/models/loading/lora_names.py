"""Finding which module of a denoiser each name in a LoRA file means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cosinterp.errors import ModelError
from cosinterp.models.loading.lora_files import Factors, LoraFile, group

if TYPE_CHECKING:
    import torch

_COMPONENT = "transformer"
# What programs put before the names of a denoiser's modules.
_WRAPPERS = re.compile(r"^(?:(?:base_model|model|module|pipe|dit|diffusion_model|transformer)\.)+")
# kohya's names have no dots, or some. Those of the Wan that was published can be told apart all the same.
_FLAT = "lora_unet_"
_FLAT_WAN = (
    (re.compile(r"^blocks_(\d+)[._](self_attn|cross_attn|ffn)[._](.+)$"), r"blocks.\1.\2.\3"),
    (re.compile(r"^(text_embedding|time_embedding|time_projection|head)_(\d+|head)$"), r"\1.\2"),
    (re.compile(r"^img_emb_proj_(\d+)$"), r"img_emb.proj.\1"),
)


def fit(
    file: LoraFile, pipeline: Any, expert: str, experts: tuple[str, ...]
) -> tuple[dict[str, Factors], list[str]]:
    """The factors of an expert's modules, by the module's own name, and the names that fit none.

    Names are taken as they are, or else converted by diffusers as it does for this pipeline. A file that
    names a further expert in its keys is taken at its word.

    Raises:
        ModelError: nothing fits, or the factors are of another shape than the module.
    """
    file = _part_for(file, expert, experts)
    modules = dict(getattr(pipeline, expert).named_modules())
    best: dict[str, Factors] = {}
    left = list(file.factors)
    failures: list[Exception] = []
    for candidate in _candidates(file, pipeline, modules, failures):
        found = {name: factors for name, factors in candidate.items() if name in modules}
        if len(found) > len(best):
            best, left = found, [name for name in candidate if name not in modules]
        if best and not left:
            break
    if not best:
        raise ModelError(
            f"{file.path}: fits no module of a {type(getattr(pipeline, expert)).__name__}: "
            f"it is for {', '.join(left[:3])}"
        ) from (failures[0] if failures else None)
    for name, factors in best.items():
        _check_shape(file, name, factors, modules[name])
    return best, left


def _part_for(file: LoraFile, expert: str, experts: tuple[str, ...]) -> LoraFile:
    named = {name.partition(".")[0] for name in file.factors}
    # Files for one expert, whichever it is, begin with "transformer" too.
    if not named & set(experts) - {_COMPONENT}:
        return file
    start = f"{expert}."
    factors = {
        f"{_COMPONENT}.{name.removeprefix(start)}": each
        for name, each in file.factors.items()
        if name.startswith(start)
    }
    if not factors:
        raise ModelError(
            f"{file.path}: is for {', '.join(sorted(named))}, and not for {expert}; "
            f"say which expert it is for: {min(named)}=PATH"
        )
    return replace(file, factors=factors)


def _candidates(
    file: LoraFile, pipeline: Any, modules: Iterable[str], failures: list[Exception]
) -> Iterator[dict[str, Factors]]:
    """The file's factors under the names that they may have; ``failures`` takes why a way did not work."""
    flat = {name.replace(".", "_"): name for name in modules}
    plain = {_plain(name, flat): factors for name, factors in file.factors.items()}
    yield plain
    if not hasattr(pipeline, "lora_state_dict"):
        return
    for prefix, factors in (("", file.factors), ("diffusion_model.", plain), (f"{_COMPONENT}.", plain)):
        named = {f"{prefix}{name}": each for name, each in factors.items()}
        try:
            converted = type(pipeline).lora_state_dict(dict(_tensors(named)))
            found, _ = group(converted, lambda module, found: 1.0)
        except (ValueError, KeyError, AttributeError, IndexError, RuntimeError, TypeError) as error:
            # A converter is written for files of one kind, and fails on others in any of these ways.
            failures.append(error)
        else:
            yield {name.removeprefix(f"{_COMPONENT}."): each for name, each in found.items()}


def _plain(name: str, flat: Mapping[str, str]) -> str:
    """A file's name of a module without what is around it; ``flat``: modules by their name without dots."""
    if not name.startswith(_FLAT):
        return _WRAPPERS.sub("", name)
    # VideoX-Fun has one underscore more.
    bare = name.removeprefix(_FLAT).removeprefix("_")
    if bare in flat:
        return flat[bare]
    for pattern, dotted in _FLAT_WAN:
        bare = pattern.sub(dotted, bare)
    return bare


def _tensors(factors: Mapping[str, Factors]) -> Iterator[tuple[str, torch.Tensor]]:
    """The factors as a file has them whose scale is 1."""
    import torch

    for name, each in factors.items():
        flat = name.startswith(_FLAT)
        yield f"{name}.{'lora_down' if flat else 'lora_A'}.weight", each.down
        yield f"{name}.{'lora_up' if flat else 'lora_B'}.weight", each.up
        if flat:
            yield f"{name}.alpha", torch.tensor(float(each.down.shape[0]))
        if each.bias is not None:
            yield f"{name}.diff_b", each.bias


def _check_shape(file: LoraFile, name: str, factors: Factors, module: Any) -> None:
    weight = getattr(module, "weight", None)
    if weight is None:
        raise ModelError(f"{file.path}: is for {name}, which is a {type(module).__name__} without a weight")
    if hasattr(module, "in_features"):
        # A quantised weight is packed, so that its own shape says nothing.
        shape = (module.out_features, module.in_features)
    else:
        shape = tuple(weight.shape)
    given = (factors.up.shape[0], *factors.down.shape[1:])
    if given != shape:
        raise ModelError(
            f"{file.path}: is for a model of another size: its {name} is {_text(given)}, "
            f"here it is {_text(shape)}"
        )


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
