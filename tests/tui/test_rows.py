"""The table of runs as data: filters, orders, and how numbers read."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.errors import SelectionError
from tui.browser.rows import (
    COLUMNS,
    SCORE,
    SOLVED,
    STORE,
    Row,
    abbreviated,
    age_text,
    columns,
    matcher,
    ordered,
    widths,
)


def row(
    sample: str = "maze-1",
    seed: int = 0,
    variant: str = "base",
    store: str = "mazes",
    size: int = 1,
    finished: float = 0,
) -> Row:
    return Row(Path("/runs") / store, store, sample, seed, variant, 20, (0, 1, 2), size, finished)


ROWS = [row("maze-1", 0), row("maze-1", 12), row("maze-2", 3, "patched"), row("Tower", 4, store="towers")]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", [0, 1, 2, 3]),
        ("   ", [0, 1, 2, 3]),
        ("maze", [0, 1, 2]),
        ("MAZE-1", [0, 1]),
        ("tow", [3]),
        ("patch", [2]),
        ("maze patch", [2]),
        ("seed=0-3", [0, 2]),
        ("seed=12", [1]),
        ("variant=base maze", [0, 1]),
        ("store=maze", [0, 1, 2]),
        ("sample=tower", [3]),
        ("maze-1 tower", []),
        ("seed=", []),
        ("colour=red", []),
    ],
)
def test_filters(text: str, kept: list[int]) -> None:
    keeps = matcher(text)
    assert [place for place, each in enumerate(ROWS) if keeps(each)] == kept


@pytest.mark.parametrize("text", ["seed=x", "seed=3-1", "maze seed=-1"])
def test_seeds_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(SelectionError, match=r"^seeds"):
        matcher(text)


@pytest.mark.parametrize("column", [STORE, *COLUMNS], ids=lambda column: column.name)
def test_every_column_orders_and_equal_runs_keep_the_order_of_their_names(column) -> None:
    rows = [row(sample, seed) for seed in (2, 0, 1) for sample in ("b", "a")]
    upwards = ordered(rows, column, reverse=False)
    assert sorted(rows, key=lambda each: (each.sample, each.seed)) == sorted(
        upwards, key=lambda each: (each.sample, each.seed)
    )
    keys = [column.order(each) for each in upwards]
    assert keys == sorted(keys)
    within = [(each.sample, each.seed) for each in upwards if column.order(each) == keys[0]]
    assert within == sorted(within)


def test_the_oldest_run_is_last_by_age_upwards() -> None:
    age = next(column for column in COLUMNS if column.name == "age")
    old, new = row(seed=1, finished=100), row(seed=2, finished=900)
    assert ordered([old, new], age, reverse=False) == [new, old]
    assert (age.text(new, 1000), age.text(old, 1000)) == ("1 m", "15 m")


def test_which_store_is_said_only_when_there_are_several() -> None:
    assert columns([row(seed=1), row(seed=2)]) == COLUMNS
    assert columns([row(), row(store="elsewhere")])[0] is STORE


def test_scores_have_a_column_where_any_is_known() -> None:
    runs = [replace(row(seed=1), score=1.0, is_share=True), replace(row(seed=2), score=0.0, is_share=True)]
    names = [column.name for column in columns([*runs, row(seed=3)])]
    assert names == ["sample", "seed", "variant", "solved", "steps", "layers", "size", "age"]
    assert [SOLVED.text(one, 0) for one in [*runs, row(seed=3)]] == ["yes", "no", ""]
    assert [one.seed for one in ordered([*runs, row(seed=3)], SOLVED, reverse=True)] == [1, 2, 3]
    number = replace(row(seed=4), score=0.256)
    assert SCORE in columns([*runs, number])
    assert SCORE.text(number, 0) == "0.26"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("solved=yes", [1]),
        ("solved=no", [2]),
        ("solved=unknown", [3, 4]),
        ("score>0.2", [1, 4]),
        ("score<.3 seed=3-4", [4]),
        ("score>", []),
    ],
)
def test_a_filter_asks_scores(text: str, kept: list[int]) -> None:
    runs = [
        replace(row(seed=1), score=1.0, is_share=True),
        replace(row(seed=2), score=0.0, is_share=True),
        row(seed=3),
        replace(row(seed=4), score=0.25),
    ]
    assert [one.seed for one in runs if matcher(text)(one)] == kept


def test_a_filter_of_scores_that_cannot_be_read_says_so() -> None:
    with pytest.raises(SelectionError, match="write solved=yes, solved=no or solved=unknown"):
        matcher("solved=maybe")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (59.9, "59 s"),
        (60, "1 m"),
        (3599, "59 m"),
        (86_399, "23 h"),
        (86_400, "1 d"),
        (864_000_000, ">3y"),
    ],
)
def test_ages_read(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


@given(st.integers(-(10**9), 10**10))
def test_ages_are_short(seconds: int) -> None:
    assert len(age_text(seconds)) <= 4


@given(st.text(max_size=40), st.integers(1, 40))
def test_an_abbreviated_text_fits_and_keeps_its_ends(text: str, width: int) -> None:
    short = abbreviated(text, width)
    assert len(short) <= width
    front, _, back = short.partition("…") if len(text) > width else (text, "", "")
    assert text.startswith(front)
    assert text.endswith(back)


@pytest.mark.parametrize(
    ("whole", "least", "room", "given"),
    [
        ([20, 5, 8], [10, 5, 8], 40, [20, 5, 8]),
        ([20, 5, 8], [10, 5, 8], 30, [17, 5, 8]),
        ([20, 18, 8], [10, 10, 8], 30, [11, 11, 8]),
        ([20, 18, 8], [10, 10, 8], 10, [10, 10, 8]),
        ([], [], 10, []),
    ],
)
def test_the_widest_column_gives_way_first(
    whole: list[int], least: list[int], room: int, given: list[int]
) -> None:
    assert widths(whole, least, room) == given
