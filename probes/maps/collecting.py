"""Reading a sweep: everything that maps need, slab by slab.

Slabs are read twice: once to measure them and to gather what the principal components are fitted on, then to
find the scores, what massive channels leave of the energy, and the maps of single channels, all of which need
to know the whole sweep first. One slab is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from probes.maps import energy
from probes.maps.channels import ChannelTable, MassiveRule, slab_channels
from probes.maps.choosing import ChosenRun, Sweep
from probes.maps.energy import Float32, Float64
from probes.maps.principal import COMPONENTS, Moments, Principal, principal
from stores.errors import StoreError
from stores.reader import Run

Scope = Literal["sweep", "layer"]
Progress = Callable[[], None]


@dataclass(frozen=True)
class Wanted:
    """What is to be found in a sweep.

    Attributes:
        scope: of a PCA: one for the whole sweep, one for each layer, or None for no PCA.
        spare_massive: leave massive channels out of the PCA.
        rule: what is massive; None where there are no channels.
        channels: whose maps are kept; None for those of largest peak in the sweep, ``shown`` of them.
        shown: how many.
        fit_tokens: how many tokens of a slab the PCA is fitted on at most.
        seed: of the choice of these tokens.
    """

    scope: Scope | None
    spare_massive: bool
    rule: MassiveRule | None
    channels: tuple[int, ...] | None
    shown: int
    fit_tokens: int
    seed: int

    @property
    def passes(self) -> int:
        """How often each slab is read."""
        return 1 if self.scope is None and self.rule is None else 2


@dataclass(eq=False)
class Collected:
    """What was found; axes begin with (run, step, layer), and maps go on with (frame, row, col).

    Attributes:
        energy: float32 maps.
        change: (..., frame), see `energy.frame_change`; None where it cannot be known.
        table: the largest channels; None where there are no channels.
        without: energies without the channels that are massive at the layer; None if none is anywhere.
        scores: float32 maps (..., component).
        fits: the PCAs: one, or one a layer.
        fitted: how many tokens of each slab they were fitted on.
        channels, values: the channels that have maps, and these: float32 (..., channel).
    """

    energy: Float32
    change: Float64 | None = None
    table: ChannelTable | None = None
    without: Float32 | None = None
    scores: Float32 | None = None
    fits: list[Principal] = field(default_factory=list)
    fitted: int = 0
    channels: tuple[int, ...] = ()
    values: Float32 | None = None


def collect(sweep: Sweep, wanted: Wanted, progress: Progress | None = None) -> Collected:
    """Reads the sweep.

    Args:
        progress: called once for every slab that was read; there are ``sweep.slabs * wanted.passes``.

    Raises:
        StoreError: a run is damaged, or holds numbers that are not finite.
        SelectionError: there is no PCA of these tokens.
    """
    return _Collecting(sweep, wanted, progress or (lambda: None)).run()


class _Collecting:
    def __init__(self, sweep: Sweep, wanted: Wanted, progress: Progress) -> None:
        self._sweep, self._wanted, self._progress = sweep, wanted, progress
        self._kept = sweep.kept
        self._shape = (len(sweep.runs), len(sweep.steps), len(sweep.layers))
        self._found = Collected(np.empty((*self._shape, *self._kept.grid), np.float32))
        count = min(wanted.fit_tokens, self._kept.tokens)
        random = np.random.default_rng(wanted.seed)
        # The same tokens of every slab, so that no step or layer is fitted on luckier places.
        self._fit_on = np.sort(random.permutation(self._kept.tokens)[:count])

    def run(self) -> Collected:
        found, wanted, layers = self._found, self._wanted, range(self._shape[2])
        if self._kept.items != "energy" and self._kept.places is None and self._kept.grid[0] > 1:
            found.change = np.empty((*self._shape, self._kept.grid[0]))
        if wanted.rule is not None:
            found.table = ChannelTable.empty(self._shape, self._kept.channels)
        # A PCA for each layer goes layer by layer, so that one covariance is in memory at a time.
        groups = [[layer] for layer in layers] if wanted.scope == "layer" else [list(layers)]
        for group in groups:
            self._first_pass(group)
        if wanted.passes == 2:
            self._make_room()
            self._second_pass()
        return found

    def _first_pass(self, layers: Sequence[int]) -> None:
        found, wanted = self._found, self._wanted
        moments = Moments(self._kept.channels) if wanted.scope is not None else None
        for at, tokens in self._slabs(layers):
            energies = self._kept.scale * energy.token_energy(tokens)
            found.energy[at] = self._kept.on_grid(energies)
            if found.change is not None:
                by_frame = tokens.reshape(self._kept.grid[0], -1, self._kept.channels)
                found.change[at] = self._kept.scale * energy.frame_change(by_frame)
            if found.table is not None and wanted.rule is not None:
                found.table.keep(at, slab_channels(tokens, wanted.rule), self._kept)
            if moments is not None:
                moments.add(tokens if len(self._fit_on) == len(tokens) else tokens[self._fit_on])
        if moments is not None:
            found.fits.append(principal(moments, self._counted(layers)))
            found.fitted = len(self._fit_on)

    def _counted(self, layers: Sequence[int]) -> NDArray[np.bool_] | None:
        """The channels that count in a PCA of these layers; None is all."""
        if self._found.table is None or not self._wanted.spare_massive:
            return None
        return np.logical_not(self._found.table.massive[layers].any(axis=0))

    def _make_room(self) -> None:
        found, wanted = self._found, self._wanted
        if wanted.scope is not None:
            found.scores = np.empty((*found.energy.shape, COMPONENTS), np.float32)
        if found.table is not None:
            largest = np.argsort(-found.table.largest, kind="stable")[: wanted.shown]
            found.channels = tuple(largest.tolist()) if wanted.channels is None else wanted.channels
            found.values = np.empty((*found.energy.shape, len(found.channels)), np.float32)
            if found.table.massive.any():
                found.without = found.energy.copy()

    def _second_pass(self) -> None:
        found, wanted = self._found, self._wanted
        for at, tokens in self._slabs(range(self._shape[2])):
            if found.scores is not None:
                fit = found.fits[at[2] if wanted.scope == "layer" else 0]
                found.scores[at] = self._kept.on_grid(fit.scores(tokens))
            if found.values is not None:
                found.values[at] = self._kept.on_grid(tokens[:, list(found.channels)])
            if found.without is not None and found.table is not None:
                massive = found.table.massive[at[2]]
                if massive.any():
                    found.without[at] = self._kept.on_grid(energy.token_energy(tokens, ~massive))

    def _slabs(self, layers: Sequence[int]) -> Iterator[tuple[tuple[int, int, int], Float32]]:
        """(index of run, step and layer) and the tokens (token, channel) there."""
        sweep = self._sweep
        for run_at, chosen in enumerate(sweep.runs):
            with chosen.open() as run:
                for step_at, step in enumerate(sweep.steps):
                    for layer_at in layers:
                        layer = sweep.layers[layer_at]
                        slab = run.read_selected(sweep.key, step, layer, sweep.branch, None)
                        tokens = self._kept.rows(slab)
                        _require_finite(tokens, run, chosen, sweep, step, layer)
                        yield (run_at, step_at, layer_at), tokens
                        self._progress()


def _require_finite(
    tokens: Float32, run: Run, chosen: ChosenRun, sweep: Sweep, step: int, layer: int
) -> None:
    wrong = sum(int((~np.isfinite(tokens[part]).all(axis=1)).sum()) for part in energy.blocks(tokens))
    if wrong:
        raise StoreError(
            f"{run.path}: run {chosen.name} has NaN or infinity in {wrong} of {len(tokens)} tokens of "
            f"{sweep.key} at step {step}, layer {layer}; leave that run, step or layer out"
        )
