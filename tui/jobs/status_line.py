"""The line at the top of a screen that says how things stand."""

from __future__ import annotations

from textual.widgets import Static


class StatusLine(Static):
    """A line that is sent only when it says something else."""

    def __init__(self) -> None:
        super().__init__(id="status", markup=False)
        self._said = ""

    def say(self, text: str) -> None:
        """Show this text."""
        if text != self._said:
            self._said = text
            # It stays one line high: laying it out would have all of the screen painted.
            self.update(text, layout=False)
