"""One step in which rows go through the denoiser in chunks and meet where hidden states are merged.

Each chunk runs to the first layer at which something is merged, keeps what the block returned, and stops.
When all have come there, what they have is merged, and each goes on from its block to the next such layer:
layer after layer, branch after branch, so that no block runs twice. (Where the output of a module within a
block is merged, that block is entered again.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from cosinterp.ensembles.merging import merge
from cosinterp.replaying.player import Paused
from cosinterp.replaying.skips import Branches, Skips, branches_of, copied, needed_blocks, parked

if TYPE_CHECKING:
    from cosinterp.ensembles.latents import Weights
    from cosinterp.ensembles.rows import Rows
    from cosinterp.ensembles.spec import Merge
    from cosinterp.models.anatomy import Anatomy
    from cosinterp.steps import Call

Place = tuple[str, str, int]
"""(branch, site, layer)."""

Tell = Callable[["Rows", str, int, torch.Tensor, "Call"], None]


@dataclass
class Halts(Skips):
    """The shortcuts of some rows that halt within step ``start``, and go on from there in their next call.

    Attributes:
        kept_layers: whose blocks' outputs are kept.
        under_way: the branches of the call under way.
    """

    kept_layers: frozenset[int] = frozenset()
    under_way: tuple[Call, ...] = ()
    _outputs: dict[Branches, Any] = field(default_factory=dict)
    _kept: dict[int, Any] = field(default_factory=dict)
    _resumed: int = 0

    def output_of(self, calls: tuple[Call, ...]) -> Any | None:
        """See `Shortcuts`."""
        self.under_way = calls
        if calls[0].step != self.start:
            return super().output_of(calls)
        known = self._outputs.get(branches_of(calls))
        return None if known is None else copied(known)

    def resumed(self, calls: tuple[Call, ...]) -> Mapping[int, Any]:
        """See `Shortcuts`."""
        if calls[0].step != self.start:
            return {}
        self._resumed = max(self._kept, default=0)
        return {layer: self._placed(output) for layer, output in self._kept.items()}

    def watched_blocks(self, calls: tuple[Call, ...]) -> frozenset[int]:
        """See `Shortcuts`."""
        return self.kept_layers if calls[0].step == self.start else frozenset()

    def block_ran(self, calls: tuple[Call, ...], layer: int, output: Any) -> None:
        """See `Shortcuts`."""
        self._kept[layer] = parked(output, 1 + len(self.anatomy.stacks))
        needed = needed_blocks(layer, self.anatomy)
        self._kept = {own: kept for own, kept in self._kept.items() if own in needed}

    def denoiser_ran(self, calls: tuple[Call, ...], output: Any) -> None:
        """See `Shortcuts`."""
        if calls[0].step != self.start:
            super().denoiser_ran(calls, output)
            return
        self._count(self.anatomy.num_layers)
        self.forms.keep(len(calls), self.rows, output)
        self._outputs[branches_of(calls)] = copied(output)
        self._kept = {}

    def halt(self, layer: int) -> None:
        """The call under way ends at a layer."""
        self._count(layer)
        raise Paused

    def _count(self, layer: int) -> None:
        self.blocks += (layer - self._resumed) * self.rows * len(self.under_way)


class Meeting:
    """What meets at one step.

    Args:
        step: which.
        asked: what of hidden states is merged there, with the weights of all rows.
        anatomy: of the model.
        tell: told once of each activation, as it goes on.
    """

    def __init__(
        self, step: int, asked: Sequence[tuple[Merge, Weights]], anatomy: Anatomy, tell: Tell
    ) -> None:
        self.step = step
        self.layers: dict[str, set[int]] = {}
        for one, _ in asked:
            self.layers.setdefault(one.site or "", set()).update(one.layers or ())
        self._asked = asked
        self._tell = tell
        self._told: set[tuple[Rows, Place]] = set()
        self._halts: dict[Rows, Halts] = {}
        self._merged: dict[Place, torch.Tensor] = {}
        self._arrived: dict[Place, dict[Rows, torch.Tensor]] = {}
        needed: set[int] = set()
        for site, layers in self.layers.items():
            for layer in layers:
                # A stream is changed after its block has run, other sites while it runs.
                last = layer if anatomy.is_stream(site) else layer - 1
                needed.update(needed_blocks(last, anatomy))
        self._kept_layers = frozenset(needed)

    def halts(self, rows: Rows, skips: Skips) -> Halts:
        """The shortcuts of some rows, which are ``skips`` before the step."""
        if rows not in self._halts:
            self._halts[rows] = Halts(**vars(skips), kept_layers=self._kept_layers)
        halts = self._halts[rows]
        halts.blocks = 0
        return halts

    def wanted(self, call: Call) -> bool:
        """Whether anything of a call is merged."""
        return call.step == self.step and any(
            one.branches is None or call.branch in one.branches for one, _ in self._asked
        )

    def on_tensor(
        self, rows: Rows, site: str, layer: int, tokens: torch.Tensor, call: Call
    ) -> torch.Tensor | None:
        """Some rows have come to a tensor; see `cosinterp.capture.watching.OnTensor`.

        Raises:
            Paused: the others have to come there first.
        """
        place = call.branch, site, layer
        if not self._meets(site, layer, call):
            self._tell_once(rows, place, tokens, call)
            return None
        if place in self._merged:
            merged = self._merged[place].to(tokens.device).expand_as(tokens)
            self._tell_once(rows, place, merged, call)
            return merged
        halts = self._halts[rows]
        meeting = [one.branch for one in halts.under_way if self._meets(site, layer, one)]
        self._arrived.setdefault(place, {})[rows] = parked(tokens, 2 * len(self._halts) * len(meeting))
        if call.branch == meeting[-1]:
            halts.halt(layer)
        return None

    def merge(self) -> None:
        """All rows have come to the same place: merge what they have there.

        They go on from the block before it, or from its own, so nothing that was merged earlier is needed any
        more.
        """
        branches = {branch for branch, _, _ in self._arrived}
        first = min((layer for _, _, layer in self._arrived), default=0) - 1
        self._merged = {
            place: merged
            for place, merged in self._merged.items()
            if place[0] in branches and place[2] >= first
        }
        for place, arrived in self._arrived.items():
            one, weights = self._asked_at(*place)
            device = next(iter(arrived.values())).device
            tokens = torch.cat([arrived[rows].to(device) for rows in sorted(arrived)])
            self._merged[place] = merge(tokens, one.how, weights, each=1)[None]
        self._arrived.clear()

    def _meets(self, site: str, layer: int, call: Call) -> bool:
        """Whether a tensor is merged."""
        return call.step == self.step and bool(self._all_asked_at(call.branch, site, layer))

    def _asked_at(self, branch: str, site: str, layer: int) -> tuple[Merge, Weights]:
        # The first, where several are asked for: rows that are the same are merged into what they are.
        return self._all_asked_at(branch, site, layer)[0]

    def _all_asked_at(self, branch: str, site: str, layer: int) -> list[tuple[Merge, Weights]]:
        return [
            (one, weights)
            for one, weights in self._asked
            if one.site == site
            and layer in (one.layers or ())
            and (one.branches is None or branch in one.branches)
        ]

    def _tell_once(self, rows: Rows, place: Place, tokens: torch.Tensor, call: Call) -> None:
        if (rows, place) not in self._told:
            self._told.add((rows, place))
            self._tell(rows, place[1], place[2], tokens, call)
