"""Nested settings compared key by dotted key, and said in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from stores import selection


class KeyDifference(NamedTuple):
    """A dotted key under which two dictionaries differ, and what each holds there, in words."""

    key: str
    here: str
    there: str


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[KeyDifference]:
    """The dotted keys under which two nested dictionaries of plain values differ, in the order of ``here``.

    A key that only one of them has differs, unless it leads to an empty dictionary. NaN equals NaN.
    """
    ours, theirs = dict(_flat(here)), dict(_flat(there))
    keys = [*ours, *(key for key in theirs if key not in ours)]
    return [
        KeyDifference(key, _shown(ours, key), _shown(theirs, key))
        for key in keys
        if key not in ours or key not in theirs or not _same(ours[key], theirs[key])
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _same(here: Any, there: Any) -> bool:
    # The texts are equal for NaN, which does not equal itself.
    return here == there or json.dumps(here) == json.dumps(there)


def _shown(flat: Mapping[str, Any], key: str) -> str:
    if key not in flat:
        return "nothing"
    value = flat[key]
    if isinstance(value, list) and value and all(type(item) is int and item >= 0 for item in value):
        return selection.compact(value)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return ",".join(value)
    if isinstance(value, str) and value and value.isprintable() and value == value.strip():
        return value
    return json.dumps(value, ensure_ascii=False)
