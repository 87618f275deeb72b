"""Exact effects of patching, by the plain pipeline and PyTorch hooks. Shares no code with attribution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_map_only

from cosinterp.attribution import Side
from cosinterp.denoising import Clock
from cosinterp.models.model import Model
from cosinterp.steps import Step
from tests.families.row import FamilyRow

Place = tuple[str, int, str]
"""(site, layer, branch)."""


class _Over(Exception):
    pass


@dataclass
class Exact:
    """One model, whose step 0 is run with and without changes.

    ``calls`` are the branches of a step's denoiser calls, as `FamilyRow.calls`.
    """

    model: Model
    row: FamilyRow
    calls: tuple[tuple[str, ...], ...]
    _added: dict[Place, torch.Tensor] = field(default_factory=dict)
    _kept: dict[Place, torch.Tensor] | None = None
    _count: int = -1

    def activations(self, side: Side) -> dict[Place, torch.Tensor]:
        """What all sites of the row are at step 0."""
        self._kept = {}
        try:
            self._run(side)
            return self._kept
        finally:
            self._kept = None

    def clean(self, side: Side, added: dict[Place, torch.Tensor]) -> torch.Tensor:
        """The clean estimate of step 0 with something added to some places."""
        self._added = added
        try:
            return self._run(side).clean_estimate().double()
        finally:
            self._added = {}

    def _run(self, side: Side) -> Step:
        seen: list[Step] = []

        def on_step(step: Step) -> None:
            seen.append(step)
            raise _Over

        model = self.model
        arguments = model.arguments(side.sample, (side.seed,), side.settings, output_type="latent")
        clock = Clock(model.pipeline, model.anatomy, model.size(side.settings), on_step=on_step)
        self._count = -1
        with clock.watching(), self._hooks(), suppress(_Over):
            model.pipeline(**arguments)
        return seen[0]

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        denoiser = getattr(self.model.pipeline, self.row.experts[0])
        handles = [denoiser.register_forward_pre_hook(self._called)]
        layer = 0
        for blocks in self.row.all_blocks:
            for place, block in enumerate(denoiser.get_submodule(blocks)):
                layer += 1
                for site, hook in self.row.hooks.items():
                    if layer == 1 and site in self.row.entering:
                        handles.append(
                            block.register_forward_pre_hook(self._entering(site), with_kwargs=True)
                        )
                    if blocks in hook.blocks and (hook.places is None or place in hook.places):
                        module = block.get_submodule(hook.module) if hook.module else block
                        handles.append(module.register_forward_hook(self._output(site, layer, hook.take)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _called(self, *_: Any) -> None:
        self._count += 1

    def _entering(self, site: str) -> Any:
        name, position = self.row.entering[site], self.row.positions.get(site, 0)

        def entering(block: Any, args: tuple, kwargs: dict) -> Any:
            tokens = (kwargs[name] if name in kwargs else args[position]).clone()
            self._look(site, 0, tokens)
            if name in kwargs:
                return args, {**kwargs, name: tokens}
            return (*args[:position], tokens, *args[position + 1 :]), kwargs

        return entering

    def _output(self, site: str, layer: int, take: Any) -> Any:
        def on_output(module: Any, args: Any, output: Any) -> Any:
            own = tree_map_only(torch.Tensor, torch.clone, output)
            # What is taken is a view, so that what is added to it is in the output.
            self._look(site, layer, take(own))
            return own

        return on_output

    def _look(self, site: str, layer: int, tokens: torch.Tensor) -> None:
        branches = self.calls[self._count]
        for branch, rows in zip(branches, tokens.chunk(len(branches)), strict=True):
            if self._kept is not None:
                self._kept[site, layer, branch] = rows.clone()
            if (site, layer, branch) in self._added:
                rows += self._added[site, layer, branch]


def slope(function: Callable[[float], torch.Tensor], size: float = 0.01) -> float:
    """The derivative at 0, by central differences of fourth order."""
    ahead, behind, far_ahead, far_behind = (float(function(sign * size)) for sign in (1, -1, 2, -2))
    return (8 * (ahead - behind) - (far_ahead - far_behind)) / (12 * size)
