"""Tables as they are read: what all rows share is said once, numbers are short."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from probes.results.table_view import cell_text, table_view


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (pd.NA, "–"),
        (0.0, "0"),
        (1.0, "1"),
        (-2.5, "-2.50"),
        (0.98765, "0.988"),
        (12.345, "12.3"),
        (1234.6, "1235"),
        (100.0, "100"),
        (0.00123, "0.00123"),
        (0.000123, "1.23e-04"),
        (2.5e7, "2.50e+07"),
        (float("nan"), "–"),
        (None, "–"),
        (np.int64(120), "120"),
        (np.float32(0.5), "0.500"),
        ("a text", "a text"),
        (True, "True"),
    ],
)
def test_cells_are_short(value: object, text: str) -> None:
    assert cell_text(value) == text


def test_columns_that_are_alike_are_told_once_but_for_values_and_never_if_nothing_is_known() -> None:
    table = pd.DataFrame(
        {"site": ["resid"] * 3, "layer": [0, 1, 2], "value": [0.5] * 3, "n": [4] * 3, "p": [np.nan] * 3}
    )
    view = table_view(table, 2)
    assert view.shared == [("site", "resid"), ("n", "4")]
    assert view.columns == ["layer", "value"]
    assert view.is_number == [True, True]
    assert view.rows == [["0", "0.500"], ["1", "0.500"]]
    assert view.more == 1


def test_one_row_shares_nothing_and_no_row_is_no_mistake() -> None:
    one = table_view(pd.DataFrame({"site": ["resid"], "n": [3]}), 5)
    assert (one.shared, one.rows, one.more) == ([], [["resid", "3"]], 0)
    none = table_view(pd.DataFrame({"site": [], "n": []}), 5)
    assert (none.columns, none.rows, none.more) == (["site", "n"], [], 0)


def test_a_number_and_its_interval_are_one_column() -> None:
    table = pd.DataFrame(
        {
            "layer": [0, 1],
            "value": [0.5, 0.625],
            "low": [0.25, 0.5],
            "high": [0.75, np.nan],
            "control": [0.5, 0.5],
            "control_low": [0.4, 0.4],
            "control_high": [0.6, 0.6],
            "a_low": [1, 2],
        }
    )
    view = table_view(table, 10)
    assert view.columns == ["layer", "value", "control", "a_low"]
    assert view.rows == [
        ["0", "0.500 [0.250, 0.750]", "0.500 [0.400, 0.600]", "1"],
        ["1", "0.625", "0.500 [0.400, 0.600]", "2"],
    ]
