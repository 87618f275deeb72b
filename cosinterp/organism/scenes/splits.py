"""Which scenes are held out: a hash of the scene decides, so no split can turn up in the other."""

from __future__ import annotations

import hashlib
from typing import get_args

from cosinterp.errors import UserError
from cosinterp.organism.mazes import Split

# Share of all scenes, in 1/256, that belong to the test split.
TEST_SHARE = 32


def split_of(*parts: object) -> Split:
    """The split of what these parts (numbers and texts) describe."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=1).digest()
    return "test" if digest[0] < TEST_SHARE else "train"


def check_number(number: int, split: str) -> None:
    """Raises UserError: a negative number, or an unknown split."""
    if number < 0:
        raise UserError(f"a scene's number is 0 or more, not {number}")
    if split not in get_args(Split):
        raise UserError(f"unknown split {split!r}: use 'train' or 'test'")
