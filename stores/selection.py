"""Selections: the small language in which layers, steps and seeds are chosen.

=============  =================================================================
``7``          one number; it has to be there
``-1``         counted from the end: the last one that is there
``0-8``        from 0 to 8, both included (``4--1`` is from 4 to the last)
``0,3,7-9``    several of these; order and repetition do not matter
``all``        everything that is there
=============  =================================================================

What is there need not be without gaps: a store of layers 0, 10 and 20 is still selected from by layer
number. A range takes those of its numbers that are there, so ``0-10`` takes layers 0 and 10 of it; but both
ends must lie between the first and the last, because a range that reaches beyond them was meant for
something else.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeAlias

from stores.errors import SelectionError

Selection: TypeAlias = str | int | slice | Iterable[int]

# Eighteen digits keep every number within 64 bits, which is what seeds and indices are stored in.
_ITEM = re.compile(r"(-?[0-9]{1,18})(?:\s*-\s*(-?[0-9]{1,18}))?")
_SEEDS = re.compile(r"([0-9]{1,18})(?:\s*-\s*([0-9]{1,18}))?")
_MAX_SEEDS = 1_000_000
_MAX_NAMED = 12


def parse(
    text: str, available: Sequence[int], what: str = "layers", where: str = "this model"
) -> tuple[int, ...]:
    """The numbers that ``text`` selects out of ``available``, ascending and without repetition.

    ``what`` (a plural) and ``where`` only word the errors, as in "this model has layers 0-8".

    Raises:
        SelectionError: ``text`` cannot be read, selects nothing, runs backwards, or reaches beyond what is
            available.

    >>> parse("0,3,7-9", range(41))
    (0, 3, 7, 8, 9)
    >>> parse("-1", [0, 10, 20])
    (20,)
    """
    inventory = _Inventory(text, available, what, where)
    chosen: set[int] = set()
    for item in _items(text, what):
        if item.lower() == "all":
            chosen.update(inventory.numbers)
            continue
        match = _ITEM.fullmatch(item)
        if match is None:
            hint = f'write "all", or numbers and ranges such as {_example(inventory.numbers)}'
            raise SelectionError(f"{inventory.asked}: cannot read {_quoted(item)}; {hint}")
        first = inventory.resolve(int(match[1]))
        if match[2] is None:
            chosen.add(inventory.require(first))
        else:
            last = inventory.resolve(int(match[2]))
            chosen.update(inventory.between(first, last, f"{match[1]}-{match[2]}"))
    return tuple(sorted(chosen))


def select(
    selection: Selection, available: Sequence[int], what: str = "layers", where: str = "this model"
) -> tuple[int, ...]:
    """As `parse`, for everything that the Python API takes for a selection.

    ``selection`` may be a text (see `parse`), one number (negative: from the end), numbers, or a slice of
    the numbers themselves, half-open as always in Python: ``slice(0, 8)`` takes those of 0 to 7.

    Raises:
        SelectionError: as `parse`, or a member of ``selection`` is no whole number.
    """
    if isinstance(selection, str):
        return parse(selection, available, what, where)
    if isinstance(selection, slice):
        inventory = _Inventory(_slice_text(selection), available, what, where)
        wanted = range(*selection.indices(inventory.numbers[-1] + 1))
        chosen = tuple(number for number in inventory.numbers if number in wanted)
        return inventory.some(chosen, inventory.text)
    members = list(selection) if isinstance(selection, Iterable) else [selection]
    if not members:
        raise SelectionError(f"{what}: nothing is selected")
    numbers = [_whole(member, what) for member in members]
    inventory = _Inventory(",".join(map(str, numbers)), available, what, where)
    return tuple(sorted({inventory.require(inventory.resolve(number)) for number in numbers}))


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds that ``text`` names ("0-7", "3", "0,5,8-9"), ascending and without repetition.

    Any whole number from 0 can be a seed, so there is nothing to count back from and no "all".

    Raises:
        SelectionError: ``text`` cannot be read, runs backwards, or names more than a million seeds.
    """
    chosen: set[int] = set()
    for item in _items(text, "seeds"):
        match = _SEEDS.fullmatch(item)
        if match is None:
            raise SelectionError(
                f"seeds {_quoted(text)}: cannot read {_quoted(item)}; "
                "write whole numbers from 0 and ranges, such as 0-7 or 0,3,8-9"
            )
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if last < first:
            raise _backwards(f"seeds {_quoted(text)}", f"{first}-{last}", first, last)
        if len(chosen) + last - first >= _MAX_SEEDS:
            raise SelectionError(f"seeds {_quoted(text)}: more than {_MAX_SEEDS:,} seeds at once")
        chosen.update(range(first, last + 1))
    return tuple(sorted(chosen))


