"""What the sampling settings of a pipeline's call may be: numbers, truth values, texts or lists of them."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

_LISTS = re.compile(r"(?:list|tuple)\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Kind:
    """What a value may be: any of these, and ``items`` those of a list."""

    number: bool = False
    truth: bool = False
    text: bool = False
    items: Kind | None = None

    def takes(self, value: Any) -> bool:
        """Whether a value is one of these; a number has to be finite, and so have those of a list."""
        if isinstance(value, bool):
            return self.truth
        if isinstance(value, Real):
            return self.number and math.isfinite(value)
        if isinstance(value, str):
            return self.text
        if isinstance(value, (list, tuple)):
            items = self.items
            return items is not None and all(items.takes(item) for item in value)
        return False

    def __str__(self) -> str:
        named = {"a number": self.number, "true or false": self.truth, "a text": self.text}
        names = [name for name, may_be in named.items() if may_be]
        return " or ".join(names if self.items is None else [*names, f"a list, each {self.items}"])


def kind_of(default: Any, parameter: inspect.Parameter | None, *, compared: bool = False) -> Kind | None:
    """What a setting may be, by its default and by how the pipeline's call is annotated; None: not known.

    A setting that is ``compared`` with numbers is one, whatever else the call would take.
    """
    if isinstance(default, bool):
        return Kind(truth=True)
    if isinstance(default, str):
        return Kind(text=True)
    if compared:
        return Kind(number=True)
    # A class is shown as <class 'float'>, and the annotations of some modules are texts. Of a whole number it
    # is no sign: those of the LTX pipelines call their frame rate an int, and take 23.976.
    annotation = "" if parameter is None else str(parameter.annotation).lower()
    kind = _annotated(_LISTS.sub("", annotation))
    items = [_annotated(text) for text in _LISTS.findall(annotation)]
    kind = replace(kind, number=kind.number or isinstance(default, Real), items=items[0] if items else None)
    return None if Kind() in (kind, kind.items) else kind


def _annotated(text: str) -> Kind:
    """The kinds that a part of an annotation names, without lists."""
    words = set(re.findall(r"\w+", text))
    return Kind(number=bool(words & {"int", "float"}), truth="bool" in words, text="str" in words)
