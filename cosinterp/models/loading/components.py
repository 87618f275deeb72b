"""Reading the components of a pipeline, weights included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from cosinterp.errors import ModelError
from cosinterp.models.loading.index import Component, Index
from cosinterp.models.loading.quantizing import loading_arguments
from cosinterp.models.loading.quiet import first_line
from cosinterp.models.loading.skeletons import SkeletonError, assemble, configured

if TYPE_CHECKING:
    import torch

# diffusers and transformers report what they cannot read by any of these.
_READING_ERRORS = (
    *(OSError, ValueError, KeyError, RuntimeError, AttributeError, TypeError, ImportError, SafetensorError),
)


def load_pipeline(
    index: Index,
    *,
    precision: torch.dtype,
    device: torch.device,
    quantize: str | None = None,
) -> Any:
    """Load the pipeline of an index into host memory; a quantised denoiser goes to ``device``.

    ``precision``: the dtype of all but the VAE, which is in float32; ``quantize``: one of `QUANTIZATIONS`, of
    the denoiser.

    Raises:
        ModelError: names the component that cannot be read.
    """
    parts: dict[str, Any] = {}
    for component in index.components.values():
        arguments = loading_arguments(
            quantize if component.name in index.denoisers else None, precision, device
        )
        parts[component.name] = load_component(component, precision, arguments)
    try:
        return assemble(index, parts)
    except SkeletonError as error:
        raise ModelError(f"{index.folder}: {error}") from error


def load_component(
    component: Component, precision: torch.dtype, arguments: dict[str, Any] | None = None
) -> Any:
    """Read one component.

    Raises:
        ModelError: it cannot be read.
    """
    import torch

    if component.is_config_only:
        return configured(component)
    cls: Any = component.cls
    settings = dict(arguments or {})
    if component.is_model:
        settings["dtype"] = torch.float32 if component.name == "vae" else precision
    try:
        loaded = cls.from_pretrained(component.folder, **settings)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{component.folder}: the component {component.name} does not fit into the GPU's memory"
        ) from error
    except _READING_ERRORS as error:
        raise ModelError(
            f"{component.folder}: the component {component.name} cannot be loaded: {first_line(error)}"
        ) from error
    if component.is_diffusers_model:
        _check_filled(component, loaded)
    return loaded


def _check_filled(component: Component, loaded: torch.nn.Module) -> None:
    """diffusers only warns of tensors that the weight files do not hold, and leaves them without values."""
    empty = [name for name, parameter in loaded.named_parameters() if parameter.is_meta]
    if empty:
        raise ModelError(
            f"{component.folder}: the weights of the component {component.name} lack {empty[0]}"
            + (f" and {len(empty) - 1} more" if len(empty) > 1 else "")
        )
