"""What cannot be attributed, said in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from cosinterp.attribution import Metric, Passes, Side, attribute
from cosinterp.errors import InterventionError, SelectionError, UserError
from cosinterp.models.model import Model
from tests.families.row import FamilyRow

Tiny = Callable[[str], tuple[FamilyRow, Model]]
Pair = Callable[..., tuple[Side, Side]]
NAME = "Wan2.1 T2V"


@pytest.mark.parametrize(
    ("asked", "kind", "message"),
    [
        ({"sites": "head"}, SelectionError, 'unknown site "head"; this model has sites resid'),
        ({"sites": "mlp", "layers": "0"}, SelectionError, "mlp is at none of the layers that are asked for"),
        ({"layers": "9"}, SelectionError, "9"),
        ({"branches": "stg"}, SelectionError, 'unknown branch "stg"'),
        ({"step": 4}, SelectionError, "4"),
        ({"points": -1}, InterventionError, "points has to be 0 or more, not -1"),
    ],
)
def test_what_is_not_there(
    asked: dict[str, Any], kind: type[UserError], message: str, tiny: Tiny, pair: Pair
) -> None:
    row, model = tiny(NAME)
    with pytest.raises(kind, match=message):
        attribute(model, *pair(row, model), **{"step": 0, **asked})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_frames": 9}, "differs in size: Size.*num_frames=9.* and Size.*num_frames=5"),
        ({"num_steps": 7}, "differs in number of steps: 7 and 4"),
        ({"guidance_scale": 1.0}, "differs in branches: cond and cond, uncond"),
    ],
)
def test_runs_that_do_not_fit_together(changed: dict[str, Any], message: str, tiny: Tiny, pair: Pair) -> None:
    row, model = tiny(NAME)
    recipient, donor = pair(row, model)
    donor = replace(donor, settings={**donor.settings, **changed})
    with pytest.raises(
        InterventionError, match=f"sample seed 4 cannot be a donor of sample seed 3.* {message}"
    ):
        attribute(model, recipient, donor, 0)


def test_texts_of_other_lengths(tiny: Tiny, pair: Pair) -> None:
    row, model = tiny(NAME)
    recipient, donor = pair(row, model, prompt="stay where you are")
    donor = replace(donor, settings={**donor.settings, "max_sequence_length": 9})
    found = attribute(model, recipient, donor, 0, points=0)
    assert float(found.attribution.sel(layer=model.num_layers, branch="cond").squeeze()) != 0
    with pytest.raises(
        InterventionError, match="encoder_hidden_states: the donor has .* texts of one length"
    ):
        attribute(model, recipient, donor, 0, points=1)


def test_runs_that_are_the_same(tiny: Tiny, pair: Pair) -> None:
    row, model = tiny(NAME)
    recipient, _ = pair(row, model)
    with pytest.raises(InterventionError, match="donor and recipient have the same clean estimate"):
        attribute(model, recipient, recipient, 0)
    found = attribute(model, recipient, recipient, 0, metric=lambda clean: clean.mean(), points=1)
    assert (found.attribution == 0).all()
    assert (found.attribution_ig == 0).all()


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (lambda clean: clean.mean().detach(), "no gradient goes through the metric"),
        (lambda clean: float(clean.detach().mean()), "the metric has to return one number, as a tensor"),
        (lambda clean: clean, "the metric has to return one number, as a tensor"),
        (lambda clean: clean.mean() / 0, "the metric is not finite"),
        (lambda clean: clean.mean(dim=9), "the metric fails: IndexError: "),
    ],
)
def test_a_metric_that_is_none(metric: Metric, message: str, tiny: Tiny, pair: Pair) -> None:
    row, model = tiny(NAME)
    with pytest.raises(InterventionError, match=message):
        attribute(model, *pair(row, model), 0, metric=metric)


def test_inference_mode_allows_no_gradients(tiny: Tiny, pair: Pair) -> None:
    row, model = tiny(NAME)
    with (
        pytest.raises(InterventionError, match="torch.inference_mode, which allows no gradients"),
        torch.inference_mode(),
    ):
        attribute(model, *pair(row, model), 0)


@pytest.mark.parametrize("offload", ["group", "sequential"])
def test_weights_that_leave_before_gradients_come(offload: str, tiny: Tiny) -> None:
    _, model = tiny(NAME)
    with pytest.raises(InterventionError, match=f'offload "{offload}", which takes weights away'):
        Passes(replace(model, offload=offload))
    assert Passes(replace(model, offload="model")).model.offload == "model"
