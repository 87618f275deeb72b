"""Reading and changing sites of a running pipeline through nnsight, and skipping what is known already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from nnsight.intervention.interleaver import OutOfOrderError

from cosinterp.denoising import Clock
from cosinterp.errors import SelectionError
from cosinterp.models.blocks import LIKE_ENTERING, RAW, BlockCall, Stack, Stream, Sublayer
from cosinterp.steps import Call

if TYPE_CHECKING:
    from cosinterp.models.model import Model

OnTensor = Callable[[str, int, torch.Tensor, Call], torch.Tensor | None]
"""Called with (site, layer, tokens (batch, token, channel), call) for each branch of a tensor as it comes.

What it returns is put in the tensor's place, and what runs later sees that; None leaves the tensor as it is.
"""


class Shortcuts:
    """What of a pipeline's call is known already and need not run; here, nothing.

    Outputs are what modules return, all branches and rows of the call, as nnsight gives and takes it.
    """

    def output_of(self, calls: tuple[Call, ...]) -> Any | None:
        """The denoiser's output at this call, whose blocks then do not run; None: it runs."""
        return None

    def resumed(self, calls: tuple[Call, ...]) -> Mapping[int, Any]:
        """Outputs of the blocks that need not run, by layer: of the last one of them, and of the last one of
        each stack before it."""
        return {}

    def block_ran(self, calls: tuple[Call, ...], layer: int, output: Any) -> None:
        """A block that ran returned this, changes not included. Only told of layers in `watched_blocks`."""

    def denoiser_ran(self, calls: tuple[Call, ...], output: Any) -> None:
        """The denoiser ran and returned this, changes included."""

    def watched_blocks(self, calls: tuple[Call, ...]) -> frozenset[int]:
        """The layers whose blocks `block_ran` is to be told of."""
        return frozenset()