def compact(numbers: Iterable[int]) -> str:
    """``numbers`` (none negative) as the shortest text that `parse` reads back: ``0,3,7-9``.

    >>> compact([7, 8, 0, 3, 9])
    '0,3,7-9'
    """
    ordered = sorted(set(numbers))
    if not ordered:
        return ""
    runs = [[ordered[0], ordered[0]]]
    for before, number in pairwise(ordered):
        if number == before + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(_range_text(first, last) for first, last in runs)


class _Inventory:
    """What there is to select from, and the errors that tell the user so."""

    def __init__(self, text: str, available: Sequence[int], what: str, where: str) -> None:
        self.text = text
        self.what = what
        self.where = where
        self.numbers = tuple(sorted(set(available)))
        self._members = frozenset(self.numbers)
        self.asked = f"{what} {_quoted(text)}"
        if not self.numbers:
            raise SelectionError(f"{self.asked}: {where} has no {what}")

    @property
    def has(self) -> str:
        return f"{self.where} has {self.what} {_shortened(self.numbers)}"

    def resolve(self, number: int) -> int:
        """A number from the front; a negative one is counted from the end of what is there."""
        if number >= 0:
            return number
        if -number > len(self.numbers):
            raise SelectionError(
                f"{self.asked}: {number} counts back beyond the first of {len(self.numbers)}; {self.has}"
            )
        return self.numbers[number]

    def require(self, number: int) -> int:
        if number not in self._members:
            raise self._missing(number)
        return number

    def between(self, first: int, last: int, item: str) -> tuple[int, ...]:
        if last < first:
            raise _backwards(self.asked, item, first, last)
        for end in (first, last):
            if not self.numbers[0] <= end <= self.numbers[-1]:
                raise self._missing(end)
        return self.some(tuple(n for n in self.numbers if first <= n <= last), item)

    def some(self, chosen: tuple[int, ...], item: str) -> tuple[int, ...]:
        if not chosen:
            raise SelectionError(f"{self.asked}: {item} selects nothing; {self.has}")
        return chosen

    def _missing(self, number: int) -> SelectionError:
        return SelectionError(f"{self.asked}: there is no {_singular(self.what)} {number}; {self.has}")


def _items(text: str, what: str) -> list[str]:
    items = [item.strip() for item in text.split(",")]
    if items == [""]:
        raise SelectionError(f"{what}: nothing is selected; write numbers and ranges such as 0,3,7-9")
    return items


def _whole(member: object, what: str) -> int:
    if isinstance(member, bool) or not hasattr(member, "__index__"):
        raise SelectionError(f"{what}: {member!r} is no whole number")
    return operator.index(member)  # type: ignore[arg-type]


def _backwards(asked: str, item: str, first: int, last: int) -> SelectionError:
    return SelectionError(f"{asked}: {item} runs backwards; write {_range_text(last, first)}")


def _range_text(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def _slice_text(chosen: slice) -> str:
    ends = ["" if end is None else str(end) for end in (chosen.start, chosen.stop)]
    return ":".join(ends if chosen.step is None else [*ends, str(chosen.step)])


def _example(numbers: tuple[int, ...]) -> str:
    if len(numbers) < 3:
        return compact(numbers)
    return f"{_shortened(numbers)} or {numbers[0]},{numbers[-1]}"


def _shortened(numbers: tuple[int, ...]) -> str:
    parts = compact(numbers).split(",")
    if len(parts) <= _MAX_NAMED:
        return ",".join(parts)
    return f"{','.join(parts[: _MAX_NAMED - 2])},...,{parts[-1]} ({len(numbers)} in all)"


def _singular(what: str) -> str:
    return what.removesuffix("s")


def _quoted(text: str) -> str:
    """Quoted for a message of one line: what cannot be printed is escaped, long texts are cut."""
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return '"' + (shown if len(shown) <= 60 else shown[:57] + "...") + '"'
