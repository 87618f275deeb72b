"""Which runs of a store are meant: by sample and by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import index
from typing import SupportsIndex, TypeAlias

from stores import selection
from stores.errors import StoreError

Samples: TypeAlias = str | Iterable[str] | None
Seeds: TypeAlias = str | SupportsIndex | slice | Iterable[SupportsIndex] | None


def seed_filter(seed: Seeds) -> Callable[[int], bool]:
    """Tells whether a seed is among those meant: one, several, a half-open slice, text as "0-7"; None is all.

    Raises:
        StoreError: a slice that does not run upwards from 0.
        SelectionError: a text that means no seeds.
        TypeError: no whole number.
    """
    if seed is None:
        return lambda _: True
    if isinstance(seed, str):
        seed = selection.parse_seeds(seed)
    if isinstance(seed, slice):
        start, stop, stride = seed.start or 0, seed.stop, seed.step or 1
        if start < 0 or stride < 0 or (stop is not None and stop < 0):
            raise StoreError(f"seeds {seed}: a slice of seeds runs upwards from 0 or more")
        return lambda n: n >= start and (stop is None or n < stop) and (n - start) % stride == 0
    if isinstance(seed, Iterable):
        return frozenset(map(index, seed)).__contains__
    return frozenset((index(seed),)).__contains__
