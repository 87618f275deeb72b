"""The selection language: what it selects, and what it says when it cannot."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stores.errors import SelectionError, UserError
from stores.selection import compact, parse, parse_seeds, select

BLOCKS_8 = range(9)
GAPS = (0, 10, 20)

SELECTS = [
    ("7", BLOCKS_8, (7,)),
    ("0-8", BLOCKS_8, tuple(range(9))),
    ("0-40", range(41), tuple(range(41))),
    ("0,3,7-8", BLOCKS_8, (0, 3, 7, 8)),
    ("7-8,3,0", BLOCKS_8, (0, 3, 7, 8)),
    ("2,2,1-3", BLOCKS_8, (1, 2, 3)),
    ("-1", BLOCKS_8, (8,)),
    ("-9", BLOCKS_8, (0,)),
    ("5--1", BLOCKS_8, (5, 6, 7, 8)),
    ("-3--2", BLOCKS_8, (6, 7)),
    ("all", BLOCKS_8, tuple(range(9))),
    ("ALL", GAPS, GAPS),
    (" 1 , 3 - 4 ", BLOCKS_8, (1, 3, 4)),
    ("0-10", GAPS, (0, 10)),
    ("5-20", GAPS, (10, 20)),
    ("-1", GAPS, (20,)),
    ("4", (4,), (4,)),
    ("3", (8, 3, 5), (3,)),
]


@pytest.mark.parametrize(("text", "available", "chosen"), SELECTS)
def test_selects(text: str, available: Sequence[int], chosen: tuple[int, ...]) -> None:
    assert parse(text, available) == chosen


REFUSES = [
    ("0-40", BLOCKS_8, 'layers "0-40": there is no layer 40; this model has layers 0-8'),
    ("9", BLOCKS_8, 'layers "9": there is no layer 9; this model has layers 0-8'),
    ("0-5,12", BLOCKS_8, 'layers "0-5,12": there is no layer 12; this model has layers 0-8'),
    ("-10", BLOCKS_8, 'layers "-10": -10 counts back beyond the first of 9; this model has layers 0-8'),
    ("8-3", BLOCKS_8, 'layers "8-3": 8-3 runs backwards; write 3-8'),
    ("-1-0", BLOCKS_8, 'layers "-1-0": -1-0 runs backwards; write 0-8'),
    ("5", GAPS, 'layers "5": there is no layer 5; this model has layers 0,10,20'),
    ("11-14", GAPS, 'layers "11-14": 11-14 selects nothing; this model has layers 0,10,20'),
    ("0-21", GAPS, 'layers "0-21": there is no layer 21; this model has layers 0,10,20'),
    ("", BLOCKS_8, "layers: nothing is selected; write numbers and ranges such as 0,3,7-9"),
    ("  ", BLOCKS_8, "layers: nothing is selected; write numbers and ranges such as 0,3,7-9"),
    ("all", (), 'layers "all": this model has no layers'),
]


@pytest.mark.parametrize(("text", "available", "message"), REFUSES)
def test_refuses_with_what_there_is(text: str, available: Sequence[int], message: str) -> None:
    with pytest.raises(SelectionError) as refusal:
        parse(text, available)
    assert str(refusal.value) == message


UNREADABLE = ["a", "1,", ",1", "1..3", "1:3", "1-2-3", "-", "--1", "1.0", "0x3", "+3", "²", "٣", "9" * 5000]


@pytest.mark.parametrize("text", UNREADABLE)
def test_names_what_it_cannot_read(text: str) -> None:
    with pytest.raises(SelectionError, match=r'cannot read ".*"; write "all", or numbers and ranges such as'):
        parse(text, BLOCKS_8)


def test_words_the_error_for_what_is_asked() -> None:
    with pytest.raises(SelectionError) as refusal:
        parse("30", range(20), what="steps", where="runs/mazes")
    assert str(refusal.value) == 'steps "30": there is no step 30; runs/mazes has steps 0-19'


def test_a_long_inventory_is_cut_short() -> None:
    with pytest.raises(SelectionError, match=r"layers 0,2,4,6,8,10,12,14,16,18,\.\.\.,98 \(50 in all\)$"):
        parse("1", range(0, 100, 2))


def test_a_selection_error_is_the_users_to_mend() -> None:
    assert issubclass(SelectionError, UserError)
    assert SelectionError("").exit_code == 2


def test_what_cannot_be_printed_is_escaped() -> None:
    with pytest.raises(SelectionError, match=r'^layers "0–8\\n\\x85": cannot read "0–8";'):
        parse("0–8\n\x85", BLOCKS_8)


available_numbers = st.lists(st.integers(0, 10**6), min_size=1, max_size=30, unique=True)


@given(available_numbers, st.data())
def test_a_compact_text_reads_back_as_itself(available: list[int], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(available), min_size=1))
    assert parse(compact(chosen), sorted({*available, *chosen})) == tuple(sorted(set(chosen)))


@given(available_numbers, st.data())
def test_a_range_takes_exactly_what_lies_in_it(available: list[int], data: st.DataObject) -> None:
    ends = st.integers(min(available), max(available))
    first, last = sorted([data.draw(ends), data.draw(ends)])
    inside = tuple(sorted(n for n in available if first <= n <= last))
    if inside:
        assert parse(f"{first}-{last}", available) == inside
    else:
        with pytest.raises(SelectionError, match="selects nothing"):
            parse(f"{first}-{last}", available)


@given(st.text(alphabet="0123456789-, al\n", max_size=12) | st.text(max_size=80))
@example("\U000107bb" * 60)
def test_any_text_selects_of_what_is_there_or_is_refused_in_one_line(text: str) -> None:
    chosen, refusal = parsed_or_refused(text)
    if chosen is None:
        assert len(refusal.splitlines()) == 1
        assert len(refusal) < 400
    else:
        assert chosen
        assert set(chosen) <= set(GAPS)
        assert list(chosen) == sorted(set(chosen))


def parsed_or_refused(text: str) -> tuple[tuple[int, ...] | None, str]:
    try:
        return parse(text, GAPS), ""
    except SelectionError as error:
        return None, str(error)


PYTHON_SELECTIONS = [
    ("0-2", (0, 1, 2)),
    (3, (3,)),
    (-1, (8,)),
    (np.int64(4), (4,)),
    ([5, 1, 5], (1, 5)),
    (range(0, 9, 4), (0, 4, 8)),
    (slice(0, 2), (0, 1)),
    (slice(None), tuple(range(9))),
    (slice(1, None, 3), (1, 4, 7)),
    (slice(-2, None), (7, 8)),
]


@pytest.mark.parametrize(("selection", "chosen"), PYTHON_SELECTIONS)
def test_python_values_select_too(selection: object, chosen: tuple[int, ...]) -> None:
    assert select(selection, BLOCKS_8) == chosen  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "selection", [[], [1.5], [True], [None], 9, [0, 9], slice(20, 30), slice(3, 3), object()]
)
def test_python_values_are_refused_alike(selection: object) -> None:
    with pytest.raises(SelectionError, match=r"^layers"):
        select(selection, BLOCKS_8)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", (3,)), ("0-3", (0, 1, 2, 3)), ("0,5,8-9", (0, 5, 8, 9)), ("12345678901", (12345678901,))],
)
def test_seeds_are_any_whole_numbers(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-1", 'cannot read "-1"'),
        ("all", 'cannot read "all"'),
        ("7-0", "7-0 runs backwards; write 0-7"),
        ("0-999999999999", "more than 1,000,000 seeds at once"),
        ("", "nothing is selected"),
    ],
)
def test_seeds_are_refused(text: str, message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        parse_seeds(text)
