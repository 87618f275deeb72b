"""How many actors an ensemble has something to do for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cosinterp.ensembles.actors.ensemble import most_actors


@pytest.mark.parametrize(
    ("seeds", "samples", "base", "room", "most"),
    [
        (3, 1, 0, 8, 3),
        (3, 5, 0, 8, 6),
        (3, 5, 0, 2, 3),
        (3, 1, 7, 8, 7),
        (3, 0, 2, 8, 2),
        (3, 0, 0, 8, 1),
    ],
)
def test_it_is_one_a_seed_of_as_many_samples_as_fit_or_one_a_batch_of_base_runs(
    seeds, samples, base, room, most
):
    names = [f"maze-{number}" for number in range(8)]
    plan: Any = SimpleNamespace(
        seeds=tuple(range(seeds)),
        batch=seeds,
        samples=[SimpleNamespace(sample=SimpleNamespace(name=name)) for name in names],
    )
    planned: Any = SimpleNamespace(
        plan=plan, base=plan, todo=[None] * samples, base_todo=[(name, 0) for name in names[:base]]
    )
    assert most_actors(planned, room) == most
