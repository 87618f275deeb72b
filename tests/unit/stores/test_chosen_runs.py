"""What is selected of what several runs hold."""

from __future__ import annotations

import pytest

from stores.chosen_runs import select_held
from stores.errors import SelectionError


def test_what_all_runs_hold_is_selected_without_a_word() -> None:
    notes: list[str] = []
    assert select_held("0-4", [(0, 2, 4), (0, 2, 4)], "layers", "every chosen run", notes) == (0, 2, 4)
    assert notes == []


def test_what_some_runs_lack_is_left_out_and_said() -> None:
    notes: list[str] = []
    assert select_held("all", [(0, 1, 2), (2, 0)], "steps", "every chosen run", notes) == (0, 2)
    assert notes == ["only the steps that all runs hold: 0,2"]


@pytest.mark.parametrize(
    ("asked", "held", "why"),
    [
        ("all", [(0,), (1,)], "layers: the chosen runs have none in common; choose other runs"),
        ("1", [(0, 1), (0,)], "there is no layer 1; every chosen run has layers 0"),
    ],
)
def test_what_no_run_or_not_every_run_holds_is_refused(
    asked: str, held: list[tuple[int, ...]], why: str
) -> None:
    with pytest.raises(SelectionError, match=why):
        select_held(asked, held, "layers", "every chosen run", [])
