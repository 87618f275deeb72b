"""Texts in lines that fit."""

from __future__ import annotations

from tui.widgets.canvas import Line, cells_of


def folded(text: str, width: int) -> list[Line]:
    """A text in lines of so many cells at most; what is longer than a line, such as a path, is not cut."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            if line and len(line) + 1 + len(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
            while len(line) > width > 0:
                lines.append(line[:width])
                line = line[width:]
        lines.append(line)
    return [cells_of(line) for line in lines]
