"""A model before its weights are read: found, checked and described."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.errors import ModelError
from cosinterp.models.families import anatomy_of
from cosinterp.models.loading.components import load_component, load_pipeline
from cosinterp.models.loading.index import Index, read_index, read_json
from cosinterp.models.loading.lora import Asked, FittedLora, add_loras, fit_loras
from cosinterp.models.loading.packages import check_packages
from cosinterp.models.loading.placing import cast_vae, check_offload, device_of, dtype_of, place
from cosinterp.models.loading.quantizing import check_quantization, quantization_of
from cosinterp.models.loading.quiet import quiet_libraries
from cosinterp.models.loading.recipe import Recipe
from cosinterp.models.loading.skeletons import SkeletonError, build_skeleton
from cosinterp.models.loading.sources import MODEL_FILE, Source, find
from cosinterp.models.loading.untrained import check_untrained, draw_anew
from cosinterp.models.loading.weights import check_weights
from cosinterp.models.model import Model
from cosinterp.models.reading import UNREAD, weights_may_be_read

if TYPE_CHECKING:
    import torch

_VAE = "vae"


@dataclass(frozen=True)
class _Choices:
    source: Source
    pipeline: str | None
    device: torch.device
    precision: torch.dtype
    offload: str | None
    quantize: str | None
    lora: Asked
    untrained: int | None


@dataclass(frozen=True)
class Prepared:
    """A model whose weights are yet to be read.

    ``model`` has a skeleton for its pipeline: it has an anatomy, takes samples and plans traces, and
    generates nothing. Where a skeleton cannot be built, ``reason`` says why, and ``model`` has its weights
    already. ``recipe`` makes the same model elsewhere; None: this one was given as an object.
    """

    model: Model
    reason: str | None = None
    recipe: Recipe | None = None
    _choices: _Choices | None = field(default=None, repr=False)
    _loras: tuple[FittedLora, ...] = field(default=(), repr=False)

    def load(self) -> Model:
        """The model with its weights.

        Raises:
            ModelError: they are missing, damaged, do not fit their configs, or not into memory.
        """
        if self._choices is None:
            return self.model
        check_packages(self.model.anatomy, self.model.name)
        with quiet_libraries():
            index = read_index(self._choices.source.weights(), self.model.name, self._choices.pipeline)
            loaded = _read(index, self._choices, self.model.pipeline)
            return _finished(self.model, loaded, self._choices, self._loras)

    def for_workers(self) -> Recipe:
        """How other processes load this model.

        Raises:
            ModelError: they cannot, or it would be in memory here too.
        """
        if self.recipe is None or self.reason is not None:
            why = self.reason or "it is loaded already; give its name, or what cosinterp.prepare gives"
            raise ModelError(f"{self.model.name} cannot be spread over several devices: {why}")
        return self.recipe

    def load_decoder(self) -> Model:
        """The model with the weights of its VAE alone, which decodes latents and generates nothing.

        Raises:
            ModelError: as `load`.
        """
        choices = self._choices
        if choices is None or getattr(self.model.pipeline, _VAE, None) is None:
            return self.load()
        with quiet_libraries():
            index = read_index(choices.source.component(_VAE), self.model.name, choices.pipeline)
            component = index.components[_VAE]
            check_weights(component, self.model.pipeline.vae)
            vae = load_component(component, choices.precision)
            try:
                decoder = build_skeleton(index, choices.precision, **{_VAE: vae})
            except SkeletonError:
                # Its decoder cannot be had without the rest.
                return self.load()
            anatomy = anatomy_of(decoder, self.model.name)
            anatomy.prepare(decoder)
            if anatomy.vae_in_model_dtype:
                cast_vae(decoder, choices.precision)
            vae.to(choices.device)
        return replace(self.model, pipeline=decoder, anatomy=anatomy)


def prepare(
    name_or_path: str | Path,
    *,
    device: str | None = None,
    dtype: str | torch.dtype | None = None,
    offload: str | None = None,
    quantize: str | None = None,
    lora: Asked = None,
    revision: str | None = None,
    local_files_only: bool = False,
    pipeline: str | None = None,
    untrained: int | None = None,
) -> Prepared:
    """Find a model, and check and describe it by its configs alone; `cosinterp.load` has the arguments.

    Raises:
        ModelError: as `cosinterp.load`, but for what only the weights show; or these may not be read
            (`cosinterp.models.reading`), and would have to be.
    """
    where = device_of(device)
    precision = dtype_of(dtype, where)
    check_offload(offload, where, str(name_or_path))
    source = find(str(name_or_path), revision, local_files_only=local_files_only)
    choices = _Choices(source, pipeline, where, precision, offload, quantize, lora, untrained)
    recipe = Recipe(
        str(name_or_path),
        {
            "dtype": precision,
            "offload": offload,
            "quantize": quantize,
            "lora": lora,
            "revision": source.commit or revision,
            "local_files_only": local_files_only,
            "pipeline": pipeline,
            "untrained": untrained,
        },
    )
    with quiet_libraries():
        configs = source.configs()
        index = read_index(configs, source.name, pipeline)
        check_quantization(quantize, index, where, offload, source.name)
        check_untrained(untrained, quantization_of(quantize, index), lora)
        own = _own_settings(configs)
        try:
            skeleton = build_skeleton(index, precision)
        except SkeletonError as error:
            if not weights_may_be_read():
                raise ModelError(f"{source.name}: {error}: {UNREAD}") from error
            index = read_index(source.weights(), source.name, pipeline)
            loaded = _read(index, choices, None)
            model = _described(choices, index, loaded, own)
            loras = fit_loras(lora, loaded, model.anatomy.experts)
            return Prepared(_finished(model, loaded, choices, loras), str(error), recipe)
        model = _described(choices, index, skeleton, own)
        loras = fit_loras(lora, skeleton, model.anatomy.experts)
    model = replace(model, lora=tuple(each.record for each in loras))
    return Prepared(model, None, recipe, choices, loras)


def _described(choices: _Choices, index: Index, pipeline: Any, own: dict[str, Any]) -> Model:
    model = Model(
        name=choices.source.name,
        source=choices.source.location,
        revision=choices.source.commit,
        pipeline=pipeline,
        anatomy=anatomy_of(pipeline, choices.source.name),
        device=choices.device,
        dtype=choices.precision,
        task=own.get("task"),
        offload=choices.offload,
        quantization=quantization_of(choices.quantize, index),
        untrained=choices.untrained,
    )
    sampling = own.get("sampling", {})
    known = model.sampling_defaults
    unknown = next((name for name in sampling if name not in known), None)
    if unknown is not None:
        raise ModelError(
            f'{index.folder / MODEL_FILE}: {type(pipeline).__name__} has no sampling setting "{unknown}"; '
            f"it has {', '.join(known)}"
        )
    return replace(model, own_sampling=sampling)


def _read(index: Index, choices: _Choices, skeleton: Any | None) -> Any:
    """The pipeline with its weights, in host memory; they are compared with a skeleton first."""
    for component in index.components.values():
        if component.is_model:
            empty = getattr(skeleton, component.name, None) if component.is_diffusers_model else None
            check_weights(component, empty)
    return load_pipeline(index, precision=choices.precision, device=choices.device, quantize=choices.quantize)


def _finished(described: Model, loaded: Any, choices: _Choices, loras: tuple[FittedLora, ...]) -> Model:
    """A described model with the pipeline that was loaded for it."""
    anatomy = anatomy_of(loaded, described.name)
    anatomy.prepare(loaded)
    if anatomy.vae_in_model_dtype:
        cast_vae(loaded, choices.precision)
    if choices.untrained is not None:
        draw_anew(loaded, anatomy.experts, choices.untrained)
    add_loras(loaded, loras)
    place(loaded, anatomy.experts, choices.device, choices.offload, described.name)
    loaded.set_progress_bar_config(disable=True)
    return replace(described, pipeline=loaded, anatomy=anatomy, lora=tuple(each.record for each in loras))


def _own_settings(folder: Path) -> dict[str, Any]:
    path = folder / MODEL_FILE
    if not path.exists():
        return {}
    own = read_json(path)
    if not isinstance(own.get("sampling", {}), dict):
        raise ModelError(f"{path}: has to hold an object as its sampling")
    return own
