"""What an ensemble costs, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from cosinterp.ensembles.costs import evaluations, rows_by_step
from cosinterp.ensembles.spec import Ensemble, Merge, Select

EARLY = Merge(what="latent", steps=(0,))
LATER = Merge(what="x0", steps=(0, 2))


@pytest.mark.parametrize(
    ("ensemble", "rows"),
    [
        ({"merges": (EARLY,)}, (4, 1, 1, 1, 1, 1)),
        ({"merges": (LATER,)}, (4, 4, 4, 1, 1, 1)),
        ({"merges": (EARLY, LATER)[1:], "then": "all"}, (4, 4, 4, 4, 4, 4)),
        ({"select": Select(step=1)}, (4, 4, 1, 1, 1, 1)),
        ({"select": Select(step=1, keep=3)}, (4, 4, 3, 3, 3, 3)),
        # Who is selected goes on, whatever goes on after a merge before it.
        ({"merges": (EARLY,), "select": Select(step=3, keep=2)}, (4, 4, 4, 4, 2, 2)),
        ({"merges": (LATER,), "select": Select(step=0, keep=2)}, (4, 2, 2, 1, 1, 1)),
        ({"merges": (Merge(what="latent", steps=(5,)),)}, (4, 4, 4, 4, 4, 4)),
    ],
)
def test_as_many_seeds_go_through_each_step_as_go_on(ensemble: dict[str, Any], rows: tuple[int, ...]) -> None:
    assert rows_by_step(Ensemble(**ensemble), 6, 4) == rows
    assert evaluations(Ensemble(**ensemble), 6, 4, branches=2) == 2 * sum(rows)


def test_one_seed_costs_what_its_run_costs() -> None:
    assert evaluations(Ensemble(merges=(EARLY,)), 6, 1, branches=2) == 12
