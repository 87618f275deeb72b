"""Loading a model: the bundled one, a local diffusers folder, a hub id, or a pipeline that is built already.

All that needs only configs comes first (`prepare`): finding the model, its components, its anatomy, LoRAs,
and with them a plan and its sizes. Weights, which can be tens of gigabytes, are read when nothing is left to
refuse.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.models.loading.given import check_given, given_model
from cosinterp.models.loading.lora import Asked, Lora
from cosinterp.models.loading.placing import DTYPES, OFFLOADS
from cosinterp.models.loading.prepared import Prepared, prepare
from cosinterp.models.loading.quantizing import QUANTIZATIONS
from cosinterp.models.loading.sources import BUNDLED, MODEL_FILE, bundled_folder
from cosinterp.models.model import Model

if TYPE_CHECKING:
    import torch
    from diffusers.pipelines.pipeline_utils import DiffusionPipeline

__all__ = [
    "BUNDLED",
    "DTYPES",
    "MODEL_FILE",
    "OFFLOADS",
    "QUANTIZATIONS",
    "Lora",
    "Prepared",
    "bundled_folder",
    "load",
    "prepare",
    "skeleton",
]


def load(
    model: str | Path | DiffusionPipeline,
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
) -> Model:
    """Load a pipeline for tracing.

    Args:
        model: a bundled name (`BUNDLED`), a local diffusers folder, or a hub id ("owner/name"). A local
            folder is read without any network access. Or a diffusers pipeline, which is taken as it is, with
            no other argument; what of it is compiled runs uncompiled while it is traced.
        device: where it runs; default: cuda if there is one, else cpu.
        dtype: of the denoiser and the text encoder, "bf16" | "fp16" | "fp32" or a torch dtype; default: bf16
            on cuda, fp32 on cpu. The VAE stays in float32, unless the pipeline decodes in this dtype.
        offload: what is kept in host memory (needs a GPU): "model": components that do not run; "group": all
            but the block of the denoiser that runs; "sequential": all but the one module that runs.
        quantize: of the denoiser: "bnb-8bit", "bnb-4bit", "torchao-int8" or "torchao-fp8".
        lora: LoRAs as PATH, PATH:SCALE or EXPERT=PATH:SCALE, one for all experts, or one for each in order;
            those that name an expert add up.
        revision: of a hub id.
        local_files_only: take a hub id from the local cache only.
        pipeline: diffusers class to load the folder as, in place of the one that it names, such as
            "WanImageToVideoPipeline" for a Wan2.2 TI2V folder that declares text-to-video.
        untrained: replace the weights of the denoiser by those that its class begins training with, drawn
            with this seed: the model of the same anatomy that a probe of the trained one is compared with.

    Raises:
        ModelError: not found, not a diffusers folder, a component missing or broken, or not understood.
    """
    settings: dict[str, Any] = {
        "device": device,
        "dtype": dtype,
        "offload": offload,
        "quantize": quantize,
        "lora": lora,
        "revision": revision,
        "local_files_only": local_files_only,
        "pipeline": pipeline,
        "untrained": untrained,
    }
    if isinstance(model, str | Path):
        return prepare(model, **settings).load()
    check_given(model, settings)
    return given_model(model)


def skeleton(name_or_path: str | Path, **settings: Any) -> Model:
    """A model without its weights, described by its configs; arguments and errors are those of `load`.

    It has an anatomy and takes samples, but generates nothing. Where its configs do not suffice, its weights
    are loaded all the same; `prepare` says so.
    """
    return prepare(name_or_path, **settings).model
