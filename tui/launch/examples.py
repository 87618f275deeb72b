"""A form filled in for those who have nothing yet: mazes, and the bundled model to solve them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.launch.parameters import Values

COUNT = 4
FOLDER = "mazes"
TRACE: Values = {
    "model": "maze-wan",
    "dataset": FOLDER,
    "seeds": "0-1",
    "num_steps": "12",
    "store": "runs/first",
}
"""What the form of ``cosinterp trace`` is filled in with: 8 runs."""


def write_example_mazes(folder: Path) -> None:
    """What ``cosinterp mazes`` writes: `COUNT` mazes in ``folder``; those that are there are left alone.

    Takes half a second; call it from a thread.

    Raises:
        UserError: they cannot be written.
    """
    from cosinterp.organism.dataset import write_mazes

    write_mazes(folder, count=COUNT)
