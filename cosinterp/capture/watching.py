"""Reading sites from a running pipeline through nnsight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nnsight.intervention.interleaver import OutOfOrderError

from cosinterp.denoising import Call, Clock
from cosinterp.models.anatomy import RAW, RESID, BlockInputs

if TYPE_CHECKING:
    import torch

    from cosinterp.models.model import Model

OnTensor = Callable[[str, int, "torch.Tensor", Call], None]
"""Called with (site, layer, tokens (batch, token, channel), call) for each tensor as it comes."""


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
    settings = {name: value for name, value in arguments.items() if name != "prompt"}
    outputs: list[Any] = []
    first, *others = range(len(model.anatomy.experts))
    # One block for each expert, since each counts its own calls, and one for the output: what follows an
    # open-ended loop in its own block is never reached.
    with model.nn.generate(**settings) as tracer:
        with tracer.invoke(prompt=arguments["prompt"]):
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
            call = self._clock.call
            if self._wanted(call):
                self._read(component, envoy, call)

    def _read(self, component: str, envoy: Any, call: Call) -> None:
        anatomy = self._model.anatomy
        envoys = getattr(envoy, anatomy.blocks)
        blocks = getattr(getattr(self._model.pipeline, component), anatomy.blocks)
        if self._has(RESID, 0):
            args, kwargs = envoys[0].inputs
            stream = args[0] if args else kwargs[anatomy.block_arguments[0]]
            self._on_tensor(RESID, 0, stream, call)
        for layer in range(1, self._last + 1):
            block = envoys[layer - 1]
            self._read_sublayers(block, blocks[layer - 1], layer, call)
            if self._has(RESID, layer):
                self._on_tensor(RESID, layer, block.output, call)

    def _read_sublayers(self, envoy: Any, block: torch.nn.Module, layer: int, call: Call) -> None:
        wanted = [
            part
            for part in self._model.anatomy.sublayers
            if self._has(part.site, layer) or self._has(part.site + RAW, layer)
        ]
        gated = any(part.gate is not None and self._has(part.site, layer) for part in wanted)
        inputs: BlockInputs | None = envoy.inputs if gated else None
        for part in wanted:
            output = getattr(envoy, part.module).output
            if self._has(part.site + RAW, layer):
                self._on_tensor(part.site + RAW, layer, output, call)
            if self._has(part.site, layer):
                # The gate is computed only now, inside the block's call: with sequential offloading the
                # block's own parameters are on the device only while it runs.
                added = output
                if part.gate is not None and inputs is not None:
                    added = output.float() * part.gate(block, inputs)
                self._on_tensor(part.site, layer, added, call)

    def _has(self, site: str, layer: int) -> bool:
        return layer in self._layers.get(site, ())
