"""What a replay need not compute: the steps before it starts, and what one step of the unchanged run told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from cosinterp.capture.watching import Shortcuts
from cosinterp.steps import Call

if TYPE_CHECKING:
    from cosinterp.models.anatomy import Anatomy
    from cosinterp.models.model import Model

Branches = tuple[str, ...]
"""The branches of one denoiser call, in the order of its rows."""

_SHARE_OF_FREE = 0.5


@dataclass
class Anchor:
    """One step of an unchanged run, kept so that changed ones can go on from the middle of it.

    Attributes:
        step: which.
        outputs: what the denoiser returned, by the branches of the call.
        blocks: what blocks returned, by the branches of the call and by layer.
        tensors: activations (row, token, channel) by site, layer and branch.
        prediction, clean: of the step, (row, channel, frame, row, col).
    """

    step: int
    outputs: dict[Branches, Any] = field(default_factory=dict)
    blocks: dict[Branches, dict[int, Any]] = field(default_factory=dict)
    tensors: dict[tuple[str, int, str], torch.Tensor] = field(default_factory=dict)
    prediction: torch.Tensor | None = None
    clean: torch.Tensor | None = None

    def resumable(self, branches: Branches, layer: int, anatomy: Anatomy) -> dict[int, Any]:
        """The outputs by which blocks up to a layer are skipped; see `Shortcuts.resumed`."""
        if layer == 0:
            return {}
        return {kept: self.blocks[branches][kept] for kept in needed_blocks(layer, anatomy)}


def cached_expert(model: Model) -> str | None:
    """A denoiser that keeps activations from one step to the next, so that no step can be left out."""
    for name in model.anatomy.experts:
        # Of diffusers' denoisers that can have a cache; others have none.
        if getattr(getattr(model.pipeline, name), "is_cache_enabled", False):
            return name
    return None


def needed_blocks(layer: int, anatomy: Anatomy) -> tuple[int, ...]:
    """The layers whose blocks' outputs are needed to skip all blocks up to one: it, and the last of each
    stack before its own."""
    ends, end = [], 0
    for stack in anatomy.stacks:
        end += stack.count
        ends.append(end)
    return (*(end for end in ends if end < layer), layer) if layer else ()


class Forms:
    """Outputs of a denoiser of the right form to answer calls with, whatever they hold.

    They are known by the number of branches in a call, and serve other numbers of rows, too.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, Any]] = {}

    def keep(self, branches: int, rows: int, output: Any) -> None:
        """Know the form of what a call with so many branches of so many rows returned."""
        if branches not in self._known:
            self._known[branches] = rows, copied(output)

    def output(self, branches: int, rows: int) -> Any | None:
        """Such an output; None: its form is not known."""
        if branches not in self._known:
            return None
        made_with, output = self._known[branches]
        if made_with == rows:
            return output
        tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)]
        if any(tensor.ndim == 0 or tensor.shape[0] != branches * made_with for tensor in tensors):
            return None

        def resized(tensor: torch.Tensor) -> torch.Tensor:
            return tensor[:1].repeat(branches * rows, *(1 for _ in tensor.shape[1:]))

        return tree_map_only(torch.Tensor, resized, output)


@dataclass
class Skips(Shortcuts):
    """The shortcuts of one replay.

    Attributes:
        anatomy: of the model.
        start: the first step of interest.
        answered: whether calls of earlier steps are answered, by anything of the right form, since the
            scheduler is given the stored prediction; else they run.
        forms: such outputs; the first call of a form has to run.
        anchor: of step ``start``; None: all of that step runs.
        changes: whether a call of step ``start`` is changed; others are answered from the anchor.
        resume: the last layer at step ``start`` whose block need not run.
        keep: fills this anchor of step ``start``, with the blocks of ``keep_layers`` in calls of which a
            branch is one of ``keep_branches`` (None: any).
        rows: of the batch, for the count.
        device: where the denoiser runs.
        blocks: block evaluations: blocks that ran, times rows, times branches.
    """

    anatomy: Anatomy
    start: int
    answered: bool
    forms: Forms
    rows: int
    device: torch.device
    anchor: Anchor | None = None
    changes: Callable[[Call], bool] = lambda call: True
    resume: int = 0
    keep: Anchor | None = None
    keep_layers: frozenset[int] = frozenset()
    keep_branches: frozenset[str] | None = None
    blocks: int = 0

    def output_of(self, calls: tuple[Call, ...]) -> Any | None:
        """See `Shortcuts`."""
        step = calls[0].step
        if step < self.start:
            return self.forms.output(len(calls), self.rows) if self.answered else None
        if step == self.start and self.anchor is not None and not any(map(self.changes, calls)):
            return copied(self.anchor.outputs[branches_of(calls)])
        return None

    def resumed(self, calls: tuple[Call, ...]) -> Mapping[int, Any]:
        """See `Shortcuts`."""
        if self.anchor is None or calls[0].step != self.start:
            return {}
        known = self.anchor.resumable(branches_of(calls), self.resume, self.anatomy)
        return {layer: self._placed(output) for layer, output in known.items()}

    def block_ran(self, calls: tuple[Call, ...], layer: int, output: Any) -> None:
        """See `Shortcuts`."""
        if self.keep is not None:
            own = self.keep.blocks.setdefault(branches_of(calls), {})
            own[layer] = parked(output, len(self.keep_layers) * len(self.anatomy.guidance.branches))

    def denoiser_ran(self, calls: tuple[Call, ...], output: Any) -> None:
        """See `Shortcuts`."""
        step = calls[0].step
        resumed = self.resume if self.anchor is not None and step == self.start else 0
        self.blocks += (self.anatomy.num_layers - resumed) * self.rows * len(calls)
        self.forms.keep(len(calls), self.rows, output)
        if self.keep is not None and step == self.start:
            self.keep.outputs[branches_of(calls)] = copied(output)

    def watched_blocks(self, calls: tuple[Call, ...]) -> frozenset[int]:
        """See `Shortcuts`."""
        if self.keep is None or calls[0].step != self.start:
            return frozenset()
        kept = self.keep_branches is None or not self.keep_branches.isdisjoint(branches_of(calls))
        return self.keep_layers if kept else frozenset()

    def _placed(self, output: Any) -> Any:
        """A copy where the denoiser runs."""
        return tree_map_only(torch.Tensor, lambda tensor: tensor.to(self.device, copy=True), output)


def branches_of(calls: tuple[Call, ...]) -> Branches:
    """The branches of one denoiser call."""
    return tuple(call.branch for call in calls)


def copied(output: Any) -> Any:
    """An output whose tensors nobody else writes into."""
    return tree_map_only(torch.Tensor, torch.clone, output)


def parked(output: Any, count: int) -> Any:
    """A copy of an output: on its device, if ``count`` of them leave half of the free memory there, else on
    the host."""
    tensors = [leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)]
    needed = count * sum(tensor.nbytes for tensor in tensors)
    on_gpu = bool(tensors) and tensors[0].is_cuda
    if on_gpu and needed > _SHARE_OF_FREE * torch.cuda.mem_get_info(tensors[0].device)[0]:
        return tree_map_only(torch.Tensor, lambda tensor: tensor.to("cpu", copy=True), output)
    return copied(output)
