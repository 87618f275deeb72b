"""How many frames latents are decoded to."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cosinterp.errors import TraceError
from cosinterp.models.geometry import Geometry, Size, Tiles
from cosinterp.models.model import Model
from tests.unit.models.test_anatomy import WAN_14B

WAN = WAN_14B.geometry
COGVIDEOX_15 = replace(WAN, latent_frame_multiple=2)
ALLEGRO = replace(WAN, tiles=Tiles((24, 320, 320), (16, 200, 200)))
CONDITIONED = replace(WAN, extra_latent_frames=1)
IMAGE = replace(WAN, temporal_scale=1, is_image=True)


def model(geometry: Geometry) -> Model:
    """Whose pipeline decodes to black frames, as many as it is told."""

    def decode(pipeline: Any, latents: torch.Tensor, num_frames: int) -> np.ndarray:
        return np.zeros((len(latents), num_frames, 8, 8, 3), np.float32)

    anatomy = replace(WAN_14B, geometry=geometry, decode=decode)
    return Model("my-model", "", None, SimpleNamespace(), anatomy, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("geometry", "size"),
    [
        (WAN, Size(32, 48, 13)),
        (WAN, Size(32, 48, 1)),
        (CONDITIONED, Size(32, 48, 13)),
        (ALLEGRO, Size(320, 320, 24)),
        (ALLEGRO, Size(320, 320, 88)),
        (IMAGE, Size(32, 48, 1)),
    ],
)
def test_the_latents_tell_the_frames_of_the_video(geometry: Geometry, size: Size) -> None:
    latents = np.zeros(geometry.latent_shape(size), np.float32)
    assert model(geometry).decode(latents).shape == (size.num_frames, 8, 8, 3)
    assert model(geometry).decode(latents[None]).shape == (1, size.num_frames, 8, 8, 3)


@pytest.mark.parametrize(
    ("geometry", "size", "message"),
    [
        (COGVIDEOX_15, Size(32, 48, 9), "4 frames, and that is a video of 9 or 13 frames; give num_frames"),
        (ALLEGRO, Size(320, 320, 25), "7 frames, and no video has so many; give num_frames"),
    ],
)
def test_latents_that_do_not_tell_are_refused(geometry: Geometry, size: Size, message: str) -> None:
    latents = np.zeros(geometry.latent_shape(size), np.float32)
    with pytest.raises(TraceError, match=f"my-model: the latents have {message}"):
        model(geometry).decode(latents)
    assert model(geometry).decode(latents, size.num_frames).shape == (size.num_frames, 8, 8, 3)
