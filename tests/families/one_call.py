"""The first call of a row's denoiser, which can be made again with hooks that write."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch.utils.hooks import RemovableHandle

from cosinterp.models.blocks import BlockCall, Stack, Stream, Sublayer
from cosinterp.models.geometry import Size
from cosinterp.models.model import Model
from tests.families.row import FamilyRow

Change = Callable[[torch.Tensor], torch.Tensor]
Handles = list[RemovableHandle]


@dataclass(frozen=True)
class OneCall:
    """What a denoiser was called with at the first step of a run, guided, of one row.

    ``seen`` is what the scheduler was then given: the latents and the prediction.
    """

    row: FamilyRow
    model: Model
    denoiser: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    seen: tuple[torch.Tensor, torch.Tensor]
    size: Size

    def run(self, *attached: Handles) -> torch.Tensor:
        """The denoiser's prediction; the hooks are removed."""
        with ExitStack() as stack, torch.no_grad():
            for handle in [handle for handles in attached for handle in handles]:
                stack.callback(handle.remove)
            output = self.denoiser(*copy.deepcopy(self.args), **copy.deepcopy(self.kwargs))
            # Audio comes beside the video.
            return output[0].clone()

    def block(self, layer: int) -> tuple[Stack, torch.nn.Module]:
        """Block ``layer`` (from 1)."""
        stack, place = self.model.anatomy.stack_of(layer)
        return stack, self.denoiser.get_submodule(stack.blocks)[place]  # type: ignore[index]

    @property
    def middle_layers(self) -> list[int]:
        """The middle block of each stack."""
        ends = [0]
        for stack in self.model.anatomy.stacks:
            ends.append(ends[-1] + stack.count)
        return [first + (end - first + 1) // 2 for first, end in pairwise(ends)]


def one_call(model: Model, row: FamilyRow) -> OneCall:
    """Run a row's pipeline up to its first step."""
    calls: list[tuple[torch.nn.Module, tuple[Any, ...], dict[str, Any]]] = []
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def called(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append((module, copy.deepcopy(args), copy.deepcopy(kwargs)))

    settings = model.sampling(row.sample(), {**row.settings, **row.guided, "num_steps": row.num_steps})
    with ExitStack() as stack:
        for expert in row.experts:
            denoiser = getattr(model.pipeline, expert)
            handle = denoiser.register_forward_pre_hook(called, with_kwargs=True)
            stack.callback(handle.remove)
        stack.enter_context(_stopped_at_first_step(model.pipeline.scheduler, seen))
        model.pipeline(**model.arguments(row.sample(), (3,), settings))
    return OneCall(row, model, *calls[0], seen[0], model.size(settings))


class _StoppedError(Exception):
    pass


@contextmanager
def _stopped_at_first_step(scheduler: Any, seen: list[tuple[torch.Tensor, torch.Tensor]]) -> Iterator[None]:
    signature = inspect.signature(scheduler.step)

    def step(*args: Any, **kwargs: Any) -> None:
        given = signature.bind(*args, **kwargs).arguments
        seen.append((given["sample"].clone(), given["model_output"].clone()))
        raise _StoppedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scheduler, "step", step)
        with pytest.raises(_StoppedError):
            yield


def write_sublayer(block: torch.nn.Module, part: Sublayer, change: Change, *, raw: bool) -> Handles:
    """Change what a sublayer's module puts out, or what is added of it."""
    calls: list[BlockCall] = []

    def entering(module: torch.nn.Module, args: tuple, kwargs: dict) -> None:
        calls[:] = [BlockCall(module, args, kwargs)]

    def note(name: str) -> Callable[..., None]:
        return lambda _, __, output: calls[0].outputs.update({name: output})

    def write(_: Any, __: Any, output: Any) -> Any:
        (call,) = calls
        kept = copy.deepcopy(output)
        tokens = part.take(output, call)
        if raw or part.added is not None:
            new = change(tokens)
        else:
            added = tokens if part.gate is None else tokens * part.gate(call)
            new = part.raw_for(change(added), tokens, call)
        written = part.put(output, new, call)
        assert len(parts_of(kept)) == len(parts_of(output)) == len(parts_of(written))
        assert all(map(torch.equal, parts_of(kept), parts_of(output)))
        return written

    module = part.module if raw else part.added or part.module
    return [
        block.register_forward_pre_hook(entering, with_kwargs=True),
        *(block.get_submodule(name).register_forward_hook(note(name)) for name in part.reads),
        block.get_submodule(module).register_forward_hook(write),
    ]


def write_leaving(block: torch.nn.Module, stream: Stream, change: Change) -> Handles:
    """Change a stream as it leaves a block."""

    def leaving(_: Any, __: Any, output: Any) -> Any:
        kept = copy.deepcopy(output)
        written = stream.put(output, change(stream.leaving(output)))
        assert all(map(torch.equal, parts_of(kept), parts_of(output)))
        return written

    return [block.register_forward_hook(leaving)]


def write_entering(block: torch.nn.Module, stream: Stream, change: Change) -> Handles:
    """Change a stream as it enters a block."""

    def entering(module: torch.nn.Module, args: tuple, kwargs: dict) -> Any:
        call = BlockCall(module, args, kwargs)
        written = stream.enter(call, change(stream.entering(call)))
        assert (len(written[0]), set(written[1])) == (len(args), set(kwargs))
        return written

    return [block.register_forward_pre_hook(entering, with_kwargs=True)]


def hold(module: torch.nn.Module, output: Any) -> Handles:
    """Let a module put out what it is told."""
    return [module.register_forward_hook(lambda _, __, ___: output)]


def read(module: torch.nn.Module, into: list[Any]) -> Handles:
    """Keep what a module puts out, which hooks before this one may have changed."""
    return [module.register_forward_hook(lambda _, __, output: into.append(copy.deepcopy(output)))]


def parts_of(output: Any) -> list[torch.Tensor]:
    """The tensors that a module put out."""
    outputs = output if isinstance(output, tuple | list) else [output]
    return [part for part in outputs if isinstance(part, torch.Tensor)]
