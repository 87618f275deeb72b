"""What is attributed is the slope of the exact effect, in each family, site and branch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cosinterp.attribution import Side, attribute
from cosinterp.models.model import Model
from tests.families.row import FamilyRow
from tests.unit.attribution.exact import Exact

FAMILIES = [
    "Wan2.1 T2V",
    "Wan2.2 TI2V 5B from an image",
    # Both branches in one batch; the feed-forward layer joins video and text.
    "CogVideoX 1.0 I2V (5B): DPM, v",
    # Guidance that is rescaled: no linear function of the branches.
    "LTX-Video from 0.9.5 on",
    # Another module's output is what is added.
    "Mochi 1",
    # Several stacks of blocks, with gates that depend on the text.
    "Stable Diffusion 3.5 medium",
    "HunyuanVideo",
]


def projection(model: Model, side: Side) -> Callable[[torch.Tensor], torch.Tensor]:
    """The scalar product with a fixed direction of the latents."""
    shape = (
        model.anatomy.geometry.latent_channels,
        *model.anatomy.geometry.latent_shape(model.size(side.settings)),
    )
    direction = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return lambda clean: (clean.double() * direction).sum()


def slope(function: Callable[[float], torch.Tensor], size: float = 0.01) -> float:
    """The derivative at 0, by central differences of fourth order."""
    ahead, behind, far_ahead, far_behind = (float(function(sign * size)) for sign in (1, -1, 2, -2))
    return (8 * (ahead - behind) - (far_ahead - far_behind)) / (12 * size)


@pytest.mark.parametrize("guided", [True, False], ids=["guided", "unguided"])
@pytest.mark.parametrize("name", FAMILIES)
def test_attribution_is_the_slope_of_the_exact_effect(
    name: str, guided: bool, tiny: Callable[[str], tuple[FamilyRow, Model]], pair: Any
) -> None:
    row, model = tiny(name)
    if not guided and row.unguided is None:
        pytest.skip("it is always guided")
    recipient, donor = pair(row, model, guided=guided)
    metric = projection(model, recipient)
    found = attribute(model, recipient, donor, 0, sites="all", metric=metric, points=0)
    exact = Exact(model, row, row.calls if guided else row.unguided_calls)
    start, end = exact.activations(recipient), exact.activations(donor)
    slopes, attributed = [], []
    for place, own in start.items():
        site, layer, branch = place
        if layer not in (0, 1, model.num_layers):
            continue
        change = end[place] - own
        slopes.append(slope(lambda share: metric(exact.clean(recipient, {place: share * change}))))  # noqa: B023
        attributed.append(float(found.attribution.sel(site=site, layer=layer, branch=branch, tokens="all")))
    assert set(found.branch.values) == {branch for _, _, branch in start}
    assert len(slopes) >= 6
    largest = float(np.abs(slopes).max())
    np.testing.assert_allclose(attributed, slopes, rtol=2e-3, atol=2e-3 * largest)
