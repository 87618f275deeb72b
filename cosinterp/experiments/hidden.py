"""Tokens that a probe is asked about where a ball passes behind a wall: targets written ``module:function``.

What is left out says too much by itself: ceiling and floor are walls that no ball is ever behind, and in
frames in which nothing is hidden no token of the wall holds the ball. A probe that knew the scene alone would
gain from both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from stores import Run


def behind_the_wall(run: Run) -> NDArray[np.bool_]:
    """(latent frame, row, col): the wall between ceiling and floor, where some of the ball is behind it."""
    standing, hidden, _ = _scene(run)
    return standing & hidden.any(axis=(1, 2), keepdims=True)


def in_sight(run: Run) -> NDArray[np.bool_]:
    """(latent frame, row, col): what is no wall, where some of the ball is seen."""
    _, _, seen = _scene(run)
    is_open = ~np.asarray(run.truth["walls"]).astype(bool)
    return is_open & seen.any(axis=(1, 2), keepdims=True)


def _scene(run: Run) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """The wall that stands (row, col); of the ball what is behind it, and what is seen (frame, row, col)."""
    truth = run.truth
    walls = np.asarray(truth["walls"]).astype(bool)
    standing = np.zeros_like(walls)
    standing[1:-1] = walls[1:-1].all(axis=0)
    ball = np.asarray(truth["ball"]).astype(bool)
    return standing, ball & standing, ball & ~walls
