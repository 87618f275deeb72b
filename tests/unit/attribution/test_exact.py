"""What is attributed is the slope of the exact effect, in each family, site and branch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cosinterp.attribution import Side, attribute
from cosinterp.models.model import Model
from tests.families.row import FamilyRow
from tests.unit.attribution.exact import Exact, slope
from tests.unit.attribution.metrics import projection

Pair = Callable[..., tuple[Side, Side]]

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


@pytest.mark.parametrize("guided", [True, False], ids=["guided", "unguided"])
@pytest.mark.parametrize("name", FAMILIES)
def test_attribution_is_the_slope_of_the_exact_effect(
    name: str, guided: bool, tiny: Callable[[str], tuple[FamilyRow, Model]], pair: Pair
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
