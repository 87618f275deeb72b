"""A function of the user's as a measure, and what is said when it cannot be one."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from cosinterp.patching.measures import MeasureError, taken
from cosinterp.patching.own_measures import load_measure

VIDEO = np.full((1, 2, 2, 3), 255, np.uint8)
CODE = """
import math

def brightness(video, recipient_truth, donor_truth):
    return video.mean() / 255

def several(video, recipient_truth, donor_truth):
    return {"of_recipient": recipient_truth["a"], "of_donor": donor_truth["a"]}

def unknown(video, recipient_truth, donor_truth):
    return math.nan

def nothing(video, recipient_truth, donor_truth):
    pass

def too_few(video):
    return 0.0

FACTOR = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a module `my_measures` in it."""
    (tmp_path / "my_measures.py").write_text(CODE)
    (tmp_path / "broken_measures.py").write_text("1 / 0\n")
    (tmp_path / "lacking_measures.py").write_text("import no_such_library\n")
    monkeypatch.chdir(tmp_path)
    for name in ("my_measures", "broken_measures", "lacking_measures"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def test_a_number_goes_into_a_column_of_the_functions_name(folder: Path):
    measure = load_measure("my_measures:brightness")
    assert measure.name == "my_measures:brightness"
    assert taken(measure, VIDEO, {}, {}) == {"brightness": 1.0}


def test_several_numbers_go_into_columns_of_their_own(folder: Path):
    found = taken(load_measure("my_measures:several"), VIDEO, {"a": 1}, {"a": 2})
    assert found == {"of_recipient": 1.0, "of_donor": 2.0}


def test_nan_is_kept_and_none_is_not_a_number(folder: Path):
    assert math.isnan(taken(load_measure("my_measures:unknown"), VIDEO, {}, {})["unknown"])
    with pytest.raises(MeasureError, match="measure my_measures:nothing: nothing is None, not a number"):
        taken(load_measure("my_measures:nothing"), VIDEO, {}, {})


def test_a_function_that_raises_is_named(folder: Path):
    with pytest.raises(MeasureError, match="measure my_measures:several: KeyError: 'a'"):
        taken(load_measure("my_measures:several"), VIDEO, {}, {})


def test_the_path_of_modules_stays_as_it_was(folder: Path):
    before = list(sys.path)
    load_measure("my_measures:brightness")
    with pytest.raises(MeasureError):
        load_measure("broken_measures:f")
    assert sys.path == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("my_measures", "write module:function, of a function"),
        ("my_measures:", "write module:function"),
        (":brightness", "write module:function"),
        ("my_measures.py:brightness", "there is no module my_measures.py"),
        ("path/my_measures:brightness", "write module:function"),
        ("nowhere:brightness", "there is no module nowhere, neither installed nor in "),
        ("nowhere.inside:brightness", "there is no module nowhere, neither"),
        ("my_measures:darkness", "my_measures has no darkness; it has brightness, several, unknown"),
        ("broken_measures:f", "broken_measures cannot be imported: ZeroDivisionError: division by zero"),
        ("lacking_measures:f", "lacking_measures needs no_such_library, which is not there"),
        ("my_measures:FACTOR", "FACTOR is of the type int; write module:function"),
        ("my_measures:too_few", r"takes \(video\); it has to take \(video, recipient_truth, donor_truth\)"),
    ],
)
def test_what_is_no_measure_is_told(folder: Path, text: str, message: str):
    with pytest.raises(MeasureError, match=message) as raised:
        load_measure(text)
    assert str(raised.value).startswith(f'measure "{text}"')
    assert "\n" not in str(raised.value)
