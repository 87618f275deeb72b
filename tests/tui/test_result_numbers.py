"""The numbers of a result as a table: which rows, in what order, and how they read."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stores.errors import SelectionError
from tui.results.numbers import Numbers, Wanted
from tui.results.tab_line import window


@pytest.fixture
def numbers() -> Numbers:
    return Numbers(
        pd.DataFrame(
            {
                "site": ["resid", "mlp", "resid", "self_attn"],
                "step": pd.array([0, 1, 2, None], dtype="Int64"),
                "value": [0.5, np.nan, 0.25, 0.75],
                "low": [0.4, np.nan, 0.2, 0.7],
                "high": [0.6, np.nan, 0.3, 0.8],
                "model": ["maze-wan"] * 4,
            }
        )
    )


def test_a_number_and_its_interval_are_one_column_and_what_is_shared_none(numbers: Numbers) -> None:
    assert [column.name for column in numbers.columns] == ["site", "step", "value"]
    assert numbers.shared == [("model", "maze-wan")]
    assert numbers.texts([2, 3]) == [
        ["resid", "2", "0.250 [0.200, 0.300]"],
        ["self_attn", "–", "0.750 [0.700, 0.800]"],
    ]
    assert numbers.row_text(3) == "site self_attn, value 0.750 [0.700, 0.800]"
    assert numbers.widths == [len("self_attn"), len("step") + 2, len("0.750 [0.700, 0.800]")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [0, 1, 2, 3]),
        ("RESID", [0, 2]),
        ("site=attn", [3]),
        ("step=0-1", [0, 1]),
        ("step=0,2 value<0.3", [2]),
        ("value>=0.5", [0, 3]),
        ("value=0.25", [2]),
        ("high<0.7", [0, 2]),
        ("model=wan value>0.6", [3]),
        ("zebra", []),
    ],
)
def test_a_filter_asks_texts_or_numbers(numbers: Numbers, text: str, found: list[int]) -> None:
    assert numbers.places(Wanted(text)).tolist() == found


@pytest.mark.parametrize("text", ["value>much", "site>2", "step=3-1"])
def test_a_filter_that_cannot_be_read_is_told(numbers: Numbers, text: str) -> None:
    with pytest.raises(SelectionError):
        numbers.places(Wanted(text))


def test_rows_are_sorted_with_what_is_not_known_last(numbers: Numbers) -> None:
    assert numbers.places(Wanted("", "value")).tolist() == [2, 0, 3, 1]
    assert numbers.places(Wanted("", "value", reverse=True)).tolist() == [3, 0, 2, 1]
    assert numbers.places(Wanted("resid", "site", reverse=True)).tolist() == [0, 2]
    assert numbers.places(Wanted(reverse=True)).tolist() == [3, 2, 1, 0]


def test_a_table_without_rows_is_no_mistake() -> None:
    empty = Numbers(pd.DataFrame({"value": [], "site": []}))
    assert len(empty) == 0
    assert empty.places(Wanted("a", "value")).tolist() == []
    assert len(empty.widths) == len(empty.columns) == 2


def test_the_line_of_tabs_shows_the_one_that_is_chosen_and_as_many_as_fit() -> None:
    widths = [10] * 8
    for here in range(8):
        first, last = window(widths, here, 40, 2)
        assert first <= here < last
        assert sum(widths[first:last]) + 2 * (last - first - 1) + 4 <= 40
    assert window([100], 0, 40, 2) == (0, 1)
    assert window([], 0, 40, 2) == (0, 0)
