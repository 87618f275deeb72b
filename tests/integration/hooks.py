"""Activations by plain PyTorch hooks: what a trace is compared with. Shares no code with the tracing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from cosinterp.models.model import Model

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}

Key = tuple[str, int, int, str, int]
"""(site, layer, step, branch, expert)."""


def as_stored(tensor: torch.Tensor, dtype: str) -> np.ndarray:
    """What a store of ``dtype`` holds of a tensor: bf16 as its uint16 bit pattern."""
    converted = tensor.detach().to("cpu", _DTYPES[dtype]).contiguous()
    return (converted.view(torch.uint16) if dtype == "bf16" else converted).numpy()


class HookedRun:
    """Everything that the modules of a Wan pipeline put out in one call of it."""

    def __init__(self, model: Model, guided: bool) -> None:
        self.values: dict[Key, torch.Tensor] = {}
        self.streams: dict[tuple[int, int, int, str], dict[str, torch.Tensor]] = defaultdict(dict)
        self._model = model
        self._branches = ("cond", "uncond") if guided else ("cond",)
        self._calls = 0
        self._handles: list[Any] = []

    @contextmanager
    def attached(self) -> Iterator[HookedRun]:
        for expert, component in enumerate(self._model.anatomy.experts):
            transformer = getattr(self._model.pipeline, component)
            self._handles.append(transformer.register_forward_hook(self._count))
            for number, block in enumerate(transformer.blocks, start=1):
                self._attach(block, number, expert)
        try:
            yield self
        finally:
            for handle in self._handles:
                handle.remove()

    def _attach(self, block: Any, layer: int, expert: int) -> None:
        modules = {"self_attn.raw": block.attn1, "cross_attn.raw": block.attn2, "mlp.raw": block.ffn}
        for site, module in modules.items():
            self._handles.append(
                module.register_forward_hook(
                    lambda _, __, out, site=site: self._keep(site, layer, expert, out)
                )
            )
        self._handles.append(
            block.register_forward_hook(lambda _, __, out: self._keep("resid", layer, expert, out))
        )
        # The residual stream between sublayers: what norm2 and norm3 take in.
        for name, norm in (("after_self_attn", block.norm2), ("after_cross_attn", block.norm3)):
            self._handles.append(
                norm.register_forward_pre_hook(
                    lambda _, args, name=name: self._keep(name, layer, expert, args[0])
                )
            )
        if layer == 1:
            self._handles.append(
                block.register_forward_pre_hook(lambda _, args: self._keep("resid", 0, expert, args[0]))
            )

    def _keep(self, site: str, layer: int, expert: int, value: torch.Tensor) -> None:
        step, branch = divmod(self._calls, len(self._branches))
        self.values[site, layer, step, self._branches[branch], expert] = value.detach().clone()

    def _count(self, *_: Any) -> None:
        self._calls += 1
