"""The families that are known: one module each, with a function that describes a pipeline of it."""

from __future__ import annotations

import importlib
from typing import Any

from cosinterp.errors import ModelError
from cosinterp.models.anatomy import Anatomy

FAMILIES: dict[str, str] = {
    "CogVideoXTransformer3DModel": "cogvideox",
    "FluxTransformer2DModel": "flux",
    "MochiTransformer3DModel": "mochi",
    "SanaVideoTransformer3DModel": "sana_video",
    "SkyReelsV2Transformer3DModel": "skyreels",
    "WanTransformer3DModel": "wan",
}
"""Class name of the denoiser -> the module here whose ``describe(pipeline, name)`` makes its `Anatomy`."""


def anatomy_of(pipeline: Any, name: str) -> Anatomy:
    """Describe a pipeline, by its modules and configurations alone; ``name`` is for messages.

    Raises:
        ModelError: the pipeline has no transformer, or it is not understood.
    """
    denoiser = getattr(pipeline, "transformer", None) or getattr(pipeline, "transformer_2", None)
    if denoiser is None:
        raise ModelError(f"{name}: {type(pipeline).__name__} has no transformer to trace")
    module = FAMILIES.get(type(denoiser).__name__)
    if module is None:
        raise ModelError(
            f"{name}: no anatomy is known for {type(denoiser).__name__}; known: {', '.join(FAMILIES)}"
        )
    return importlib.import_module(f"{__name__}.{module}").describe(pipeline, name)
