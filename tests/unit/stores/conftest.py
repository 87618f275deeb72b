"""Fixtures of the tests of stores."""

from __future__ import annotations

import pytest

from stores import layout


@pytest.fixture
def divided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks so small that a slab has several."""
    monkeypatch.setattr(layout, "MAX_CHUNK", 60)
