"""What was found about one thing that cosinterp needs or can use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

State = Literal["ok", "note", "lack", "unknown"]
"""``note``: it works, and there is something to know; ``lack``: something does not work; ``unknown``: it
could not be found out."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line of what was found.

    ``value`` is what is there, ``meaning`` what follows from it, ``advice`` what to do about it, empty where
    there is nothing to do. ``needed`` says whether cosinterp does not work without it. ``group`` and
    ``question`` are those of the `Question` that it answers.
    """

    name: str
    state: State
    value: str
    meaning: str = ""
    advice: str = ""
    needed: bool = False
    group: str = ""
    question: str = ""

    @property
    def is_lacking(self) -> bool:
        """Whether something that is needed does not work, or is not known to."""
        return self.needed and self.state in ("lack", "unknown")

    def as_data(self) -> dict[str, Any]:
        """The finding as JSON takes it."""
        return {
            "name": self.name,
            "group": self.group,
            "state": self.state,
            "needed": self.needed,
            "value": self.value,
            "meaning": self.meaning,
            "advice": self.advice,
        }

    def abbreviated(self, names: Mapping[str, str]) -> Finding:
        """The finding with each key of ``names`` replaced by its value, in all that is told."""
        told = {"value": self.value, "meaning": self.meaning, "advice": self.advice}
        for name, text in told.items():
            for long, short in names.items():
                text = text.replace(long, short)
            told[name] = text
        return replace(self, **told)


def is_fine(name: str, value: str, meaning: str = "", *, needed: bool = False) -> Finding:
    """It is there and works."""
    return Finding(name=name, state="ok", value=value, meaning=meaning, needed=needed)


def is_noted(name: str, value: str, meaning: str, advice: str = "", *, needed: bool = False) -> Finding:
    """It works, and there is something to know about it."""
    return Finding(name=name, state="note", value=value, meaning=meaning, advice=advice, needed=needed)


def is_lacking(name: str, value: str, meaning: str, advice: str, *, needed: bool = False) -> Finding:
    """It is not there, or does not work."""
    return Finding(name=name, state="lack", value=value, meaning=meaning, advice=advice, needed=needed)


def is_unknown(name: str, value: str, meaning: str, advice: str, *, needed: bool = False) -> Finding:
    """It could not be found out."""
    return Finding(name=name, state="unknown", value=value, meaning=meaning, advice=advice, needed=needed)
