"""The tasks of scene-wan under one roof: what every scene has, and the prompts of all kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from cosinterp.errors import UserError
from cosinterp.organism.mazes import Split
from cosinterp.organism.scenes import grounding, permanence


class Scene(Protocol):
    """What every scene has, whatever its task."""

    task: ClassVar[str]

    @property
    def number(self) -> int:
        """What made it, with the split."""
        ...

    @property
    def split(self) -> Split:
        """Whether it is held out."""
        ...

    @property
    def kind(self) -> str:
        """Which of `PROMPTS` are its prompts."""
        ...

    def cells(self) -> np.ndarray:
        """The true video: cell classes, uint8 (frame, row, col)."""
        ...

    def crossed(self) -> np.ndarray:
        """Cells that what moves may be in at some time, by the first frame alone; bool (row, col)."""
        ...

    def truth(self) -> dict[str, Any]:
        """What is known of it, for a store."""
        ...

    def counterfactuals(self) -> Mapping[str, Scene]:
        """The same scene but for one thing each, by what that is."""
        ...


PROMPTS: dict[str, tuple[str, ...]] = {
    permanence.TASK: permanence.PROMPTS,
    **{f"{grounding.TASK}-{colour}": prompts for colour, prompts in grounding.PROMPTS.items()},
}
KINDS = tuple(PROMPTS)
WORDINGS = len(permanence.PROMPTS)

_GENERATORS: dict[str, Callable[[int, Split], Scene]] = {
    permanence.TASK: permanence.generate_permanence,
    grounding.TASK: grounding.generate_grounding,
}
TASKS = tuple(_GENERATORS)


def generate_scene(task: str, number: int, split: Split = "test") -> Scene:
    """The scene of a task, number and split: the same each time.

    Raises:
        UserError: an unknown task or split, or a negative number.
    """
    if task not in _GENERATORS:
        raise UserError(f"unknown task {task!r}: use {' or '.join(TASKS)}")
    return _GENERATORS[task](number, split)
