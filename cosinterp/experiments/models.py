"""Models that experiments share: each loaded once, when it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cosinterp.models.model import Model

Load = Callable[[str], "Model"]


def bundled(name: str) -> Model:
    """A model by its name, as `cosinterp.load` gives it."""
    from cosinterp.models.loading import load

    return load(name)


def once(load: Load) -> Load:
    """What gives the same model each time that its name is given."""
    held: dict[str, Model] = {}

    def give(name: str) -> Model:
        if name not in held:
            held[name] = load(name)
        return held[name]

    return give
