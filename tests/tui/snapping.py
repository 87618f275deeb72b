"""Pictures of screens that are kept, and what is made of one that is no longer the same.

Each is the SVG that Textual makes of a screen, kept in ``tests/tui/snapshots``. One that differs fails its
test, which says what the screen reads now and where both pictures lie. Several come from one app, as starting
one costs more than all that it shows.
"""

from __future__ import annotations

import difflib
import html
import os
import re
from pathlib import Path
from typing import Any

from textual.app import App

KEPT = Path(__file__).parent / "snapshots"
ACCEPT = "ACCEPT_SNAPSHOTS"
"""A variable of the environment: what is seen is what is to be kept."""

_IDENTITY = re.compile(r"\bterminal-\d+-")
_TEXT = re.compile(r'<text class="[^"]*" x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>')


class Snapshots:
    """Compares screens with the pictures of them that are kept.

    Args:
        seen: the folder for pictures that differ from those.
    """

    def __init__(self, seen: Path) -> None:
        self._seen = seen
        self._differ: list[str] = []

    def take(self, app: App[Any], name: str) -> None:
        """Compare the screen as it is; `check` tells what came of it."""
        # The number is made of all that is shown, so that one letter would change every line.
        svg = _IDENTITY.sub("terminal-", app.export_screenshot(title="cosinterp", simplify=True))
        kept = KEPT / f"{name}.svg"
        if os.environ.get(ACCEPT):
            KEPT.mkdir(exist_ok=True)
            kept.write_text(svg)
        elif (was := kept.read_text() if kept.exists() else "") != svg:
            seen = self._seen / kept.name
            seen.write_text(svg)
            lines = difflib.unified_diff(text_of(was), text_of(svg), "kept", "seen", lineterm="", n=0)
            changed = "\n".join(lines) or "the text is the same, colours or places differ"
            self._differ.append(f"{kept}\n{seen}\n{changed}")

    def check(self) -> None:
        """Fail if a screen was not as it is kept."""
        if self._differ:
            told = "\n\n".join(self._differ)
            raise AssertionError(
                f"{len(self._differ)} screens are not as they are kept; look at both in a browser:\n\n"
                f"{told}\n\nIf they are to be so: {ACCEPT}=1 python -m pytest tests/tui/test_snapshots.py"
            )


def text_of(svg: str) -> list[str]:
    """What a picture reads, line by line."""
    lines: dict[float, str] = {}
    for _, y, text in sorted(_TEXT.findall(svg), key=lambda found: (float(found[1]), float(found[0]))):
        lines[float(y)] = lines.get(float(y), "") + html.unescape(text)
    return list(lines.values())
