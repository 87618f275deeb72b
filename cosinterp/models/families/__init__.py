"""The families that are known: one module each, with a function that describes a pipeline of it."""

from __future__ import annotations

import importlib
from typing import Any

from cosinterp.errors import ModelError
from cosinterp.models.anatomy import Anatomy

FAMILIES: dict[str, str] = {
    "AllegroTransformer3DModel": "allegro",
    "CogVideoXTransformer3DModel": "cogvideox",
    "CosmosTransformer3DModel": "cosmos",
    "DiTTransformer2DModel": "dit",
    "FluxTransformer2DModel": "flux",
    "HunyuanVideo15Transformer3DModel": "hunyuan_video15",
    "HunyuanVideoFramepackTransformer3DModel": "hunyuan_video",
    "HunyuanVideoTransformer3DModel": "hunyuan_video",
    "Kandinsky5Transformer3DModel": "kandinsky5",
    "LTX2VideoTransformer3DModel": "ltx2",
    "LTXVideoTransformer3DModel": "ltx",
    "MochiTransformer3DModel": "mochi",
    "PixArtTransformer2DModel": "pixart",
    "SD3Transformer2DModel": "sd3",
    "SanaVideoTransformer3DModel": "sana_video",
    "SkyReelsV2Transformer3DModel": "skyreels",
    "WanAnimateTransformer3DModel": "wan_animate",
    "WanTransformer3DModel": "wan",
    "WanVACETransformer3DModel": "wan_vace",
}
"""Class name of the denoiser -> the module here whose ``describe(pipeline, name)`` makes its `Anatomy`."""


def anatomy_of(pipeline: Any, name: str) -> Anatomy:
    """Describe a pipeline, by its modules and configurations alone; ``name`` is for messages.

    A denoiser of no known family gets the `generic` anatomy.

    Raises:
        ModelError: the pipeline has no transformer, or it is not understood.
    """
    # The second alone where a pipeline was loaded without its first expert.
    denoiser = getattr(pipeline, "transformer", None) or getattr(pipeline, "transformer_2", None)
    if denoiser is None:
        unet = getattr(pipeline, "unet", None)
        instead = "" if unet is None else f": it denoises with a {type(unet).__name__}"
        raise ModelError(f"{name}: {type(pipeline).__name__} has no diffusion transformer to trace{instead}")
    module = FAMILIES.get(type(denoiser).__name__, "generic")
    return importlib.import_module(f"{__name__}.{module}").describe(pipeline, name)
