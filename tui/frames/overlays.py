"""What a layer computes at each token, as pictures beside those of a run: energy, principal components.

Everything that reads may block.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stores import Run, open_store
from stores.errors import SelectionError
from stores.selection import compact
from tui.heatmaps.heatmap import number_text
from tui.heatmaps.scale import SEQUENTIAL, UNKNOWN, Scale
from tui.pictures import Frame

if TYPE_CHECKING:
    from probes.maps.principal import Principal
    from stores.sites import SiteInfo
    from tui.browser.rows import Row

GRID = ("frame", "row", "col")
FIT_TOKENS = 1024
"""Tokens that the components of a layer are fitted on, of all its steps together."""
FIT_SEED = 0
_UNKNOWN_COLOUR = (128, 128, 128)


class Kind(Enum):
    """What is shown beside the pictures of a run; its value is how it is called."""

    ENERGY = "energy"
    COMPONENTS = "PCA"


@dataclass(frozen=True)
class Recorded:
    """A site that can be shown: its key, and the layers and steps that it is recorded at."""

    site: str
    layers: tuple[int, ...]
    steps: tuple[int, ...]

    def has(self, step: int | None, layer: int | None) -> bool:
        """Whether it is recorded there."""
        return step in self.steps and layer in self.layers


@dataclass(frozen=True)
class Wanted:
    """What is to be read of a run."""

    row: Row
    kind: Kind
    site: str
    step: int
    layer: int


@dataclass(frozen=True, eq=False)
class Overlay:
    """A map of the tokens of a run at a step and layer.

    Attributes:
        wanted: what was asked for.
        pictures: (frame, row, col, rgb), uint8, a pixel a token.
        words: what the colours mean, in a few words.
    """

    wanted: Wanted
    pictures: NDArray[np.uint8]
    words: str

    def picture(self, frame: int) -> Frame:
        """That of a latent frame."""
        return self.pictures[frame]


def recorded(run: Run) -> dict[Kind, Recorded]:
    """What can be shown of a run: the residual stream if that is recorded, else what is."""
    found: dict[Kind, Recorded] = {}
    for kind, holds in ((Kind.ENERGY, _has_tokens), (Kind.COMPONENTS, _has_channels)):
        fit = [key for key, info in run.sites.items() if holds(info)]
        # Of energies that are stored as such, less has to be read.
        key = min(
            fit, key=lambda key: (run.sites[key].site != "resid", len(run.sites[key].axes)), default=None
        )
        if key is not None:
            found[kind] = Recorded(key, run.sites[key].layers, run.sites[key].steps)
    return found


class OverlayReader:
    """Reads maps of tokens. The components of a layer, once found, are those of all its steps."""

    def __init__(self) -> None:
        self._bases: dict[tuple[str, str, int], Basis] = {}

    def read(self, wanted: Wanted) -> Overlay:
        """The map that is wanted.

        Raises:
            UserError: it cannot be read, or has no components.
        """
        row = wanted.row
        with open_store(row.store).run(row.sample, row.seed, row.variant) as run:
            values = run.read(wanted.site, wanted.step, wanted.layer)
            if wanted.kind is Kind.ENERGY:
                return _energy(wanted, values)
            key = row.key, wanted.site, wanted.layer
            if key not in self._bases:
                self._bases[key] = _fit(run, wanted.site, wanted.layer)
            return self._bases[key].shown(wanted, values)


@dataclass(frozen=True, eq=False)
class Basis:
    """Components of a layer, and the scores that are darkest and brightest: the same at all steps.

    Attributes:
        components: the first three.
        limits: (2, component), see `probes.maps.principal.colour_limits`.
        steps: that they were found from.
    """

    components: Principal
    limits: NDArray[np.float64]
    steps: tuple[int, ...]

    def shown(self, wanted: Wanted, values: NDArray[np.float32]) -> Overlay:
        """The tokens (frame, row, col, channel) of a step in the colours of their scores."""
        from probes.maps.principal import colours

        tokens = values.reshape(-1, values.shape[-1])
        found = colours(scores(self.components, tokens), self.limits)
        shades = np.where(np.isfinite(found), np.rint(found * 255), _UNKNOWN_COLOUR[0]).astype(np.uint8)
        shares = ", ".join(f"{100 * share:.0f}" for share in self.components.explained)
        words = (
            f"red, green, blue: {shares} % of the variance of {self.components.tokens:,} tokens "
            f"of steps {compact(self.steps)}, drawn with seed {FIT_SEED}"
        )
        return Overlay(wanted, shades.reshape(*values.shape[:-1], 3), words)


def _fit(run: Run, site: str, layer: int) -> Basis:
    """The first components of some tokens of each step of a layer."""
    from probes.maps.principal import colour_limits

    info = run.sites[site]
    generator = np.random.default_rng(FIT_SEED)
    count = int(np.prod(info.grid))
    each = min(count, -(-FIT_TOKENS // len(info.steps)))
    drawn = [
        run.read(site, step, layer, tokens=np.sort(generator.choice(count, each, replace=False)))
        for step in info.steps
    ]
    tokens = np.concatenate(drawn).astype(np.float32)
    tokens = tokens[np.isfinite(tokens).all(axis=1)]
    components = first_components(tokens)
    return Basis(components, colour_limits(scores(components, tokens)), info.steps)


def first_components(tokens: NDArray[np.float32]) -> Principal:
    """The first three principal components of tokens (token, channel), signed as `cosinterp maps` does.

    Where there are fewer tokens than channels, they are found without the covariance of these.

    Raises:
        SelectionError: too few tokens or channels, or tokens that do not differ.
    """
    from scipy.linalg import eigh

    from probes.maps.principal import COMPONENTS, Principal

    if min(tokens.shape) <= COMPONENTS:
        raise SelectionError(
            f"a PCA to red, green and blue needs more than {COMPONENTS} tokens and channels, "
            f"not {tokens.shape[0]} and {tokens.shape[1]}"
        )
    centre = tokens.mean(axis=0, dtype=np.float64)
    off = tokens - centre.astype(np.float32)
    total = float(np.square(off, dtype=np.float64).sum()) / (len(tokens) - 1)
    if not total > 0:
        raise SelectionError("all tokens of this layer are alike, so they have no PCA")
    # Of the two matrices that have the same answer, the smaller: of channels, or of tokens.
    by_channels = tokens.shape[1] <= tokens.shape[0]
    products = (off.T @ off if by_channels else off @ off.T).astype(np.float64)
    last = len(products) - 1
    squares, vectors = eigh(products, subset_by_index=(last - COMPONENTS + 1, last))
    squares, vectors = np.maximum(squares[::-1], 0.0), vectors[:, ::-1]
    axes = (vectors if by_channels else off.T.astype(np.float64) @ vectors).T
    axes = axes / np.maximum(np.linalg.norm(axes, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    largest = axes[np.arange(COMPONENTS), np.abs(axes).argmax(axis=1)]
    axes *= np.where(largest < 0, -1.0, 1.0)[:, None]
    return Principal(centre, axes, squares / (len(tokens) - 1), total, len(tokens))


def scores(components: Principal, tokens: NDArray[np.float32]) -> NDArray[np.float64]:
    """As `Principal.scores`, without a copy of the tokens in float64, which is for colours too dear."""
    axes = components.axes.T
    return tokens @ axes.astype(np.float32) - components.centre @ axes


def _energy(wanted: Wanted, values: NDArray[np.float32]) -> Overlay:
    if values.ndim > len(GRID):
        values = np.sqrt(np.einsum("...c,...c->...", values, values))
    energies = values.astype(np.float64)
    # One scale for all frames of the step, so that they compare.
    scale = Scale.of(energies)
    palette = np.array([*SEQUENTIAL, _UNKNOWN_COLOUR], np.uint8)
    if scale is None:
        return Overlay(wanted, palette[np.full(values.shape, len(SEQUENTIAL))], "not known")
    levels = scale.levels(energies)
    pictures = palette[np.where(levels == UNKNOWN, len(SEQUENTIAL), levels)]
    return Overlay(wanted, pictures, f"{number_text(scale.low)} to {number_text(scale.high)}")


def _has_tokens(info: SiteInfo) -> bool:
    return info.axes[:3] == GRID and "component" not in info.axes


def _has_channels(info: SiteInfo) -> bool:
    return info.axes == (*GRID, "channel")
