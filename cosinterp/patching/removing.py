"""What is put in place of what an ablation takes away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cosinterp.errors import InterventionError
from cosinterp.interventions.group_means import Places, require
from cosinterp.interventions.intervention import Bypass, Mean, Replace, RunRef, Zero
from cosinterp.patching.grid import ALL, Cell
from cosinterp.patching.pairs import Pair, check_pair
from cosinterp.patching.single_runs import run_of
from stores.chosen_runs import SampleNames, chosen_runs
from stores.filters import Seeds

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from stores import RunEntry, Store

Kind = Literal["zero", "mean", "resample", "skip"]
Per = Literal["token", "channel"]
Removal = Zero | Mean | Replace | Bypass

_FULL = "full"


@dataclass(frozen=True)
class Removing:
    """What is put in place of what is taken away; see `ablate`."""

    kind: Kind
    over: Store
    over_samples: SampleNames
    per: Per
    draw: int

    def pair(self, run: Pair, store: Store) -> Pair:
        """A run with the one whose activations it is given, if that is another."""
        if self.kind != "resample":
            return run
        drawn = self._drawn(run.recipient, store)
        return Pair(f"{drawn.sample} > {run.recipient.sample}", drawn, run.recipient)

    def what(self, pair: Pair) -> Removal:
        """What is done to the run of a pair."""
        if self.kind == "zero":
            return Zero()
        if self.kind == "skip":
            return Bypass()
        if self.kind == "resample":
            return Replace(donor=pair.donor)
        return self._mean()

    def asked(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """What of it is asked for, JSON-able: with the runs, since a store may grow."""
        if self.kind == "resample":
            return {"draw": self.draw, "donors": [pair.donor.model_dump() for pair in pairs]}
        if self.kind == "mean":
            of = [f"{entry.sample} {entry.seed}" for entry in self.runs()]
            return {"mean": self._mean().model_dump(), "runs_of_mean": of}
        return {}

    def runs(self, seeds: Seeds = None) -> list[RunEntry]:
        """The runs that a mean is taken over, or of which one is drawn."""
        return chosen_runs(self.over, self.over_samples, seeds)

    def check_means(self, model: Model, needs: Iterable[tuple[Mapping[str, Any], Sequence[Cell]]]) -> None:
        """Refuse means that cannot be taken, or do not fit where they are put.

        ``needs``: of each run, its sampling settings and the cells that are ablated in it.

        Raises:
            UserError: a run of the mean lacks something, or lies on another token grid.
        """
        anatomy = model.anatomy
        places: set[Places] = set()
        grids: set[tuple[int, int, int]] = set()
        for settings, cells in needs:
            grids.add(anatomy.geometry.grid(model.size(dict(settings))))
            for cell in cells:
                branches = anatomy.guidance.computed(settings) if cell.branch == ALL else (cell.branch,)
                places |= {
                    Places(cell.site, cell.steps, cell.layers, branch, ALL, _FULL) for branch in branches
                }
        for entry in self.runs():
            with self.over.run(entry.sample, entry.seed) as run:
                for place in places:
                    info = require(run, place, self.over)
                    other = next((grid for grid in grids if grid != info.grid), None)
                    if self.per == "token" and anatomy.on_token_grid(place.site) and other is not None:
                        raise InterventionError(
                            f"{self.over.path}: {entry.sample} seed {entry.seed} has the token grid "
                            f"{_text(info.grid)}, and a run that is ablated {_text(other)}; take means per "
                            "channel, or over runs of one size"
                        )

    def _mean(self) -> Mean:
        names = None if self.over_samples is None else tuple(sorted({entry.sample for entry in self.runs()}))
        return Mean(store=str(self.over.path), samples=names, per=self.per)

    def _drawn(self, run: RunRef, store: Store) -> RunRef:
        """Another sample's run of the same seed, drawn among those that fit."""
        receiving = run_of(store, run)
        others = [entry for entry in self.runs([run.seed]) if entry.sample != run.sample]
        # By its name, so that a run draws the same whichever others are asked for with it.
        key = blake2b(f"{self.draw} {run.sample} {run.seed}".encode(), digest_size=8).digest()
        refused: InterventionError | None = None
        for index in np.random.default_rng(int.from_bytes(key)).permutation(len(others)):
            entry = others[index]
            try:
                check_pair(self.over.shared_run(entry.sample, entry.seed), receiving)
            except InterventionError as error:
                refused = error
                continue
            return RunRef(store=str(self.over.path), sample=entry.sample, seed=entry.seed)
        why = "it has no other sample of that seed" if refused is None else f"none fits: {refused}"
        raise InterventionError(
            f"{self.over.path}: there is no run to resample {run.sample} seed {run.seed} from; {why}"
        )


def _text(grid: tuple[int, int, int]) -> str:
    return "x".join(map(str, grid))
