"""Standing in for a method of one object for a while, and putting everything back."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def watched_scheduler(
    scheduler: Any,
    before: Callable[[dict[str, Any]], None],
    stepped: Callable[[Any, dict[str, Any], Any], Any],
) -> Iterator[None]:
    """Within the block, ``stepped`` is told of each ``scheduler.step``: its arguments by name, its result.

    ``before`` is given the arguments first, and may change them; what ``stepped`` gives back is the result.

    The scheduler gets another class, not another attribute: a pipeline may copy it (LTX-2 does, for its
    audio), and the copy must step by itself and unseen.
    """
    kind = type(scheduler)
    signature = inspect.signature(kind.step)
    # One that somebody put into the instance would go before that of any class.
    own = vars(scheduler).pop("step", None)
    # Emptied at the end: a class stays until the garbage is collected, and so would all that it holds.
    told = [(before, stepped)]

    @functools.wraps(kind.step)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = signature.bind(self, *args, **kwargs)
        watched = self is scheduler and bool(told)
        if watched:
            told[0][0](call.arguments)
        result = kind.step(*call.args, **call.kwargs) if own is None else own(*call.args[1:], **call.kwargs)
        return told[0][1](self, call.arguments, result) if watched else result

    scheduler.__class__ = type(kind.__name__, (kind,), {"step": step, "__module__": kind.__module__})
    try:
        yield
    finally:
        told.clear()
        scheduler.__class__ = kind
        if own is not None:
            scheduler.step = own


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Shadow a method on one instance within the block."""
    shadowed = name in vars(owner)
    before = vars(owner).get(name)
    vars(owner)[name] = value
    try:
        yield
    finally:
        if shadowed:
            vars(owner)[name] = before
        else:
            del vars(owner)[name]
