"""Groups of tokens, of which each is attributed by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cosinterp.attribution import Side, attribute
from cosinterp.attribution.cells import Cells
from cosinterp.errors import InterventionError
from cosinterp.models.model import Model
from tests.families.row import FamilyRow
from tests.unit.attribution.exact import Exact, slope
from tests.unit.attribution.metrics import projection

Tiny = Callable[[str], tuple[FamilyRow, Model]]
Pair = Callable[..., tuple[Side, Side]]


def test_groups_that_share_no_token_add_up_to_all(tiny: Tiny, pair: Pair) -> None:
    row, model = tiny("Wan2.1 T2V")
    grid = row.grids["resid"]
    masks = {name: np.zeros(grid, dtype=np.bool_) for name in ("first frame", "left", "rest")}
    masks["first frame"][0] = True
    masks["left"][1:, :, :2] = True
    masks["rest"][1:, :, 2:] = True
    masks["all"] = np.ones(grid, dtype=np.bool_)
    found = attribute(model, *pair(row, model), 0, sites="all", tokens=masks, points=1)
    assert found.tokens.values.tolist() == list(masks)
    for effect in ("attribution", "attribution_ig"):
        parts = found[effect].sel(tokens=["first frame", "left", "rest"])
        assert (np.abs(parts.sel(site="resid")) > 0).all()
        np.testing.assert_allclose(
            parts.sum("tokens", skipna=False), found[effect].sel(tokens="all"), rtol=1e-9
        )


def test_a_group_has_the_slope_of_its_own_tokens(tiny: Tiny, pair: Pair) -> None:
    """CogVideoX pairs frames in patches, and both branches lie in one batch."""
    row, model = tiny("CogVideoX 1.5: DPM, v")
    recipient, donor = pair(row, model)
    metric = projection(model, recipient)
    mask = np.zeros(row.grids["resid"], dtype=np.bool_)
    mask[1, :, 1] = True
    found = attribute(model, recipient, donor, 0, tokens={"some": mask}, metric=metric, points=0)
    exact = Exact(model, row, row.calls)
    place = ("resid", 1, "uncond")
    change = exact.activations(donor)[place] - exact.activations(recipient)[place]
    change[:, ~torch.from_numpy(mask.reshape(-1))] = 0
    expected = slope(lambda share: metric(exact.clean(recipient, {place: share * change})))
    value = float(found.attribution.sel(site="resid", layer=1, branch="uncond", tokens="some"))
    assert value == pytest.approx(expected, rel=5e-3)


def test_other_streams_have_a_group_of_all_alone(tiny: Tiny, pair: Pair) -> None:
    row, model = tiny("CogVideoX 1.5: DPM, v")
    grid = row.grids["resid"]
    masks = {"all": np.ones(grid, dtype=np.bool_), "some": np.zeros(grid, dtype=np.bool_)}
    masks["some"][0] = True
    found = attribute(model, *pair(row, model), 0, sites=["resid", "text"], tokens=masks, points=0)
    text = found.attribution.sel(site="text", layer=1)
    assert (np.abs(text.sel(tokens="all")) > 0).all()
    assert np.isnan(text.sel(tokens="some")).all()


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({}, "no group of tokens is given"),
        (
            {"a": np.ones((1, 2, 2), dtype=np.bool_)},
            r'tokens "a": the mask is bool \(1, 2, 2\), and has to be',
        ),
        (
            {"a": np.ones((1, 2, 3))},
            r'tokens "a": the mask is float64 \(1, 2, 3\), and has to be bool \(1, 2, 3\)',
        ),
    ],
)
def test_a_mask_is_bool_and_on_the_grid(masks: dict[str, Any], message: str) -> None:
    with pytest.raises(InterventionError, match=message):
        Cells(masks, (1, 2, 3))
