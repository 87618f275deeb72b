"""The rows of features: which tokens of the runs they are, checked, and read a bounded number at a time."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from probes.similarity.designs import Block, Design, Feature
from probes.similarity.moments import Float64
from stores import SelectionError, SiteInfo, StoreError
from stores.sites import meant_branch
from stores.token_selection import GRID_AXES

Rows = Literal["tokens", "runs"]
ROWS: tuple[str, ...] = get_args(Rows)
Positions = NDArray[np.intp]
TOKENS = 256
"""Tokens of each run that are compared, unless more are asked for."""


@dataclass(frozen=True)
class Place:
    """What is read of every run: a site under a reduction, and a branch; None as in `Run.read`."""

    site: str = "resid"
    reduction: str | None = None
    branch: str | None = None


class RowReader:
    """Reads the rows of a design's features.

    A block has as many rows as tokens are chosen of a run, or a single one: the mean of all its tokens.

    Args:
        design: what is compared.
        place: what is read of each run.
        rows: "tokens", or "runs" for a row a run.
        tokens: how many tokens of each run, drawn once for all runs; None is all of them.
        seed: of that draw.

    Attributes:
        count: rows of a block.
        available: tokens that a run has (frames where only these were kept).
        what: the axis that rows are of: "token", "frame" or "run".

    Raises:
        SelectionError: runs whose tokens are not the same cannot be compared; or the site is not stored with
            its channels.
        StoreError: a run lacks the site, the branch or the reduction.
    """

    def __init__(self, design: Design, place: Place, rows: Rows, tokens: int | None, seed: int) -> None:
        self._design = design
        self._place = place
        self._rows = rows
        first, self._keys, self._branches, self._channels = _checked(design, place)
        shape = first.shape[: len(first.axes) - 1]
        self._by_token = set(GRID_AXES) <= set(first.axes)
        self.available = prod(shape)
        self.key, self.branch, self.grid = first.key, self._branches[0], first.grid
        chosen = np.arange(self.available, dtype=np.intp)
        if rows == "tokens" and tokens is not None and tokens < self.available:
            if tokens < 1:
                raise SelectionError(f"tokens: {tokens} is none; give a number from 1, or all")
            drawn = np.random.default_rng([seed, self.available]).choice(
                self.available, tokens, replace=False
            )
            chosen = np.sort(drawn).astype(np.intp)
        self._chosen = chosen
        self.count = 1 if rows == "runs" else len(chosen)
        # What is left of a token grid by its mean is one row already.
        self.what = (
            "run"
            if rows == "runs" or not shape
            else "frame"
            if first.axes[0] == "frame" and not self._by_token
            else "token"
        )

    def channels(self, feature: Feature) -> int:
        """Of a feature."""
        return self._channels[feature.source]

    def read(self, feature: Feature, block: Block, positions: slice | Positions, at_once: int) -> Float64:
        """Rows of a feature, (row, channel) in float64.

        Args:
            feature, block: which.
            positions: which of the `count` rows of the block, in this order.
            at_once: bytes of tokens that may be read at once for a row that is a mean.

        Raises:
            StoreError: something there is no finite number, or the file is damaged.
        """
        if self._rows == "runs":
            return self._mean(feature, block, at_once)[None][positions]
        return self._tokens(feature, block, self._chosen[positions])

    def _mean(self, feature: Feature, block: Block, at_once: int) -> Float64:
        step = max(1, at_once // (12 * self.channels(feature)))
        parts = [self._chosen[start : start + step] for start in range(0, self.available, step)]
        total = np.zeros(self.channels(feature))
        for part in parts:
            total += self._tokens(feature, block, part).sum(axis=0)
        return total / self.available

    def _tokens(self, feature: Feature, block: Block, tokens: Positions) -> Float64:
        source = self._design.sources[feature.source]
        run = source.store.shared_run(*source.run_of(block))
        key, branch = self._keys[feature.source], self._branches[feature.source]
        whole = len(tokens) == self.available and bool((np.diff(tokens) == 1).all())
        if self._by_token and not whole:
            found = run.read(key, feature.step, feature.layer, branch, tokens=tokens)
        else:
            found = run.read(key, feature.step, feature.layer, branch)
            found = found.reshape(-1, found.shape[-1])
            if not whole:
                found = found[tokens]
        rows = found.astype(np.float64)
        if not np.isfinite(rows).all():
            raise StoreError(
                f"{run.path}: site {key} holds NaN or infinity at step {feature.step}, layer "
                f"{feature.layer}; leave this run or layer out"
            )
        return rows


def _checked(design: Design, place: Place) -> tuple[SiteInfo, list[str], list[str], list[int]]:
    """What the first run holds; for each source its key, branch and channels."""
    infos: list[SiteInfo] = []
    branches: list[str] = []
    first: tuple[SiteInfo, str, NDArray[np.int64] | None] | None = None
    for source in design.sources:
        of_source: SiteInfo | None = None
        for block in design.blocks:
            run = source.store.shared_run(*source.run_of(block))
            info = run.site(place.site, place.reduction)
            kept = run.token_places(info.key) if "token" in info.axes else None
            branch = meant_branch(info.branches, place.branch, run.path)
            if of_source is None:
                if info.item_axes == 0:
                    raise SelectionError(
                        f"site {info.key} was kept without its channels, so it has no geometry to compare; "
                        "use another reduction, by --reduction"
                    )
                of_source = info
                infos.append(info)
                branches.append(branch)
            name = f"{run.sample} seed {run.seed} of {source.store.path.name}"
            first = first or (info, name, kept)
            if info.axes[:-1] != first[0].axes[:-1] or info.shape[:-1] != first[0].shape[:-1]:
                raise SelectionError(
                    f"site {place.site}: {first[1]} has the {_tokens_text(first[0])}, {name} the "
                    f"{_tokens_text(info)}; rows are compared one by one, so choose runs of one size"
                )
            if kept is not None and first[2] is not None and not np.array_equal(kept, first[2]):
                raise SelectionError(
                    f"site {info.key}: {first[1]} and {name} keep different tokens; "
                    "choose runs that keep the same"
                )
            if info.shape[-1] != of_source.shape[-1]:
                raise SelectionError(
                    f"site {info.key}: {name} has {info.shape[-1]} channels, other runs "
                    f"{of_source.shape[-1]}; choose runs of one model"
                )
    assert first is not None
    return first[0], [info.key for info in infos], branches, [info.shape[-1] for info in infos]


def _tokens_text(info: SiteInfo) -> str:
    kept = "x".join(map(str, info.shape[:-1]))
    return f"token grid {kept}" if set(GRID_AXES) <= set(info.axes) else f"{info.reduction} of {kept}"
