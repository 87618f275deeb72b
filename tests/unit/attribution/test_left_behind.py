"""What attribution leaves behind: a model as it was, and nothing in memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cosinterp.attribution import Passes, Side, attribute
from cosinterp.models.model import Model
from tests.families.row import FamilyRow

Tiny = Callable[[str], tuple[FamilyRow, Model]]
Pair = Callable[..., tuple[Side, Side]]


class Failure(Exception):
    """Of a metric."""


def failing(clean: torch.Tensor) -> torch.Tensor:
    raise Failure("no number")


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("metric", [None, failing])
def test_the_model_is_as_it_was(enabled: bool, metric: Any, tiny: Tiny, pair: Pair) -> None:
    row, model = tiny("Wan2.2 T2V A14B")
    recipient, donor = pair(row, model)
    before = model.generate(recipient.sample, 3, **_settings(row))
    parameters = [
        one for part in ("transformer", "transformer_2") for one in _module(model, part).parameters()
    ]
    parameters[0].requires_grad_(False)
    asked = [one.requires_grad for one in parameters]
    hooks = _hooks(model)
    scheduler = type(model.pipeline.scheduler)
    state = {name: repr(value) for name, value in vars(model.pipeline.scheduler).items()}
    with torch.set_grad_enabled(enabled):
        if metric is None:
            attribute(model, recipient, donor, 0, sites="all", points=1)
        else:
            with pytest.raises(Exception, match="the metric fails: Failure: no number"):
                attribute(model, recipient, donor, 0, metric=metric)
        assert torch.is_grad_enabled() == enabled
    assert True in asked
    assert [one.requires_grad for one in parameters] == asked
    assert all(one.grad is None for one in parameters)
    assert _hooks(model) == hooks
    assert type(model.pipeline.scheduler) is scheduler
    assert {name: repr(value) for name, value in vars(model.pipeline.scheduler).items()} == state
    assert np.array_equal(model.generate(recipient.sample, 3, **_settings(row)), before)


def test_no_graph_stays_in_memory(tiny: Tiny, pair: Pair) -> None:
    """A multistep scheduler and the passes themselves keep what the denoiser put out."""
    row, model = tiny("Wan2.1 T2V")
    recipient, donor = pair(row, model)
    alive: weakref.WeakSet[_Saved] = weakref.WeakSet()
    most = 0

    def pack(tensor: torch.Tensor) -> _Saved:
        nonlocal most
        # Without its graph, which would hold it.
        saved = _Saved(tensor.detach())
        alive.add(saved)
        most = max(most, len(alive))
        return saved

    passes, factor = Passes(model), torch.ones(1, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved.tensor):
        attribute(passes, recipient, donor, 0, points=0)
        one_pass = most
        attribute(passes, recipient, donor, 0, sites="all", points=3)
        assert one_pass > 50
        assert len(alive) == 0
        assert most < 1.5 * one_pass
        # Of a first pass with gradients an output is kept, as the form of others; here none goes back.
        other = Passes(model)
        other.denoise(
            recipient, 0, {}, lambda *_: None, lambda branches, name, tensor: tensor * factor, str, grad=True
        )
    gc.collect()
    assert len(alive) == 0


def test_a_metric_keeps_its_own_parameters_without_gradients(tiny: Tiny, pair: Pair) -> None:
    row, model = tiny("Wan2.1 T2V")
    factor = torch.nn.Parameter(torch.tensor(2.0))
    recipient, donor = pair(row, model)
    found = attribute(
        model, recipient, donor, 0, metric=lambda clean: factor * clean.square().mean(), points=1
    )
    assert float(np.abs(found.attribution).max()) > 0
    assert factor.grad is None


def test_a_pipeline_that_does_not_care_for_the_grad_mode_finds_it_unchanged(
    tiny: Tiny, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of diffusers put it back themselves."""
    row, model = tiny("Wan2.1 T2V")
    kind = type(model.pipeline)
    recipient, donor = pair(row, model)
    plain = attribute(model, recipient, donor, 0, points=0)
    monkeypatch.setattr(kind, "__call__", kind.__call__.__wrapped__)
    with torch.no_grad():
        assert attribute(model, recipient, donor, 0, points=0).identical(plain)
        assert not torch.is_grad_enabled()


def test_gradient_checkpointing_makes_no_difference(tiny: Tiny, pair: Pair) -> None:
    row, model = tiny("Wan2.1 T2V")
    recipient, donor = pair(row, model)
    plain = attribute(model, recipient, donor, 0, sites="all", points=1)
    denoiser = _module(model, "transformer")
    denoiser.enable_gradient_checkpointing()  # type: ignore[operator]
    try:
        assert attribute(model, recipient, donor, 0, sites="all", points=1).identical(plain)
        assert denoiser.is_gradient_checkpointing
    finally:
        denoiser.disable_gradient_checkpointing()  # type: ignore[operator]


class _Saved:
    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


def _settings(row: FamilyRow) -> dict[str, Any]:
    return {**row.settings, **row.guided, "num_steps": row.num_steps}


def _module(model: Model, name: str) -> torch.nn.Module:
    return getattr(model.pipeline, name)


def _hooks(model: Model) -> int:
    return sum(
        len(module._forward_pre_hooks) + len(module._forward_hooks)
        for part in ("transformer", "transformer_2")
        for module in _module(model, part).modules()
    )
