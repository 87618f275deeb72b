"""What every reader of a dataset gives: samples that are found but not read yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cosinterp.samples.sample import Sample


@dataclass(frozen=True)
class Found:
    """A sample of a dataset: its name, where it stands, and how it is read.

    ``read`` raises `SampleError` for a sample that is broken.
    """

    name: str
    where: str
    read: Callable[[], Sample]
