"""Integrated gradients: what enters the denoiser accounts for the whole difference of a metric."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cosinterp.attribution import Side, attribute
from cosinterp.models.model import Model
from tests.families.row import FamilyRow

Tiny = Callable[[str], tuple[FamilyRow, Model]]
Pair = Callable[..., tuple[Side, Side]]


@pytest.mark.parametrize("guided", [True, False], ids=["guided", "unguided"])
@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("Wan2.1 T2V", None),
        ("Wan2.1 I2V", "stay where you are"),
        ("CogVideoX 1.5: DPM, v", None),
        ("LTX-Video from 0.9.5 on", None),
    ],
)
def test_inputs_account_for_the_metric_with_enough_points(
    name: str, prompt: str | None, guided: bool, tiny: Tiny, pair: Pair
) -> None:
    row, model = tiny(name)
    recipient, donor = pair(row, model, guided=guided, prompt=prompt)
    missing = {}
    for points in (1, 4, 24):
        found = attribute(model, recipient, donor, 0, layers="0", points=points)
        whole = found.attrs["metric_inputs"] - found.attrs["metric_recipient"]
        missing[points] = abs(float(found.input_attribution_ig.sum()) - whole)
        assert abs(whole) > 1e-3
    assert missing[24] < 2e-3 * abs(whole)
    assert missing[24] < missing[4] < missing[1]


def test_where_only_the_noise_differs_the_first_layer_is_the_noise(tiny: Tiny, pair: Pair) -> None:
    """The patch embedding is linear, so what it puts out moves as straight as what enters."""
    row, model = tiny("Wan2.1 T2V")
    found = attribute(model, *pair(row, model), 0, layers="0", points=5)
    assert found.argument.values.tolist() == ["hidden_states"]
    for effect in ("attribution", "attribution_ig"):
        np.testing.assert_allclose(
            found[effect].sum(), found[f"input_{effect}"].sum(), rtol=1e-4, err_msg=effect
        )


def test_the_metric_at_the_donors_inputs_is_that_of_the_whole_stream_patched(tiny: Tiny, pair: Pair) -> None:
    """It is 1 only where the noisy latent, too, is the donor's."""
    row, model = tiny("Wan2.1 T2V")
    of_seeds = attribute(model, *pair(row, model), 0, layers="0", points=0).attrs
    of_prompts = attribute(model, *pair(row, model, prompt="stay where you are"), 0, layers="0", points=0)
    assert of_seeds["metric_recipient"] == 0
    assert of_seeds["metric_donor"] == pytest.approx(1)
    assert 0 < abs(of_seeds["metric_inputs"]) < 0.99
    assert of_prompts.attrs["metric_inputs"] == pytest.approx(1)
    assert of_prompts.argument.values.tolist() == ["encoder_hidden_states"]


def test_what_does_not_differ_is_attributed_nothing(tiny: Tiny, pair: Pair) -> None:
    """Another prompt changes neither the first layer nor the branch without a prompt."""
    row, model = tiny("Wan2.1 T2V")
    recipient, donor = pair(row, model, prompt="stay where you are")
    found = attribute(model, recipient, donor, 0, sites="all", points=1)
    for effect in ("attribution", "attribution_ig"):
        values = found[effect].sel(tokens="all")
        assert (values.sel(site="resid", layer=0) == 0).all()
        assert (values.sel(branch="uncond", layer=slice(1, None)) == 0).all()
        assert (values.sel(site="resid", branch="cond", layer=slice(1, None)) != 0).all()
        assert np.isnan(values.sel(site="mlp", layer=0)).all()
