"""The rows of a sweep on the disk, and what is read back after a crash at any byte."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosinterp.errors import InterventionError
from cosinterp.patching.row_log import RowLog

ASKED = {"kind": "patch", "pairs": ["a", "b"], "horizon": None}
values = st.floats() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
rows = st.dictionaries(st.text(max_size=6).filter(lambda name: name != "key"), values, max_size=5)


def written(path: Path, count: int) -> dict[str, dict[str, Any]]:
    with RowLog(path, ASKED, resume=False) as log:
        for index in range(count):
            log.add(f"k{index}", {"x": index / 7, "name": f"row {index}\n\u2028é", "unknown": math.nan})
        return log.rows


def equal(first: Any, second: Any) -> bool:
    return json.dumps(first) == json.dumps(second)


@given(st.dictionaries(st.text(max_size=6), rows, min_size=1, max_size=5))
def test_rows_are_read_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, made: dict[str, Any]
) -> None:
    """What is not finite is not known, and is NaN."""
    path = tmp_path_factory.mktemp("log") / "sweep.rows.jsonl"
    with RowLog(path, ASKED, resume=False) as log:
        for key, row in made.items():
            log.add(key, row)
    with RowLog(path, ASKED, resume=True) as log:
        found = log.rows
    finite = {
        key: {
            name: math.nan if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in row.items()
        }
        for key, row in made.items()
    }
    assert list(found) == list(made)
    assert equal(found, finite)


def test_a_row_is_on_the_disk_as_soon_as_it_is_added(tmp_path: Path) -> None:
    path = tmp_path / "results" / "sweep.rows.jsonl"
    with RowLog(path, ASKED, resume=False) as log:
        for index in range(3):
            log.add(f"k{index}", {"x": index})
            assert [json.loads(line) for line in path.read_text().splitlines()] == [
                {"asked": ASKED},
                *({"key": f"k{before}", "x": before} for before in range(index + 1)),
            ]


def test_a_log_that_is_cut_off_at_any_byte_loses_its_last_row_alone(tmp_path: Path) -> None:
    path = tmp_path / "sweep.rows.jsonl"
    all_rows = written(path, 3)
    whole = path.read_bytes()
    header = whole.index(b"\n") + 1
    for length in range(header, len(whole) + 1):
        path.write_bytes(whole[:length])
        with RowLog(path, ASKED, resume=True) as log:
            # A line without its newline is whole all the same.
            expected = whole[:length].count(b"}\n") - 1 + (whole[length - 1 : length] == b"}")
            assert len(log.rows) == expected
            assert equal(log.rows, dict(list(all_rows.items())[: len(log.rows)]))
            for key, row in all_rows.items():
                if key not in log.rows:
                    log.add(key, row)
        assert path.read_bytes() == whole


def test_a_line_that_is_damaged_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "sweep.rows.jsonl"
    written(path, 3)
    lines = path.read_bytes().split(b"\n")
    lines[2] = b"\0" * len(lines[2])
    path.write_bytes(b"\n".join(lines))
    with RowLog(path, ASKED, resume=True) as log:
        assert list(log.rows) == ["k0", "k2"]


def test_an_unfinished_sweep_is_not_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "sweep.rows.jsonl"
    written(path, 2)
    before = path.read_bytes()
    with pytest.raises(InterventionError, match="an earlier sweep stopped before its end; go on .* --resume"):
        RowLog(path, ASKED, resume=False)
    assert path.read_bytes() == before


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("asked", [{}, {**ASKED, "horizon": 0}, {**ASKED, "pairs": ["b", "a"]}], ids=str)
def test_another_sweep_is_refused(asked: dict[str, Any], resume: bool, tmp_path: Path) -> None:
    path = tmp_path / "sweep.rows.jsonl"
    written(path, 2)
    before = path.read_bytes()
    with pytest.raises(
        InterventionError, match="is of another sweep; give this one another --name, or remove"
    ):
        RowLog(path, asked, resume=resume)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["", "\n", "not json\n", '{"key": "k0", "x": 1}\n'])
def test_a_file_that_is_no_log_is_left_alone(content: str, tmp_path: Path) -> None:
    path = tmp_path / "sweep.rows.jsonl"
    path.write_text(content)
    with pytest.raises(InterventionError, match="is of another sweep"):
        RowLog(path, ASKED, resume=True)
    assert path.read_text() == content


def test_a_sweep_may_be_asked_for_in_other_types_of_the_same_json(tmp_path: Path) -> None:
    path = tmp_path / "sweep.rows.jsonl"
    written(path, 1)
    with RowLog(path, {**ASKED, "pairs": ("a", "b")}, resume=True) as log:
        assert list(log.rows) == ["k0"]


def test_nothing_is_left_of_a_sweep_without_a_row(tmp_path: Path) -> None:
    path = tmp_path / "results" / "sweep.rows.jsonl"
    with pytest.raises(ZeroDivisionError), RowLog(path, ASKED, resume=False):
        raise ZeroDivisionError
    assert list(path.parent.iterdir()) == []


def test_rows_stay_when_the_sweep_fails(tmp_path: Path) -> None:
    path = tmp_path / "sweep.rows.jsonl"

    def fails() -> None:
        with RowLog(path, ASKED, resume=False) as log:
            log.add("k0", {"x": 1})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    with RowLog(path, ASKED, resume=True) as log:
        assert log.rows == {"k0": {"x": 1}}
