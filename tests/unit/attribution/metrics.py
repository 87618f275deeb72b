"""A metric that depends on all of a clean estimate."""

from __future__ import annotations

import torch

from cosinterp.attribution import Metric, Side
from cosinterp.models.model import Model


def projection(model: Model, side: Side) -> Metric:
    """The scalar product with a fixed direction of the latents."""
    geometry = model.anatomy.geometry
    shape = (geometry.latent_channels, *geometry.latent_shape(model.size(side.settings)))
    direction = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return lambda clean: (clean.double() * direction).sum()
