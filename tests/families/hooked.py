"""Activations of any row by plain PyTorch hooks. Shares no code with the tracing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tests.families.row import FamilyRow, Hook

Key = tuple[str, int, int, str]
"""(site, step, layer, branch)."""


class HookedCall:
    """Everything that the blocks of a pipeline put out in one call of it.

    ``calls`` are the branches of a step's denoiser calls, as `FamilyRow.calls`.
    """

    def __init__(self, pipeline: Any, row: FamilyRow, batch: int, calls: tuple[tuple[str, ...], ...]) -> None:
        self.values: dict[Key, torch.Tensor] = {}
        self._denoisers = [getattr(pipeline, expert) for expert in row.experts]
        self._row = row
        self._batch = batch
        self._calls = calls
        self._count = -1

    def check_calls(self, num_steps: int) -> None:
        """Each step called the denoiser as often as the row says."""
        assert self._count + 1 == num_steps * len(self._calls)

    @contextmanager
    def attached(self) -> Iterator[None]:
        handles = []
        for denoiser in self._denoisers:
            handles.append(denoiser.register_forward_pre_hook(self._called))
            for site, hook in self._row.hooks.items():
                handles += self._attach(denoiser, site, hook)
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _called(self, *_: Any) -> None:
        self._count += 1

    def _attach(self, denoiser: Any, site: str, hook: Hook) -> Iterator[Any]:
        layer = 0
        for blocks in self._row.all_blocks:
            for place, block in enumerate(denoiser.get_submodule(blocks)):
                layer += 1
                if layer == 1 and site in self._row.entering:
                    yield block.register_forward_pre_hook(self._on_entering(site), with_kwargs=True)
                if blocks in hook.blocks and (hook.places is None or place in hook.places):
                    module = block.get_submodule(hook.module) if hook.module else block
                    yield module.register_forward_hook(self._on_output(site, layer, hook))

    def _on_entering(self, site: str) -> Any:
        name = self._row.entering[site]

        def entering(block: Any, args: tuple, kwargs: dict) -> None:
            position = self._row.positions.get(site, 0)
            self._keep(site, 0, kwargs[name] if name in kwargs else args[position])

        return entering

    def _on_output(self, site: str, layer: int, hook: Hook) -> Any:
        return lambda _, __, output: self._keep(site, layer, hook.take(output))

    def _keep(self, site: str, layer: int, tokens: torch.Tensor) -> None:
        if site == "resid" or site not in self._row.grids:
            tokens = self._row.in_grid_order(tokens)
        step, call = divmod(self._count, len(self._calls))
        branches = self._calls[call]
        assert tokens.shape[0] == self._batch * len(branches)
        for branch, rows in zip(branches, tokens.chunk(len(branches)), strict=True):
            self.values[site, step, layer, branch] = rows.detach().clone()
