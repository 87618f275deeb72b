"""The model of a driver, loaded once more by a worker."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cosinterp.errors import ModelError, ModelWarning
from cosinterp.planning.plan import model_settings

if TYPE_CHECKING:
    import torch

    from cosinterp.models.loading.recipe import Recipe
    from cosinterp.models.model import Model


def load_planned(recipe: Recipe, settings: Mapping[str, Any], device: str | None) -> Model:
    """Load a model by its recipe.

    Args:
        recipe: of the model.
        settings: `model_settings` of the one that was planned with.
        device: for it.

    Raises:
        ModelError: it cannot be loaded there, or is not the one that was planned with.
    """
    with warnings.catch_warnings():
        # The driver has said them.
        warnings.simplefilter("ignore", ModelWarning)
        prepared = recipe.prepare(device)
    if model_settings(prepared.model) != settings:
        raise ModelError(
            f"{recipe.name} is another model here than where this was planned; give all workers the same "
            "files"
        )
    _settle(prepared.model.device)
    return prepared.load()


def _settle(device: torch.device) -> None:
    """Make a GPU the one that is meant where none is named: else each worker takes memory of the first."""
    import torch

    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
