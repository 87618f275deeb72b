"""What a pipeline's folder says that it is made of: ``model_index.json`` and the components' configs.

Reading it costs nothing, so that what is missing, damaged or of the wrong class is named before anything
large is touched.
"""

from __future__ import annotations

import importlib
import inspect
import json
import typing
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any

from cosinterp.errors import ModelError
from cosinterp.models.loading.sources import INDEX

_CONFIG = "config.json"
# Whose classes are loaded; the last has the guardrail that Cosmos may not run without.
_LIBRARIES = ("diffusers", "transformers", "cosmos_guardrail")
# Made to take the place of other VAEs.
_STAND_INS = ("AutoencoderTiny", "AsymmetricAutoencoderKL")


@dataclass(frozen=True)
class Component:
    """One component of a pipeline, as its index names it. ``folder`` has its config and its weights."""

    name: str
    cls: Any
    folder: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """Its config file; empty for a component that has none, such as a tokenizer.

        Raises:
            ModelError: it is missing or damaged.
        """
        if not (self.is_model or self.is_config_only):
            return {}
        path = self.folder / (self.cls.config_name if self.is_config_only else _CONFIG)
        if not path.is_file():
            raise ModelError(f"{self.folder}: the component {self.name} lacks its {path.name}")
        return read_json(path)

    @property
    def is_model(self) -> bool:
        """Whether it has weights."""
        import torch

        return issubclass(self.cls, torch.nn.Module)

    @property
    def is_diffusers_model(self) -> bool:
        """Whether diffusers builds it from its config."""
        from diffusers.models.modeling_utils import ModelMixin

        return issubclass(self.cls, ModelMixin)

    @property
    def is_transformers_model(self) -> bool:
        """Whether transformers builds it from its config."""
        from transformers import PreTrainedModel

        return issubclass(self.cls, PreTrainedModel)

    @property
    def is_config_only(self) -> bool:
        """Whether a config file is all of it: a scheduler or a guider."""
        from diffusers.guiders.guider_utils import BaseGuidance
        from diffusers.schedulers.scheduling_utils import SchedulerMixin

        return issubclass(self.cls, SchedulerMixin | BaseGuidance)

    @property
    def quantization(self) -> dict[str, Any] | None:
        """How its weights are quantised already, as its config says.

        Raises:
            ModelError: the config says it in a way that is not understood.
        """
        said = self.config.get("quantization_config")
        if said is not None and not isinstance(said, dict):
            raise ModelError(f"{self.folder / _CONFIG}: its quantization_config has to be an object")
        return said


@dataclass(frozen=True)
class Index:
    """A pipeline's class and its components by name; absent ones are left out."""

    folder: Path
    pipeline: type
    components: dict[str, Component]

    @property
    def denoisers(self) -> tuple[str, ...]:
        """The components that denoise: one, or two experts."""
        return tuple(name for name in self.components if _is_denoiser(name))


def read_index(folder: Path, name: str, pipeline: str | None = None) -> Index:
    """Read what a pipeline's folder is made of, and check it.

    ``pipeline``: the diffusers class to take in place of the one that the folder names.

    Raises:
        ModelError: names the component that is missing, damaged or not known, or the file.
    """
    content = read_json(folder / INDEX)
    named = content.get("_class_name")
    if named is None:
        raise ModelError(f"{folder / INDEX}: names no pipeline class")
    cls = _pipeline_class(pipeline or named, name, given=pipeline is not None)
    specs = _specs(content, folder / INDEX)
    _check_transformer(cls, specs, name)
    components = {part: _component(folder, part, *spec) for part, spec in specs.items()}
    _check_complete(cls, components, name)
    for component in components.values():
        _check_class(cls, component)
    return Index(folder, cls, components)


def _specs(content: dict[str, Any], path: Path) -> dict[str, tuple[str, str]]:
    """Library and class of each component that an index names; those that are null are left out."""
    specs = {}
    for part, spec in content.items():
        if not (isinstance(spec, list) and len(spec) == 2 and not part.startswith("_")):
            continue
        library, kind = spec
        if kind is None:
            continue
        if not all(isinstance(each, str) and each.isidentifier() for each in spec):
            raise ModelError(f"{path}: its {part} has to be the names of a library and a class, not {spec}")
        specs[part] = library, kind
    return specs


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        ModelError: it does not.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path}: is not valid JSON ({error})") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: has to hold a JSON object")
    return content


def _pipeline_class(named: Any, name: str, *, given: bool) -> type:
    import diffusers

    if not isinstance(named, str):
        raise ModelError(f"{name}: is a pipeline with code of its own ({named}), which is not run")
    cls = getattr(diffusers, named, None)
    if cls is None or not (isinstance(cls, type) and issubclass(cls, diffusers.DiffusionPipeline)):
        problem = f"diffusers {diffusers.__version__} has no pipeline {named}"
        raise ModelError(problem if given else f"{name}: {problem}; a newer diffusers may have it")
    return cls


