"""What may be read to describe a model, and how errors end of one that would need more.

There are pipelines that cannot be described by their configs alone. Commands read their weights before
anything is checked, and say so; what only asks what a command would do must not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

UNREACHED = "and the hub cannot be reached"
"""How an error ends that says of a model that it is not here, and that only the hub could tell more."""

UNREAD = "its weights have to be read before anything is known of it"
"""How an error ends that says that a model was not described, because its weights may not be read."""

_may_read: ContextVar[bool] = ContextVar("may_read", default=True)


def weights_may_be_read() -> bool:
    """Whether they may."""
    return _may_read.get()


@contextmanager
def no_weights() -> Iterator[None]:
    """Have no model read its weights within the block to be described; it is an error then."""
    token = _may_read.set(False)
    try:
        yield
    finally:
        _may_read.reset(token)
