"""Tokens that probes are asked about where a ball is hidden."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cosinterp.experiments.hidden import behind_the_wall, in_sight
from cosinterp.organism.scenes.permanence import generate_permanence


def run_of(number: int) -> Any:
    return SimpleNamespace(truth=generate_permanence(number, "test").truth())


@pytest.mark.parametrize("number", range(5))
def test_every_cell_of_the_ball_is_asked_about_once(number: int) -> None:
    run = run_of(number)
    ball = np.asarray(run.truth["ball"]) > 0
    hidden, seen = behind_the_wall(run), in_sight(run)
    assert not (hidden & seen).any()
    assert np.array_equal((hidden | seen) & ball, ball)


@pytest.mark.parametrize("number", range(5))
def test_where_something_is_hidden_there_is_something_to_find_and_something_not_to(number: int) -> None:
    run = run_of(number)
    ball = np.asarray(run.truth["ball"]) > 0
    hidden = behind_the_wall(run)
    asked = hidden.any(axis=(1, 2))
    assert asked.any()
    assert not asked.all()
    assert (hidden & ball).any(axis=(1, 2))[asked].all()
    assert (hidden & ~ball).any(axis=(1, 2))[asked].all()
    assert not hidden[:, [0, -1]].any()
