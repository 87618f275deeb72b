"""The table of a result on a terminal: as many columns as there is room for, and the names of the others."""

from __future__ import annotations

import io
import json
import re

import pandas as pd
import pytest
import xarray as xr
from rich.console import Console

from cosinterp.cli.results_show import table_of
from probes.results.export import records
from probes.results.result import Result


@pytest.fixture
def wide() -> Result:
    columns = {f"column_{number}": ("row", [0.1 + number, 0.2 + number]) for number in range(12)}
    return Result(xr.Dataset(columns), {"kind": "of another version"})


def printed(result: Result, width: int, is_terminal: bool) -> str:
    stream = io.StringIO()
    table_of(result, 5, Console(file=stream, width=width, force_terminal=is_terminal))
    return re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())


@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_no_line_is_broken_on_a_terminal(width: int, wide: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Result, "table", lambda self: self.dataset.to_dataframe().reset_index(drop=True))
    text = printed(wide, width, is_terminal=True)
    head = next(line for line in text.splitlines() if "column_0" in line)
    shown = head.split()
    assert len(head.rstrip()) <= width
    left_out = [name for name in wide.dataset if name not in shown]
    assert bool(left_out) == (width < 12 * 11)
    for name in left_out:
        assert str(name) in text.split("no room for")[1]


def test_all_columns_go_into_a_pipe(wide: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Result, "table", lambda self: self.dataset.to_dataframe().reset_index(drop=True))
    text = printed(wide, 400, is_terminal=False)
    assert "no room" not in text
    assert "column_11" in text


def test_what_is_not_known_is_null_whatever_pandas_calls_it() -> None:
    table = pd.DataFrame(
        {
            "step": pd.array([0, None], dtype="Int64"),
            "reading": ["path", None],
            "value": [float("inf"), float("nan")],
            "n": [3, 4],
        }
    )
    assert json.loads(json.dumps(records(table), allow_nan=False)) == [
        {"step": 0, "reading": "path", "value": None, "n": 3},
        {"step": None, "reading": None, "value": None, "n": 4},
    ]
