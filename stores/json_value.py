"""What JSON can hold of what Python can."""

from __future__ import annotations

import math
from typing import Any


def json_value(value: Any) -> Any:
    """``value`` with NaN and infinities as text, for which JSON has no numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: json_value(member) for name, member in value.items()}
    return [json_value(member) for member in value] if isinstance(value, list) else value
