"""What no answer may tell: the values of variables that hold secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

_NAMES = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY", re.IGNORECASE
)
# Shorter ones are no secrets, and words of ordinary messages.
_SHORTEST = 8
HIDDEN = "***"


def without_secrets(said: Any, environment: Mapping[str, str] = os.environ) -> Any:
    """``said`` (JSON-able), with ``***`` for each value of a variable that is called as secrets are."""
    values = {value for name, value in environment.items() if _NAMES.search(name) and len(value) >= _SHORTEST}
    return _hidden(said, sorted(values, key=len, reverse=True)) if values else said


def _hidden(said: Any, values: list[str]) -> Any:
    if isinstance(said, str):
        for value in values:
            said = said.replace(value, HIDDEN)
        return said
    if isinstance(said, dict):
        return {name: _hidden(value, values) for name, value in said.items()}
    return [_hidden(one, values) for one in said] if isinstance(said, list) else said
