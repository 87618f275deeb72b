"""The two ends of a pair at one step: what the donor has there, and the gradients of the recipient."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from cosinterp.attribution.cells import Cell, Cells, check_grid
from cosinterp.attribution.layers import Attributed
from cosinterp.attribution.metrics import Metric, measured
from cosinterp.attribution.passes import Branches, interpolated
from cosinterp.errors import InterventionError
from cosinterp.models.blocks import RAW
from cosinterp.steps import Call, Step

InputKey = tuple[Branches, str]
"""(branches of the denoiser call, argument)."""


@dataclass
class Donor:
    """What a pass of the donor saw: activations (row, token, channel), and what entered the denoiser.

    The recipient's first pass takes them out, one by one, and keeps in `Change` how they differ from its own,
    so that one copy of them is in memory.
    """

    tokens: dict[Cell, torch.Tensor] = field(default_factory=dict)
    inputs: dict[InputKey, torch.Tensor] = field(default_factory=dict)

    def on_tensor(self, site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
        """Keep an activation."""
        self.tokens[site, layer, call.branch] = tokens.clone()

    def on_input(self, branches: Branches, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Keep what enters the denoiser, and let it."""
        self.inputs[branches, name] = tensor.clone()
        return tensor


@dataclass
class Change:
    """How the donor differs from the recipient: donor - recipient, of what is not the same in both."""

    tokens: dict[Cell, torch.Tensor] = field(default_factory=dict)
    inputs: dict[InputKey, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    """(the recipient's, the donor's)."""


@dataclass
class Recipient:
    """A pass of the recipient, whose backward pass adds (donor - recipient) x gradient to ``cells``.

    Each activation is put back as a tensor of its own, through which everything goes that the model computes
    from it. So its gradient is there also for one branch of a batch, or for a part of a joined output; it is
    summed up as it comes, and not kept.

    Attributes:
        attributed: what is attributed.
        change: how the donor differs; filled by a pass with a ``donor``.
        cells: where to add.
        donor: of the pass on the recipient's own inputs; None: the pass is on the way to the donor's.
        share: how far on the way the inputs of the pass are.
        weight: of the pass, in what is added.
        inputs: (donor - recipient) x gradient of what enters the denoiser, by argument.
    """

    attributed: Attributed
    change: Change
    cells: Cells
    donor: Donor | None = None
    share: float = 0.0
    weight: float = 1.0
    inputs: dict[str, float] = field(default_factory=dict)
    _raw: dict[Cell, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)
    _leaves: list[tuple[torch.Tensor, InputKey | None]] = field(default_factory=list)

    def on_tensor(self, site: str, layer: int, tokens: torch.Tensor, call: Call) -> torch.Tensor | None:
        """Put an activation back as a tensor of its own, where it is needed."""
        cell = (site, layer, call.branch)
        if call.branch not in self.attributed.branches or self.attributed.is_absent(*cell):
            return None
        change = self._change(cell, tokens) if self.attributed.has(*cell) else None
        if self.attributed.is_gated(site, layer):
            if change is not None:
                self._follow_gated(cell, tokens, change)
            return None
        gated = (site.removesuffix(RAW), layer, call.branch)
        gates = site.endswith(RAW) and self.attributed.has(*gated) and self.attributed.is_gated(*gated[:2])
        if change is None and not gates:
            return None
        own = tokens.clone().requires_grad_()
        if own.is_leaf:
            self._leaves.append((own, None))
        if change is not None:
            own.register_hook(lambda gradient: self._add(cell, change, gradient))
        if not gates:
            return own
        # Another tensor, so that asking for the gate does not call the hooks of the first.
        put = own.clone()
        self._raw[gated] = (own, put)
        return put

    def on_input(self, branches: Branches, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """Let in what enters the denoiser, or what lies on the way to what enters it in the donor's run."""
        key = (branches, name)
        if self.donor is not None:
            donor = self.donor.inputs.pop(key, None)
            if donor is None:
                raise InterventionError(f"the denoiser is called without {name} in the donor's run")
            if donor.shape != tensor.shape or not torch.equal(donor, tensor):
                self.change.inputs[key] = (tensor.clone(), donor)
        if key not in self.change.inputs:
            return tensor
        start, end = self.change.inputs[key]
        if self.share:
            check_grid(end, start, name)
            tensor = interpolated(start, end, self.share)
        own = tensor.detach().clone().requires_grad_()
        self._leaves.append((own, key))
        # A leaf itself must not be written into, and a model may write into what it is given.
        return own.clone()

    def backward(self, metric: Metric, step: Step) -> float:
        """Measure the clean estimate of this pass, and go back from there; what the metric says of it.

        Raises:
            InterventionError: as `measured`.
        """
        value = measured(metric, step.clean_estimate(), differentiable=True)
        leaves = [leaf for leaf, _ in self._leaves]
        if not value.requires_grad or not leaves:
            return float(value)
        # Not by `backward`, which would add to the gradients of whatever the metric itself is made of.
        gradients = torch.autograd.grad(value, leaves, allow_unused=True)
        for (_, key), gradient in zip(self._leaves, gradients, strict=True):
            if key is None or gradient is None:
                continue
            start, end = self.change.inputs[key]
            if start.shape == end.shape:
                product = self.weight * float(((end.double() - start.double()) * gradient.double()).sum())
                self.inputs[key[1]] = self.inputs.get(key[1], 0.0) + product
        return float(value.detach())

    def _change(self, cell: Cell, tokens: torch.Tensor) -> torch.Tensor | None:
        """Donor - recipient; None: there is no difference."""
        if self.donor is not None:
            donor = self.donor.tokens.pop(cell)
            site, layer, branch = cell
            check_grid(donor, tokens, f"{site} at layer {layer}, {branch}")
            change = donor - tokens.detach()
            self.cells.start(cell)
            if change.any():
                self.change.tokens[cell] = change
        return self.change.tokens.get(cell)

    def _follow_gated(self, cell: Cell, tokens: torch.Tensor, change: torch.Tensor) -> None:
        """Of a = raw x gate the gradient is that of raw, divided by the gate.

        The block multiplies by itself, so there is no tensor for a to be put back as. Where the gate is 0 the
        gradient of a is not known from that of raw. If the gate is 0 in both runs, as it is where it depends
        on the timestep alone, a does not differ there, and nothing is missed.
        """
        raw, put = self._raw.pop(cell)
        (gate,) = torch.autograd.grad(tokens, put, torch.ones_like(tokens), retain_graph=True)
        of_raw = torch.where(gate == 0, 0, change / torch.where(gate == 0, 1, gate))
        raw.register_hook(lambda gradient: self._add(cell, of_raw, gradient))

    def _add(self, cell: Cell, change: torch.Tensor, gradient: torch.Tensor) -> None:
        on_grid = self.attributed.anatomy.on_token_grid(cell[0])
        self.cells.add(cell, self.weight * change.float() * gradient.float(), on_grid=on_grid)
