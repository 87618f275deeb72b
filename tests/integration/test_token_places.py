"""The proof that a token is a place fails where the anatomy says another place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from cosinterp.models.geometry import Size
from cosinterp.models.model import Model
from cosinterp.verification.places import misplaced_cells
from tests.tiny import sample_for

# 3 latent frames of 8 by 8 cells.
CELLS = 3 * 8 * 8


def misplaced(model: Model, kind: str, conditioned: bool = False, **changes: Any) -> tuple[int, int]:
    sample = sample_for(kind)
    settings = model.sampling(sample, {"num_steps": 2, "guidance_scale": 1.0})
    other = replace(model, anatomy=replace(model.anatomy, **changes))
    return misplaced_cells(
        other,
        model.size(settings),
        lambda: model.arguments(sample, (0,), settings),
        conditioned=conditioned,
    )


def test_a_model_that_is_understood_has_every_token_in_its_place(tiny_model: Callable[..., Model]) -> None:
    assert misplaced(tiny_model("wan2.1-t2v"), "wan2.1-t2v") == (0, CELLS)


def test_frames_whose_prediction_is_discarded_are_not_looked_at(tiny_model: Callable[..., Model]) -> None:
    def hold_first(latents: torch.Tensor, size: Size) -> torch.Tensor:
        return torch.cat([torch.zeros_like(latents[:, :, :1]), latents[:, :, 1:]], dim=2)

    model = tiny_model("wan2.1-t2v")
    assert misplaced(model, "wan2.1-t2v", conditioned=True, unpack=hold_first) == (0, CELLS * 2 // 3)
    wrong, looked_at = misplaced(model, "wan2.1-t2v", unpack=hold_first)
    assert looked_at == CELLS
    assert wrong > 0


def test_a_prediction_that_nothing_changes_is_all_wrong(tiny_model: Callable[..., Model]) -> None:
    wrong, _ = misplaced(
        tiny_model("wan2.1-t2v"), "wan2.1-t2v", unpack=lambda latents, size: torch.zeros_like(latents)
    )
    assert wrong > CELLS / 8


@pytest.mark.parametrize(
    "order",
    [
        lambda grid: torch.arange(grid[0] * grid[1] * grid[2]).flip(0),
        lambda grid: torch.arange(grid[0] * grid[1] * grid[2]).reshape(grid).transpose(1, 2).flatten(),
        lambda grid: torch.arange(grid[0] * grid[1] * grid[2]).roll(1),
    ],
)
def test_tokens_in_another_order_are_found(order: Any, tiny_model: Callable[..., Model]) -> None:
    model = tiny_model("wan2.1-t2v")
    geometry = replace(model.anatomy.geometry, token_order=order)
    wrong, looked_at = misplaced(model, "wan2.1-t2v", geometry=geometry)
    assert looked_at == CELLS
    assert wrong > CELLS / 8


def test_latents_that_lie_otherwise_are_found(tiny_model: Callable[..., Model]) -> None:
    wrong, _ = misplaced(
        tiny_model("wan2.1-t2v"), "wan2.1-t2v", unpack=lambda latents, size: latents.transpose(3, 4)
    )
    assert wrong > CELLS / 8
