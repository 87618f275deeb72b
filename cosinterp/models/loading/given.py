"""A model of a pipeline that was built already."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.errors import ModelError
from cosinterp.models.eager import uncompiled, warn_of_compiled
from cosinterp.models.families import anatomy_of
from cosinterp.models.loading.packages import check_packages
from cosinterp.models.loading.placing import keep_wrapped, offload_of
from cosinterp.models.model import Model

if TYPE_CHECKING:
    import torch

MARK = "pipeline:"
"""What the identity of a given pipeline begins with: it is not comparable with that of a folder."""
_SAMPLED_BYTES = 1 << 16


def given_model(pipeline: Any) -> Model:
    """A model of a diffusers pipeline; the pipeline itself stays as it is.

    What `torch.compile` returned for a component is replaced by the component it was given.

    Raises:
        ModelError: its denoiser is not understood, or it does not run with what is installed.
    """
    pipeline = _own_copy(pipeline)
    name = _name(pipeline)
    anatomy = anatomy_of(pipeline, name)
    check_packages(anatomy, name)
    anatomy.prepare(pipeline)
    keep_wrapped(pipeline, anatomy.experts)
    denoiser = getattr(pipeline, anatomy.experts[0])
    pipeline.set_progress_bar_config(disable=True)
    return Model(
        name=name,
        source=name,
        revision=None,
        pipeline=pipeline,
        anatomy=anatomy,
        device=pipeline._execution_device,
        dtype=denoiser.dtype,
        offload=offload_of(pipeline, anatomy.experts),
        content_sha256=f"{MARK}{_content_sha256(pipeline)}",
    )


def check_given(pipeline: Any, settings: dict[str, Any]) -> None:
    """Refuse what is no pipeline, and what only a pipeline can take that is still to be loaded.

    Raises:
        ModelError: says what it is instead, or names the first setting that is given.
    """
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

    if not isinstance(pipeline, DiffusionPipeline):
        raise ModelError(
            f"a {type(pipeline).__name__} is no model; give a name, a folder, or the whole diffusers pipeline"
        )

    given = [name for name, value in settings.items() if value is not None and value is not False]
    if given:
        raise ModelError(f"the pipeline is loaded already: {given[0]} comes too late; set it up before")


def _own_copy(pipeline: Any) -> Any:
    """The same components in a pipeline object of our own, compiled ones unwrapped."""
    own = copy.copy(pipeline)
    unwrapped = []
    for name, component in pipeline.components.items():
        inner = uncompiled(component)
        if inner is not component:
            setattr(own, name, inner)
            unwrapped.append(name)
    if unwrapped:
        warn_of_compiled(unwrapped)
    return own


def _name(pipeline: Any) -> str:
    """The folder or hub id that it was loaded from, as far as it knows."""
    origin = pipeline.config.get("_name_or_path")
    if not origin:
        return type(pipeline).__name__
    folder = Path(origin)
    return str(folder.resolve()) if folder.is_dir() else str(origin)


def _content_sha256(pipeline: Any) -> str:
    """SHA-256 over the models of a pipeline: their configs, tensors, and which LoRAs are on, at which scales.

    Of tensors: names, shapes, dtypes and their first 64 KiB. Whatever was loaded, put in or changed since,
    this tells models apart without reading all of them. Of tensors that are offloaded to where they cannot be
    read the values are left out.
    """
    import torch

    digest = hashlib.sha256()
    for part, component in sorted(pipeline.components.items()):
        if not isinstance(component, torch.nn.Module):
            continue
        digest.update(f"{part} {type(component).__name__} {_settings(component)}\n".encode())
        for name, tensor in component.state_dict().items():
            for inner in _plain(tensor):
                digest.update(f"{name} {tuple(inner.shape)} {inner.dtype}\n".encode())
                if not inner.is_meta:
                    digest.update(_start(inner))
        for name, module in component.named_modules():
            if state := _adapters(module):
                digest.update(f"{name} {state}\n".encode())
    return digest.hexdigest()


def _settings(component: Any) -> list[tuple[str, Any]]:
    """What a component was built by, without where it came from."""
    config = getattr(component, "config", None)
    if config is None:
        return []
    entries = config.to_dict() if hasattr(config, "to_dict") else config
    return sorted((name, value) for name, value in entries.items() if not name.startswith("_"))


def _adapters(module: Any) -> str | None:
    """What of a module's adapters takes part, and how much of it; None: it has none, or none is in use."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    if not isinstance(module, BaseTunerLayer):
        return None
    scales = getattr(module, "scaling", {})
    active = [] if module.disable_adapters else [(name, scales.get(name)) for name in module.active_adapters]
    return f"{active} {module.merged_adapters}"


def _plain(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """The tensors that a tensor is made of: itself, or those of a quantised one."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor.detach()
        return
    names, _ = tensor.__tensor_flatten__()  # type: ignore[operator]
    for name in names:
        yield from _plain(getattr(tensor, name))


def _start(tensor: torch.Tensor) -> bytes:
    import torch

    values = tensor.flatten()[: _SAMPLED_BYTES // tensor.element_size()]
    return values.contiguous().cpu().view(torch.uint8).numpy().tobytes()
