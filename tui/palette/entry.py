"""What can be chosen by name, and which of it fits what is typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """Something that can be chosen by name.

    Attributes:
        hint: the key that does it, or what kind of thing it is.
        name: what it does, or what it is called.
        do: does it; called in the app's thread, and awaited if it asks for that.
    """

    hint: str
    name: str
    do: Callable[[], object]


def fitting(entries: Iterable[Entry], text: str) -> list[Entry]:
    """Those in which every word of ``text`` occurs, best first; all of them, in their order, without one.

    Better is where the first word is the hint, then where it begins the name, then a word of the name.
    """
    words = text.lower().split()
    if not words:
        return list(entries)
    found = [
        (_rank(entry, words[0]), entry)
        for entry in entries
        if all(word in f"{entry.hint} {entry.name}".lower() for word in words)
    ]
    return [entry for _, entry in sorted(found, key=lambda one: one[0])]


def _rank(entry: Entry, word: str) -> int:
    name = entry.name.lower()
    if word == entry.hint.lower():
        return 0
    if name.startswith(word):
        return 1
    return 2 if f" {word}" in name else 3
