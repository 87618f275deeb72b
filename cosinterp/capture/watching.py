"""Reading sites from a running pipeline through nnsight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from nnsight.intervention.interleaver import OutOfOrderError

from cosinterp.denoising import Call, Clock
from cosinterp.models.blocks import LIKE_ENTERING, RAW, BlockCall, Stack, Sublayer

if TYPE_CHECKING:
    from cosinterp.models.model import Model

OnTensor = Callable[[str, int, torch.Tensor, Call], None]
"""Called with (site, layer, tokens (batch, token, channel), call) for each branch of a tensor as it comes."""


@contextmanager
def _interrupts_kept() -> Iterator[None]:
    """Ctrl-C stays Ctrl-C, as a decorator.

    nnsight shortens the traceback of whatever ends a trace and raises a TypeError where an entry has no line
    number, which is so where an interrupt comes between two lines.
    """
    try:
        yield
    except TypeError as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise


@_interrupts_kept()
def traced_call(
    model: Model,
    arguments: dict[str, Any],
    clock: Clock,
    layers: dict[str, tuple[int, ...]],
    wanted: Callable[[Call], bool],
    on_tensor: OnTensor,
) -> Any:
    """Run the whole pipeline under nnsight and return its output.

    ``layers``: the layers of each site to read. ``wanted`` tells whether a call is read at all. ``clock`` has
    to be watching already.
    """
    reader = _Reader(model, clock, layers, wanted, on_tensor)
    outputs: list[Any] = []
    first, *others = range(len(model.anatomy.experts))
    # One block for each expert, since each counts its own calls, and one for the output: what follows an
    # open-ended loop in its own block is never reached.
    # Named here too: a trace takes one step unless it is told otherwise itself.
    with model.nn.generate(num_inference_steps=arguments["num_inference_steps"]) as tracer:
        with tracer.invoke(**arguments):
            reader.follow(tracer, first)
        for expert in others:
            with tracer.invoke():
                reader.follow(tracer, expert)
        with tracer.invoke():
            outputs.append(tracer.result)
    return outputs[0]


class _Reader:
    """Follows the calls of one pipeline run and reads the sites in the order in which they are computed."""

    def __init__(
        self,
        model: Model,
        clock: Clock,
        layers: dict[str, tuple[int, ...]],
        wanted: Callable[[Call], bool],
        on_tensor: OnTensor,
    ) -> None:
        self._model = model
        self._clock = clock
        self._wanted = wanted
        self._on_tensor = on_tensor
        self._layers = {site: frozenset(kept) for site, kept in layers.items()}
        self._last = max(max(kept) for kept in layers.values())
        self._order = model.anatomy.token_order(clock.size, model.device)

    def follow(self, tracer: Any, expert: int) -> None:
        """Read each wanted call of one expert until the pipeline ends."""
        component = self._model.anatomy.experts[expert]
        envoy = getattr(self._model.nn, component)
        for _ in tracer.iter[:]:
            try:
                # The clock may be read only once a value of the call has arrived: before that, this loop
                # runs ahead of the scheduler.
                _ = envoy.inputs
            except OutOfOrderError:
                return  # the pipeline ended while this waited for a next call
            calls = self._clock.under_way
            if any(map(self._wanted, calls)):
                self._read(component, envoy, calls)

    def _read(self, component: str, envoy: Any, calls: tuple[Call, ...]) -> None:
        denoiser = getattr(self._model.pipeline, component)
        layer = 0
        for stack in self._model.anatomy.stacks:
            envoys, blocks = inner(envoy, stack.blocks), inner(denoiser, stack.blocks)
            if layer == 0:
                self._read_entering(stack, envoys[stack.first], blocks[stack.first], calls)
            for place in stack.places:
                layer += 1
                if layer <= self._last:
                    self._read_block(stack, envoys[place], blocks[place], layer, calls)

    def _read_entering(
        self, stack: Stack, envoy: Any, block: torch.nn.Module, calls: tuple[Call, ...]
    ) -> None:
        streams = [stream for stream in stack.streams if self._has(stream.site, 0)]
        if streams:
            call = BlockCall(block, *envoy.inputs)
            for stream in streams:
                self._tell(stream.site, 0, stream.entering(call), calls)

    def _read_block(
        self, stack: Stack, envoy: Any, block: torch.nn.Module, layer: int, calls: tuple[Call, ...]
    ) -> None:
        parts = [
            part
            for part in stack.sublayers
            if self._has(part.site, layer) or self._has(part.site + RAW, layer)
        ]
        streams = [stream for stream in stack.streams if self._has(stream.site, layer)]
        by_shape = [stream for stream in streams if stream.output == LIKE_ENTERING]
        call = BlockCall(block, *envoy.inputs) if parts or by_shape else BlockCall(block, (), {})
        like = {stream.site: stream.entering(call) for stream in by_shape}
        self._read_sublayers(stack, parts, envoy, layer, call, calls)
        if streams:
            output = envoy.output
            for stream in streams:
                self._tell(stream.site, layer, stream.leaving(output, like.get(stream.site)), calls)

    def _read_sublayers(
        self,
        stack: Stack,
        parts: list[Sublayer],
        envoy: Any,
        layer: int,
        call: BlockCall,
        calls: tuple[Call, ...],
    ) -> None:
        for part in parts:
            if all(one.branch in part.absent for one in calls):
                self._tell_absent(stack, part, layer, call, calls)
                continue
            for module in part.reads:
                if module not in call.outputs:
                    call.outputs[module] = inner(envoy, module).output
            output = part.take(inner(envoy, part.module).output, call)
            if self._has(part.site + RAW, layer):
                self._tell(part.site + RAW, layer, output, calls)
            if self._has(part.site, layer):
                # Computed only now, inside the block's call: with sequential offloading the block's own
                # parameters are on the device only while it runs.
                added = output if part.added is None else part.take(inner(envoy, part.added).output, call)
                self._tell(part.site, layer, added if part.gate is None else added * part.gate(call), calls)

    def _tell_absent(
        self, stack: Stack, part: Sublayer, layer: int, call: BlockCall, calls: tuple[Call, ...]
    ) -> None:
        nothing = torch.zeros_like(stack.streams[0].entering(call))
        for site in (part.site + RAW, part.site):
            if self._has(site, layer):
                self._tell(site, layer, nothing, calls)

    def _tell(self, site: str, layer: int, tokens: torch.Tensor, calls: tuple[Call, ...]) -> None:
        """Pass the rows of each wanted branch on, their tokens in the order of the grid."""
        if self._order is not None and self._model.anatomy.on_token_grid(site):
            tokens = tokens[:, self._order]
        for rows, call in zip(tokens.chunk(len(calls)), calls, strict=True):
            if self._wanted(call):
                self._on_tensor(site, layer, rows, call)

    def _has(self, site: str, layer: int) -> bool:
        return layer in self._layers.get(site, ())


def inner(module: Any, path: str) -> Any:
    """What lies at a dotted path in a module, or in an envoy."""
    for name in path.split("."):
        module = getattr(module, name)
    return module
