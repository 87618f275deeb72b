"""The runs of a sweep, opened to be replayed side by side, each a donor or a recipient or both."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch.utils._pytree import tree_leaves

from cosinterp.errors import InterventionError
from cosinterp.interventions.edits import Place, Sources
from cosinterp.interventions.intervention import Mean, RunRef
from cosinterp.interventions.stored import StoreSources
from cosinterp.replaying.player import Player, Trajectory
from cosinterp.replaying.preamble import Preamble
from cosinterp.replaying.skips import Anchor
from cosinterp.replaying.stored import PlayedTrajectory, StoredTrajectory, player_of
from cosinterp.run_attrs import device_name

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from cosinterp.samples import Sample
    from stores import Run

_SHARE_OF_GPU = 0.3
_HOST_BYTES = 8 * 2**30


@dataclass
class Needs:
    """What the anchor of one step has to keep.

    Attributes:
        resume: layers after which changed runs go on.
        wanted: layers by site, of activations.
        branches: in which of them; None: all.
    """

    resume: set[int] = field(default_factory=set)
    wanted: dict[str, set[int]] = field(default_factory=dict)
    branches: set[str] | None = field(default_factory=set)

    def add_branches(self, branches: Iterable[str] | None) -> None:
        """Want these branches too; None: all."""
        self.branches = None if branches is None or self.branches is None else self.branches | set(branches)


class OpenedRun:
    """A run of a store that is replayed, ``player.rows`` times side by side.

    What it does unchanged is taken from the store, as long as this machine does the very same; else it is
    played here once, from noise, so that what is compared comes from one machine and one shape of batch.

    Attributes:
        ref, run: which.
        player: plays it.
        trajectory: what it does unchanged.
        is_stored: whether that is what the store has.
        blocks: block evaluations made to know what it does unchanged.
    """

    def __init__(self, ref: RunRef, run: Run, player: Player) -> None:
        self.ref = ref
        self.run = run
        self.player = player
        self.blocks = 0
        # A row of a batch agrees with a single run to rounding only.
        self.is_stored = (
            player.rows == 1
            and len(run.attrs["batch_seeds"]) == 1
            and run.attrs["device"] == device_name(player.model.device)
        )
        self.trajectory: Trajectory = StoredTrajectory(run) if self.is_stored else self._play()

    def anchor(self, step: int, needs: Needs) -> Anchor:
        """One step unchanged; see `Player.anchor`."""
        anchor = self._anchor(step, needs)
        if self.is_stored and not torch.equal(_known(anchor), self.trajectory.prediction(step)):
            self.is_stored, self.trajectory = False, self._play()
            anchor = self._anchor(step, needs)
        return anchor

    def _anchor(self, step: int, needs: Needs) -> Anchor:
        wanted = {site: sorted(layers) for site, layers in needs.wanted.items()}
        anchor, blocks = self.player.anchor(
            step,
            known=self.trajectory,
            resume=sorted(needs.resume),
            wanted=wanted,
            branches=None if needs.branches is None else sorted(needs.branches),
        )
        self.blocks += blocks
        return anchor

    def _play(self) -> PlayedTrajectory:
        played = PlayedTrajectory(self.player)
        self.blocks += played.blocks
        return played


def _known(anchor: Anchor) -> torch.Tensor:
    if anchor.prediction is None:
        raise ValueError("an anchor that was played has a prediction")
    return anchor.prediction


class Replays(Sources):
    """The runs of a sweep and the anchors of their steps; gives interventions what they put in.

    Anchors are kept as long as ``memory`` bytes hold them, the last ones used.

    ``needs`` says what of each step of each run is wanted, for the whole sweep.

    Args:
        rows: how many patches go side by side.
        samples: of the runs, where a store does not have all of them.
        from_store: read donors' activations from their stores even where they have to be converted, and not
            from a replay.
        memory: bytes; default: 30 % of a GPU's memory, 8 GiB without one.
    """

    def __init__(
        self,
        model: Model,
        *,
        rows: int = 1,
        samples: Iterable[Sample] = (),
        from_store: bool = False,
        memory: int | None = None,
    ) -> None:
        self.model = model
        self.rows = rows
        self.preamble = Preamble(model)
        self.stores = StoreSources(model.device)
        self.needs: dict[tuple[RunRef, int], Needs] = {}
        self._samples = list(samples)
        self._from_store = from_store
        self._memory = _default_memory(model) if memory is None else memory
        self._opened: dict[RunRef, OpenedRun] = {}
        self._anchors: OrderedDict[tuple[RunRef, int], Anchor] = OrderedDict()
        self._closed_blocks = 0

    @property
    def blocks(self) -> int:
        """Block evaluations made to know what runs do unchanged."""
        return self._closed_blocks + sum(run.blocks for run in self._opened.values())

    def run(self, ref: RunRef) -> OpenedRun:
        """A run, opened. Raises UserError if it is not there or cannot be replayed."""
        if ref not in self._opened:
            store = self.stores.store(ref.store)
            run = store.run(ref.sample, ref.seed, ref.variant)
            try:
                player = player_of(
                    self.model, store, run, rows=self.rows, samples=self._samples, preamble=self.preamble
                )
                self._opened[ref] = OpenedRun(ref, run, player)
            except BaseException:
                run.close()
                raise
        return self._opened[ref]

    def prepare(self, steps: Iterable[tuple[RunRef, int]]) -> dict[tuple[RunRef, int], Anchor]:
        """Steps of runs, unchanged, each with all that the sweep needs of it.

        Donors are given from these until others are prepared: a pipeline is not called within another's call.
        """
        keys = list(dict.fromkeys(steps))
        for key in keys:
            if key not in self._anchors:
                ref, step = key
                self._anchors[key] = self.run(ref).anchor(step, self.needs.get(key, Needs()))
            self._anchors.move_to_end(key)
            self._evict(keys)
        return {key: self._anchors[key] for key in keys}

    def drop(self, steps: Iterable[tuple[RunRef, int]]) -> None:
        """Forget the anchors of steps that are not needed any more."""
        for key in steps:
            self._anchors.pop(key, None)

    def forget_all_but(self, refs: Iterable[RunRef]) -> None:
        """Close the runs that are not needed any more."""
        kept = set(refs)
        for ref in [ref for ref in self._opened if ref not in kept]:
            self._closed_blocks += self._opened[ref].blocks
            self._opened.pop(ref).run.close()
        for key in [key for key in self._anchors if key[0] not in kept]:
            del self._anchors[key]

    def donor(self, run: RunRef, place: Place) -> torch.Tensor:
        """See `Sources`."""
        if self._from_store or (run, place.step) not in self.needs:
            return self.stores.donor(run, place)
        key = place.site, place.layer, place.branch
        anchor = self._anchors.get((run, place.step))
        tensors = {} if anchor is None else anchor.tensors
        if key not in tensors:
            raise InterventionError(
                f"the donor {run} has no {place.site} at layer {place.layer}, branch {place.branch}"
            )
        return tensors[key]

    def mean(self, over: Mean, place: Place) -> torch.Tensor:
        """See `Sources`."""
        return self.stores.mean(over, place)

    def vector(self, file: str, place: Place) -> torch.Tensor:
        """See `Sources`."""
        return self.stores.vector(file, place)

    def close(self) -> None:
        """Close all runs."""
        self.forget_all_but(())

    def _evict(self, needed: list[tuple[RunRef, int]]) -> None:
        sizes = {key: _bytes(anchor) for key, anchor in self._anchors.items()}
        total = sum(sizes.values())
        for key in [key for key in self._anchors if key not in needed]:
            if total <= self._memory:
                return
            total -= sizes[key]
            del self._anchors[key]


def _bytes(anchor: Anchor) -> int:
    kept = (anchor.outputs, anchor.blocks, anchor.tensors)
    return sum(leaf.nbytes for leaf in tree_leaves(kept) if isinstance(leaf, torch.Tensor))


def _default_memory(model: Model) -> int:
    if model.device.type == "cuda":
        return int(_SHARE_OF_GPU * torch.cuda.get_device_properties(model.device).total_memory)
    return _HOST_BYTES
