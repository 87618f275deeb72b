"""Short generations of a model, and what is seen of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from cosinterp.capture.watching import inner, traced_call
from cosinterp.denoising import Clock
from cosinterp.models.blocks import RAW, RESID, BlockCall, Stack, Sublayer
from cosinterp.models.eager import eager
from cosinterp.models.model import Model
from cosinterp.samples import Sample
from cosinterp.steps import Call, Step, clean_estimate
from cosinterp.verification.check import worst_of

NUM_STEPS = 4
NO_GUIDANCE = ", no guidance"

ENTERING, EXTRA = "entering", "extra"
"""Not sites: the residual stream as it enters a block, and what the block adds besides its sublayers."""

Key = tuple[str, int, Call]
Tensors = dict[Key, torch.Tensor]


@dataclass
class Generation:
    """One generation, and what was seen of it."""

    clock: Clock
    frames: np.ndarray = field(default_factory=lambda: np.empty(0))
    tensors: Tensors = field(default_factory=dict)
    steps: list[tuple[float, float] | None] = field(default_factory=list)
    """How far each step ends from where its clean estimate says, and may end; None: it does not say."""
    final: torch.Tensor | None = None
    """The final latent."""
    predictions: list[torch.Tensor] = field(default_factory=list)
    """Guided predictions by step, float32 on the CPU, as a store has them."""

    def keep(self, site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
        """Keep a tensor of one branch, on the CPU."""
        self.tensors[site, layer, call] = tokens.detach().to("cpu", copy=True)

    def compare_step(self, step: Step) -> None:
        """Compare what a step ends with and what its clean estimate says of that."""
        self.final = step.final()
        self.predictions.append(step.prediction.detach().to("cpu", torch.float32, copy=True))
        factors = step.after_factors
        if factors is None:
            self.steps.append(None)
            return
        noisy, prediction = step.noisy.double(), step.prediction.double()
        expected = clean_estimate(step.noisy, step.prediction, factors, step.pinned).double()
        difference = (expected - step.final().double()).abs()
        size = (factors[0] * noisy).abs() + (factors[1] * prediction).abs()
        if factors != step.clean:
            # On its way to another noise level it computes with these too.
            size += noisy.abs() + (step.clean[0] * noisy).abs() + (step.clean[1] * prediction).abs()
        # A scheduler computes in float32, or in the dtype of what it is given.
        given = max(torch.finfo(part.dtype).eps for part in (step.noisy, step.prediction, step.after))
        rounding = given * size + 4 * torch.finfo(torch.float32).eps * size
        self.steps.append(worst_of(difference, rounding))

    def keep_whole(self, site: str, layer: int, tokens: torch.Tensor) -> None:
        """Keep the rows of each branch of the call under way, their tokens in the order of the grid."""
        anatomy = self.clock.anatomy
        order = anatomy.token_order(self.clock.size, tokens.device)
        if order is not None and anatomy.on_token_grid(site):
            tokens = tokens[:, order]
        calls = self.clock.under_way
        for rows, call in zip(tokens.chunk(len(calls)), calls, strict=True):
            self.keep(site, layer, rows, call)


@dataclass(frozen=True)
class Case:
    """One way to run the model: how the names of its checks end, its settings, its seeds."""

    suffix: str
    settings: dict[str, Any]
    seeds: tuple[int, ...]


def cases_of(model: Model, sample: Sample, seed: int, sampling: dict[str, Any]) -> list[Case]:
    """With guidance, without, and two in a batch; of these those that the model has."""
    guidance = model.anatomy.guidance
    asked = {"num_steps": NUM_STEPS, **sampling}
    main = Case("", model.sampling(sample, {**guidance.on, **asked}), (seed,))
    cases = [main]
    off = model.sampling(sample, {**asked, **guidance.off})
    if guidance.computed(off) != guidance.computed(main.settings):
        cases.append(Case(NO_GUIDANCE, off, (seed,)))
    if not model.anatomy.one_at_a_time:
        cases.append(Case(", two in a batch", main.settings, (seed, seed + 1)))
    return cases


def generate(
    model: Model,
    sample: Sample,
    case: Case,
    call: Callable[[Model, dict[str, Any], Generation], Any],
) -> Generation:
    """Generate from a sample by ``call``, which is one of those below."""
    clock = Clock(model.pipeline, model.anatomy, model.size(case.settings), len(case.seeds))
    generation = Generation(clock)
    clock.on_step = generation.compare_step
    with eager(model.pipeline), clock.watching():
        output = call(model, model.arguments(sample, case.seeds, case.settings), generation)
    generation.frames = model.videos(output)
    return generation


def plain_call(model: Model, arguments: dict[str, Any], generation: Generation) -> Any:
    """The plain pipeline, under plain hooks."""
    with _hooks(model, generation.keep_whole):
        return model.pipeline(**arguments)


def traced_call_of(model: Model, arguments: dict[str, Any], generation: Generation) -> Any:
    """The traced pipeline, all of it captured."""
    layers = {site: model.anatomy.layers_of(site, tuple(model.layers)) for site in model.sites}
    return traced_call(model, arguments, generation.clock, layers, lambda call: True, generation.keep)


def identity_call(model: Model, arguments: dict[str, Any], generation: Generation) -> Any:
    """The traced pipeline, with the output of each block replaced by itself."""
    anatomy, clock = model.anatomy, generation.clock

    def put_back(site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
        # The rows of all branches at once, when the first of them comes.
        if call != clock.under_way[0]:
            return
        stack, index = anatomy.stack_of(layer)
        envoy = inner(getattr(model.nn, anatomy.experts[call.expert]), stack.blocks)[index]
        stream = stack.streams[0]
        output = envoy.output
        envoy.output = stream.put(output, stream.leaving(output, tokens).clone())

    layers = {RESID: tuple(model.layers)[1:]}
    return traced_call(model, arguments, clock, layers, lambda call: True, put_back)


@contextmanager
def _hooks(model: Model, keep: Callable[[str, int, torch.Tensor], None]) -> Iterator[None]:
    """Plain PyTorch hooks on the streams and on each sublayer's module."""
    handles = []

    def on_input(stack: Stack, layer: int, calls: list[BlockCall]) -> Callable[..., None]:
        def entering(block: torch.nn.Module, args: tuple, kwargs: dict) -> None:
            call = BlockCall(block, args, kwargs)
            calls[:] = [call]
            keep(ENTERING, layer, stack.streams[0].entering(call))
            if stack.extra is not None:
                keep(EXTRA, layer, stack.extra(call))
            for stream in stack.streams if layer == 1 else ():
                keep(stream.site, 0, stream.entering(call))

        return entering

    def on_output(stack: Stack, layer: int, calls: list[BlockCall]) -> Callable[..., None]:
        def leaving(_: Any, __: Any, output: Any) -> None:
            for stream in stack.streams:
                keep(stream.site, layer, stream.leaving(output, stream.entering(calls[0])))

        return leaving

    def on_module(part: Sublayer, layer: int, calls: list[BlockCall]) -> Callable[..., None]:
        return lambda _, __, output: keep(part.site + RAW, layer, part.take(output, calls[0]))

    for component in model.anatomy.experts:
        denoiser, layer = getattr(model.pipeline, component), 0
        for stack in model.anatomy.stacks:
            blocks = inner(denoiser, stack.blocks)
            for place in stack.places:
                block = blocks[place]
                layer += 1
                calls: list[BlockCall] = []
                entering = on_input(stack, layer, calls)
                handles.append(block.register_forward_pre_hook(entering, with_kwargs=True))
                handles.append(block.register_forward_hook(on_output(stack, layer, calls)))
                for part in stack.sublayers:
                    module = block.get_submodule(part.module)
                    handles.append(module.register_forward_hook(on_module(part, layer, calls)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
