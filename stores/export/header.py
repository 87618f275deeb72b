"""What every export says of itself, whatever its format."""

from __future__ import annotations

import math
from typing import Any

from stores import layout
from stores.store import Store

FORMAT = "cosinterp-export"


def header(store: Store) -> dict[str, Any]:
    """``format``, ``version`` (of the store's format), and what its runs share: model, capture, sampling."""
    settings = store.settings
    return {
        "format": FORMAT,
        "version": layout.VERSION,
        "model": settings.model,
        "capture": settings.capture,
        "sampling": settings.sampling,
    }


def json_value(value: Any) -> Any:
    """``value`` with NaN and infinities as text, for which JSON has no numbers."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: json_value(member) for name, member in value.items()}
    return [json_value(member) for member in value] if isinstance(value, list) else value
