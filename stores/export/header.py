"""What every export says of itself, whatever its format."""

from __future__ import annotations

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
