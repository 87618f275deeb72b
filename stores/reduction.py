"""Reductions: what is kept of a token grid, as a text such as ``full``, ``norm`` or ``frames+project:64``.

A reduction is a chain of parts, applied from left to right: at most one that reduces tokens and at most one
that reduces channels.

    full         everything: (frame, row, col, channel)
    frames       the mean over space, for each latent frame: (frame, channel)
    mean         the mean over all tokens: (channel)
    tokens:K     K random tokens, the same ones at every step, layer and run: (token, channel)
    norm         the L2 norm over channels: (frame, row, col)
    project:K    a seeded Gaussian projection of the channels to K components: (frame, row, col, component)

So ``tokens:32+norm`` is (token), ``frames+project:64`` is (frame, component), and ``norm+frames``, the mean
norm of each frame, is not ``frames+norm``, the norm of each frame's mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from stores.errors import SelectionError

FULL = "full"
_TOKEN_PARTS = ("frames", "mean", "tokens")
_CHANNEL_PARTS = ("norm", "project")
_COUNTED = ("tokens", "project")
_PART = re.compile(r"([a-z]+)(?::([0-9]{1,9}))?")
_KNOWN = "full, frames, mean, norm, tokens:K, project:K, or two of them such as frames+project:64"


@dataclass(frozen=True)
class Part:
    """One part of a reduction; ``count`` is the K of ``tokens:K`` and ``project:K``, else 0."""

    name: str
    count: int = 0

    def __str__(self) -> str:
        return f"{self.name}:{self.count}" if self.count else self.name


@dataclass(frozen=True)
class Reduction:
    """A parsed reduction; ``parts`` is empty for ``full``."""

    parts: tuple[Part, ...] = ()

    def __str__(self) -> str:
        return "+".join(map(str, self.parts)) or FULL

    @property
    def tokens(self) -> int:
        """The K of ``tokens:K``; 0 if that is no part."""
        return self._count("tokens")

    @property
    def components(self) -> int:
        """The K of ``project:K``; 0 if that is no part."""
        return self._count("project")

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes that are left, of "frame", "row", "col", "token", "channel" and "component"."""
        names = {part.name for part in self.parts}
        tokens = ("frame", "row", "col")
        if "frames" in names:
            tokens = ("frame",)
        elif "mean" in names:
            tokens = ()
        elif "tokens" in names:
            tokens = ("token",)
        if "norm" in names:
            return tokens
        return (*tokens, "component" if "project" in names else "channel")

    def shape(self, grid: tuple[int, int, int], channels: int) -> tuple[int, ...]:
        """What is left of a token ``grid`` (frame, row, col) of so many ``channels``: a length for each axis.

        Raises:
            SelectionError: the grid has fewer tokens, or a token fewer channels, than K asks for.
        """
        count = grid[0] * grid[1] * grid[2]
        if self.tokens > count:
            raise SelectionError(f"reduction {self}: the token grid {grid} has {count} tokens only")
        if self.components > channels:
            raise SelectionError(f"reduction {self}: a token has {channels} channels only")
        lengths = dict(zip(("frame", "row", "col"), grid, strict=True))
        lengths |= {"token": self.tokens, "channel": channels, "component": self.components}
        return tuple(lengths[axis] for axis in self.axes)

    def _count(self, name: str) -> int:
        return next((part.count for part in self.parts if part.name == name), 0)


def parse_reduction(text: str) -> Reduction:
    """The reduction that ``text`` means.

    >>> parse_reduction("frames+project:64").axes
    ('frame', 'component')

    Raises:
        SelectionError: it means none; says what can be used.
    """
    words = [word.strip() for word in text.strip().lower().split("+")]
    if words == [FULL]:
        return Reduction()
    parts = tuple(_part(word, text) for word in words)
    for kind, names in (("tokens", _TOKEN_PARTS), ("channels", _CHANNEL_PARTS)):
        if sum(part.name in names for part in parts) > 1:
            raise SelectionError(f'reduction "{text}" reduces the {kind} twice; use {_KNOWN}')
    reduction = Reduction(parts)
    if not reduction.axes:
        raise SelectionError(f'reduction "{text}" leaves a single number; use norm or mean')
    return reduction


def check_reductions(texts: Iterable[str]) -> tuple[str, ...]:
    """The canonical texts of several reductions of one site, in order.

    Raises:
        SelectionError: one means none, or comes twice.
    """
    found: list[str] = []
    for text in texts:
        name = str(parse_reduction(text))
        if name in found:
            raise SelectionError(f"reduction {name} is asked for twice")
        found.append(name)
    return tuple(found)


def _part(word: str, text: str) -> Part:
    match = _PART.fullmatch(word)
    if match is None or match[1] not in (*_TOKEN_PARTS, *_CHANNEL_PARTS):
        raise SelectionError(f'unknown reduction "{text}"; use {_KNOWN}')
    name, count = match[1], int(match[2] or 0)
    if (name in _COUNTED) != (match[2] is not None):
        how = f"{name}:K, such as {name}:64" if name in _COUNTED else f"{name} without a number"
        raise SelectionError(f'reduction "{text}": write {how}')
    if name in _COUNTED and count < 1:
        raise SelectionError(f'reduction "{text}": {name} needs a number from 1 on')
    return Part(name, count)
