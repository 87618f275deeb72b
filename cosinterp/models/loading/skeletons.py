"""A pipeline without its weights: everything of it that its configs say.

The models that diffusers builds are made on the meta device, where a tensor has a shape and no values, so
that the skeleton of a pipeline of 14 billion parameters takes a second and next to no memory. Its scheduler
and guider are real; text encoders, tokenizers and the like are None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cosinterp.errors import ModelError
from cosinterp.models.loading.index import Component, Index
from cosinterp.models.loading.quiet import first_line

if TYPE_CHECKING:
    import torch


class SkeletonError(Exception):
    """A pipeline cannot be built without its weights; says why."""


def build_skeleton(index: Index, precision: torch.dtype, **given: Any) -> Any:
    """Build a pipeline without its weights.

    ``precision``: the dtype of all but the VAE, which is in float32; ``given``: components that are there
    already. If there are some, text encoders are made too, since decoding may ask them for their dtype.

    Raises:
        ModelError: a component's config does not describe what it should.
        SkeletonError: this pipeline needs more than its configs; it may load all the same.
    """
    import torch

    parts: dict[str, Any] = {}
    for component in index.components.values():
        dtype = torch.float32 if component.name == "vae" else precision
        if component.name in given:
            parts[component.name] = given[component.name]
        elif component.is_diffusers_model:
            parts[component.name] = empty_model(component, dtype)
        elif component.is_transformers_model and given:
            parts[component.name] = empty_transformers_model(component, dtype)
        elif component.is_config_only:
            parts[component.name] = configured(component)
        else:
            parts[component.name] = None
    made_by_itself = "safety_checker" in index.pipeline._optional_components
    if made_by_itself and parts.get("safety_checker") is None:
        # Of weights that no config tells of, where it is given none.
        parts["safety_checker"] = torch.nn.Identity()
    return assemble(index, parts)


def assemble(index: Index, parts: dict[str, Any]) -> Any:
    """The pipeline of these components.

    Raises:
        ModelError: a package is missing that the pipeline needs.
        SkeletonError: it cannot be made of them.
    """
    cls: Any = index.pipeline
    try:
        return cls.from_pretrained(index.folder, **parts)
    except ImportError as error:
        raise ModelError(f"{index.folder}: {cls.__name__} cannot be made: {first_line(error)}") from error
    except (AttributeError, TypeError, ValueError, KeyError) as error:
        raise SkeletonError(f"{cls.__name__} cannot be made: {first_line(error)}") from error


def empty_model(component: Component, dtype: torch.dtype) -> Any:
    """A diffusers model of its config, on the meta device.

    Raises:
        ModelError: its config does not describe it.
    """
    import torch
    from accelerate import init_empty_weights
    from diffusers.models.modeling_utils import no_init_weights

    cls: Any = component.cls
    # As diffusers itself begins to load a model: what is computed in a constructor, such as a table of
    # positions, is real.
    try:
        with no_init_weights(), init_empty_weights():
            model = cls.from_config(component.config).eval()
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, ArithmeticError) as error:
        raise ModelError(
            f"{component.folder}: its config.json does not describe a {cls.__name__}: {first_line(error)}"
        ) from error
    # Not by the model's own `to`, which warns of what has to stay in float32 to be computed with.
    return torch.nn.Module.to(model, dtype)


def empty_transformers_model(component: Component, dtype: torch.dtype) -> Any:
    """A model of transformers, of its config, on the meta device.

    Raises:
        SkeletonError: its config is not all that it takes.
    """
    from accelerate import init_empty_weights

    cls: Any = component.cls
    try:
        with init_empty_weights():
            return cls._from_config(cls.config_class.from_pretrained(component.folder), dtype=dtype)
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, OSError) as error:
        raise SkeletonError(f"{component.name} cannot be made of its config: {first_line(error)}") from error


def configured(component: Component) -> Any:
    """A component that a config file is all of.

    Raises:
        ModelError: its config does not describe it.
    """
    cls: Any = component.cls
    try:
        return cls.from_config(component.config)
    except (TypeError, ValueError, KeyError, AttributeError, NotImplementedError, ArithmeticError) as error:
        raise ModelError(
            f"{component.folder}: its config does not describe a {cls.__name__}: {first_line(error)}"
        ) from error
