"""``--set NAME=VALUE``: sampling settings that only some families have."""

from __future__ import annotations

import json
from typing import Any

from cosinterp.errors import TraceError


def parse_settings(words: list[str] | None) -> dict[str, Any]:
    """Settings by name; a value is read as JSON where it is some (numbers, true, null, lists), else as text.

    >>> parse_settings(["stg_scale=1.5", "blocks=[28]", "mode=fast"])
    {'stg_scale': 1.5, 'blocks': [28], 'mode': 'fast'}

    Raises:
        TraceError: not a name and a value, or a name twice.
    """
    settings: dict[str, Any] = {}
    for word in words or []:
        name, equals, text = word.partition("=")
        name = name.strip()
        if not equals or not name:
            raise TraceError(f"--set {word}: give a name and a value, such as --set stg_scale=1")
        if name in settings:
            raise TraceError(f"--set {name}: given twice")
        settings[name] = _value(text)
    return settings


def merged(flags: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """The settings of flags of their own and those of ``--set``.

    Raises:
        TraceError: one is given both ways.
    """
    for name in settings:
        if flags.get(name) is not None:
            raise TraceError(f"--set {name}: also given as --{name.replace('_', '-')}; leave one out")
    return {**flags, **settings}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
