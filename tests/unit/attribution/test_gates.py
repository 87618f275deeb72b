"""Sites with a gate: what is added to the residual stream, and not the module's output alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from cosinterp.attribution import Side, attribute
from cosinterp.models.model import Model
from tests.families.row import FamilyRow
from tests.unit.attribution.exact import Exact, slope
from tests.unit.attribution.metrics import projection

Tiny = Callable[[str], tuple[FamilyRow, Model]]
Pair = Callable[..., tuple[Side, Side]]


@pytest.mark.parametrize("name", ["Wan2.1 T2V", "LTX-Video from 0.9.5 on", "CogVideoX 1.5: DPM, v"])
def test_where_both_runs_have_the_same_gate_the_raw_site_has_the_same_attribution(
    name: str, tiny: Tiny, pair: Pair
) -> None:
    row, model = tiny(name)
    found = attribute(model, *pair(row, model), 0, sites="all", points=2)
    for effect in ("attribution", "attribution_ig"):
        values = found[effect].sel(tokens="all")
        for site in ("self_attn", "mlp"):
            gated, raw = values.sel(site=site), values.sel(site=f"{site}.raw")
            assert np.abs(gated.sel(layer=1)).min() > 0
            np.testing.assert_allclose(gated, raw, rtol=1e-4, atol=1e-5 * float(np.abs(raw).max()))


def test_where_the_gates_differ_attribution_is_the_slope_of_what_is_added(tiny: Tiny, pair: Pair) -> None:
    """In Stable Diffusion 3 gates depend on the prompt."""
    row, model = tiny("Stable Diffusion 3")
    recipient, donor = pair(row, model, prompt="stay where you are")
    metric = projection(model, recipient)
    found = attribute(model, recipient, donor, 0, sites="self_attn", metric=metric, points=0)
    exact = Exact(model, row, row.calls)
    own, other = exact.activations(recipient), exact.activations(donor)
    for layer in (1, 2):
        gates = [_gate(model, side, layer) for side in (recipient, donor)]
        assert float((gates[1] - gates[0]).abs().max()) > 1e-3 * float(gates[0].abs().max())
        place = ("self_attn.raw", layer, "cond")
        change = (other[place] * gates[1] - own[place] * gates[0]) / gates[0]
        expected = slope(lambda share: metric(exact.clean(recipient, {place: share * change})))  # noqa: B023
        assert float(found.attribution.sel(layer=layer, branch="cond").squeeze()) == pytest.approx(
            expected, rel=5e-3
        )


def _gate(model: Model, side: Side, layer: int) -> torch.Tensor:
    """The gate of a block's attention in the branch `cond`, (1, 1, channel), as its norm puts it out."""
    kept: list[torch.Tensor] = []
    norm = model.pipeline.transformer.transformer_blocks[layer - 1].norm1
    handle = norm.register_forward_hook(lambda module, args, output: kept.append(output[1]))
    try:
        model.pipeline(**model.arguments(side.sample, (side.seed,), side.settings, output_type="latent"))
    finally:
        handle.remove()
    return kept[0].chunk(2)[1][:, None]
