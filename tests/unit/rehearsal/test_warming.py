"""What the process that rehearses imports for good."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cosinterp.rehearsal.warming import Warmth


def test_what_questions_imported_is_imported_when_there_is_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "of_the_user.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    warmth = Warmth()
    # The second is nothing that can be imported by itself.
    warmth.learn(["of_the_user", "torch.no_such_module", "colorsys", "bitsandbytes"])
    while warmth.is_waiting:
        warmth.go_on()
    assert "colorsys" in sys.modules
    assert "of_the_user" not in sys.modules
