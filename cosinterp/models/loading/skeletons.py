"""A pipeline without its weights: everything of it that its configs say.

The models that diffusers builds are made on the meta device, where a tensor has a shape and no values, so
that the skeleton of a pipeline of 14 billion parameters takes a second and next to no memory. Its scheduler
and guider are real; text encoders, tokenizers and the like are None.
"""

from __future__ import annotations

from typing import Any

from cosinterp.errors import ModelError
from cosinterp.models.loading.index import Component, Index
from cosinterp.models.loading.quiet import first_line


class SkeletonError(Exception):
    """A pipeline cannot be built without its weights; says why."""


def build_skeleton(index: Index) -> Any:
    """Build a pipeline without its weights.

    Raises:
        ModelError: a component's config does not describe what it should.
        SkeletonError: this pipeline needs more than its configs; it may load all the same.
    """
    parts: dict[str, Any] = {}
    for component in index.components.values():
        if component.is_diffusers_model:
            parts[component.name] = empty_model(component)
        elif component.is_config_only:
            parts[component.name] = configured(component)
        else:
            parts[component.name] = None
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


def empty_model(component: Component) -> Any:
    """A diffusers model of its config, on the meta device.

    Raises:
        ModelError: its config does not describe it.
    """
    from accelerate import init_empty_weights
    from diffusers.models.modeling_utils import no_init_weights

    cls: Any = component.cls
    # As diffusers itself begins to load a model: what is computed in a constructor, such as a table of
    # positions, is real.
    try:
        with no_init_weights(), init_empty_weights():
            return cls.from_config(component.config).eval()
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, ArithmeticError) as error:
        raise ModelError(
            f"{component.folder}: its config.json does not describe a {cls.__name__}: {first_line(error)}"
        ) from error


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