NO_SHORTCUTS = Shortcuts()


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
    shortcuts: Shortcuts = NO_SHORTCUTS,
) -> Any:
    """Run the whole pipeline under nnsight and return its output.

    ``layers``: the layers of each site to read and perhaps to change. ``wanted`` tells whether a call is read
    at all. ``clock`` has to be watching already.
    """
    reader = _Reader(model, clock, layers, wanted, on_tensor, shortcuts)
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
        shortcuts: Shortcuts,
    ) -> None:
        self._model = model
        self._clock = clock
        self._wanted = wanted
        self._on_tensor = on_tensor
        self._shortcuts = shortcuts
        self._layers = {site: frozenset(kept) for site, kept in layers.items()}
        self._last = max((max(kept) for kept in layers.values()), default=-1)
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
            shortcuts = self._shortcuts
            known = shortcuts.output_of(calls)
            if known is not None:
                envoy.skip(known)
                continue
            self._read(component, envoy, calls, shortcuts.resumed(calls), shortcuts.watched_blocks(calls))
            shortcuts.denoiser_ran(calls, envoy.output)

    def _read(
        self,
        component: str,
        envoy: Any,
        calls: tuple[Call, ...],
        known: Mapping[int, Any],
        watched: frozenset[int],
    ) -> None:
        denoiser = getattr(self._model.pipeline, component)
        wanted = any(map(self._wanted, calls))
        last, resumed = max(self._last if wanted else -1, max(watched, default=-1)), max(known, default=0)
        layer = 0
        for stack in self._model.anatomy.stacks:
            envoys, blocks = inner(envoy, stack.blocks), inner(denoiser, stack.blocks)
            if layer == 0 and wanted and not resumed:
                self._read_entering(stack, envoys[stack.first], blocks[stack.first], calls)
            end = layer + stack.count
            for place in stack.places:
                layer += 1
                if layer <= resumed:
                    # What a skipped block gives to another skipped one does not matter.
                    output = known[min(resumed, end)]
                    if layer == resumed and wanted:
                        output = self._read_skipped(stack, envoys[place], blocks[place], layer, calls, output)
                    envoys[place].skip(output)
                elif layer <= last:
                    if wanted:
                        self._read_block(stack, envoys[place], blocks[place], layer, calls, layer in watched)
                    elif layer in watched:
                        self._ran(calls, layer, envoys[place].output)

    def _read_entering(
        self, stack: Stack, envoy: Any, block: torch.nn.Module, calls: tuple[Call, ...]
    ) -> None:
        streams = [stream for stream in stack.streams if self._has(stream.site, 0)]
        if streams:
            call = BlockCall(block, *envoy.inputs)
            for stream in streams:
                changed = self._tell(stream.site, 0, stream.entering(call), calls)
                if changed is not None:
                    envoy.inputs = stream.enter(call, changed)
                    call = BlockCall(block, *envoy.inputs)

    def _read_skipped(
        self,
        stack: Stack,
        envoy: Any,
        block: torch.nn.Module,
        layer: int,
        calls: tuple[Call, ...],
        output: Any,
    ) -> Any:
        """What a skipped block is to return, its streams read and changed."""
        streams = [stream for stream in stack.streams if self._has(stream.site, layer)]
        by_shape = [stream for stream in streams if stream.output == LIKE_ENTERING]
        call = BlockCall(block, *envoy.inputs) if by_shape else BlockCall(block, (), {})
        like = {stream.site: stream.entering(call) for stream in by_shape}
        return self._read_streams(streams, output, like, layer, calls)

    def _read_block(
        self,
        stack: Stack,
        envoy: Any,
        block: torch.nn.Module,
        layer: int,
        calls: tuple[Call, ...],
        watched: bool,
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
        if watched:
            self._ran(calls, layer, envoy.output)
        if streams:
            output = envoy.output
            changed = self._read_streams(streams, output, like, layer, calls)
            if changed is not output:
                envoy.output = changed

    def _read_streams(
        self,
        streams: list[Stream],
        output: Any,
        like: dict[str, torch.Tensor],
        layer: int,
        calls: tuple[Call, ...],
    ) -> Any:
        """What a block returned, with the changes of its streams; the very same where there are none."""
        for stream in streams:
            changed = self._tell(stream.site, layer, stream.leaving(output, like.get(stream.site)), calls)
            if changed is not None:
                output = stream.put(output, changed)
        return output

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
            self._read_sublayer(part, envoy, layer, call, calls)

    def _read_sublayer(
        self, part: Sublayer, envoy: Any, layer: int, call: BlockCall, calls: tuple[Call, ...]
    ) -> None:
        module = inner(envoy, part.module)
        output = part.take(module.output, call)
        if self._has(part.site + RAW, layer):
            changed = self._tell(part.site + RAW, layer, output, calls)
            if changed is not None:
                module.output = part.put(module.output, changed, call)
                output = changed
        if not self._has(part.site, layer):
            return
        # Computed only now, inside the block's call: with sequential offloading the block's own
        # parameters are on the device only while it runs.
        if part.added is None:
            added = output if part.gate is None else output * part.gate(call)
            changed = self._tell(part.site, layer, added, calls)
            if changed is not None:
                module.output = part.put(module.output, part.raw_for(changed, output, call), call)
        else:
            module = inner(envoy, part.added)
            changed = self._tell(part.site, layer, part.take(module.output, call), calls)
            if changed is not None:
                module.output = part.put(module.output, changed, call)

    def _tell_absent(
        self, stack: Stack, part: Sublayer, layer: int, call: BlockCall, calls: tuple[Call, ...]
    ) -> None:
        nothing = torch.zeros_like(stack.streams[0].entering(call))
        for site in (part.site + RAW, part.site):
            if self._has(site, layer) and self._tell(site, layer, nothing, calls) is not None:
                branches = ", ".join(one.branch for one in calls)
                raise SelectionError(
                    f"{site} cannot be changed in branch {branches}: it is not computed there"
                )

    def _tell(
        self, site: str, layer: int, tokens: torch.Tensor, calls: tuple[Call, ...]
    ) -> torch.Tensor | None:
        """Pass the rows of each wanted branch on, their tokens in the order of the grid.

        Returns the whole tensor with what was changed, None if nothing was.
        """
        order = self._order if self._model.anatomy.on_token_grid(site) else None
        parts = list(tokens.chunk(len(calls)))
        was_changed = False
        for index, call in enumerate(calls):
            if self._wanted(call):
                seen = parts[index] if order is None else parts[index][:, order]
                changed = self._on_tensor(site, layer, seen, call)
                if changed is not None:
                    was_changed = True
                    parts[index] = changed if order is None else _reordered(parts[index], order, changed)
        return torch.cat(parts) if was_changed else None

    def _ran(self, calls: tuple[Call, ...], layer: int, output: Any) -> None:
        self._shortcuts.block_ran(calls, layer, output)

    def _has(self, site: str, layer: int) -> bool:
        return layer in self._layers.get(site, ())


def _reordered(tokens: torch.Tensor, order: torch.Tensor, changed: torch.Tensor) -> torch.Tensor:
    """``tokens`` with those at ``order`` replaced."""
    whole = tokens.clone()
    whole[:, order] = changed.to(whole.dtype)
    return whole


def inner(module: Any, path: str) -> Any:
    """What lies at a dotted path in a module, or in an envoy."""
    for name in path.split("."):
        module = getattr(module, name)
    return module