def _check_transformer(cls: type, specs: dict[str, tuple[str, str]], name: str) -> None:
    """Refuse a pipeline whose denoiser is a UNet, by its name: that is what users have besides DiTs."""
    unet = next((part for part, (_, kind) in specs.items() if part == "unet" or "UNet" in kind), None)
    if unet is not None and not any(map(_is_denoiser, specs)):
        raise ModelError(
            f"{name}: {cls.__name__} denoises with a UNet ({specs[unet][1]}); "
            "only pipelines that denoise with a transformer can be traced"
        )


def _is_denoiser(part: str) -> bool:
    return part.startswith("transformer")


def _component(folder: Path, part: str, library: str, kind: str) -> Component:
    place = folder / part
    if not place.is_dir() and (folder / _CONFIG).is_file():
        place = folder  # some have the files of one component beside the index
    if not place.is_dir():
        raise ModelError(f"{folder}: the component {part} ({kind}) is missing")
    if (place / f"{library}.py").is_file():
        raise ModelError(f"{folder}: the component {part} ({kind}) has code of its own, which is not run")
    component = Component(part, _class(folder, part, library, kind), place)
    declared = component.config.get("_class_name")
    if component.is_diffusers_model and declared not in (None, kind, component.cls.__name__):
        raise ModelError(
            f"{folder}: the component {part} is a {kind} by {INDEX}, but a {declared} by its {_CONFIG}"
        )
    return component


def _class(folder: Path, part: str, library: str, kind: str) -> type:
    try:
        module = _library(library)
    except ImportError as error:
        raise ModelError(
            f"{folder}: the component {part} ({kind}) needs the package {library}, which is not installed"
        ) from error
    if module is None:
        raise ModelError(
            f"{folder}: the component {part} ({kind}) is of {library}; only classes of "
            f"{', '.join(_LIBRARIES)} are loaded"
        )
    cls = getattr(module, kind, None)
    if not isinstance(cls, type):
        raise ModelError(
            f"{folder}: the component {part} is a {kind}, which {_versioned(library)} does not have; "
            "a newer one may"
        )
    # What stands in for a class whose requirements are not installed says by itself what they are.
    if cls.__module__.partition(".")[2].startswith("utils.dummy_"):
        try:
            cls()
        except ImportError as error:
            wanted = " ".join(str(error).split())
            raise ModelError(f"{folder}: the component {part} cannot be loaded: {wanted}") from error
    return cls


def _library(name: str) -> Any:
    """The module that an index means by a library, or by a package of diffusers' pipelines; else None.

    No other is imported: a folder could name any, and importing one runs it.
    """
    from diffusers import pipelines

    if name in _LIBRARIES:
        return importlib.import_module(name)
    found = getattr(pipelines, name, None)
    is_theirs = isinstance(found, ModuleType) and found.__name__.startswith(f"{pipelines.__name__}.")
    return found if is_theirs else None


def _versioned(library: str) -> str:
    try:
        return f"{library} {version(library)}"
    except PackageNotFoundError:
        return f"diffusers {version('diffusers')}"


def _check_complete(cls: Any, components: dict[str, Component], name: str) -> None:
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    optional = set(cls._optional_components)
    for parameter in parameters:
        named = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if named and parameter.default is parameter.empty and parameter.name not in {*optional, *components}:
            raise ModelError(f"{name}: {cls.__name__} needs the component {parameter.name}, which is missing")


def _check_class(cls: Any, component: Component) -> None:
    """Refuse a denoiser or VAE of another class than the pipeline is written for."""
    is_checked = component.name == "vae" or _is_denoiser(component.name)
    if not is_checked or component.cls.__name__ in _STAND_INS:
        return
    wanted = _classes(typing.get_type_hints(cls.__init__).get(component.name))
    if wanted and not issubclass(component.cls, wanted):
        names = " or ".join(one.__name__ for one in wanted)
        raise ModelError(
            f"{component.folder.parent}: the component {component.name} is a {component.cls.__name__}, "
            f"where {cls.__name__} takes a {names}"
        )


def _classes(hint: Any) -> tuple[type, ...]:
    """The classes of a type hint such as ``A``, ``A | B | None`` or ``Optional[A]``; of others none."""
    if isinstance(hint, UnionType) or typing.get_origin(hint) is typing.Union:
        return tuple(one for one in typing.get_args(hint) if isinstance(one, type) and one is not type(None))
    return (hint,) if isinstance(hint, type) else ()
