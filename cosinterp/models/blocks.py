"""What a denoiser's blocks are made of, as data: the streams that pass through them, and their sublayers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from cosinterp.errors import InterventionError
from cosinterp.models.portions import WHOLE, Portion, fitting, with_element

if TYPE_CHECKING:
    import torch

    from cosinterp.models.geometry import Size

RESID = "resid"
TEXT = "text"
AUDIO = "audio"
RAW = ".raw"
LIKE_ENTERING = "like entering"


@dataclass
class BlockCall:
    """One call of a block: the module, what it was called with, and what its modules have put out so far."""

    block: torch.nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: dict[str, Any] = field(default_factory=dict)
    """Outputs by module, of those that a sublayer `reads`."""

    def argument(self, name: str) -> Any:
        """What the block was called with as ``name``, by position or by keyword; None if it was not given."""
        if name in self.kwargs:
            return self.kwargs[name]
        position = _parameters(type(self.block)).index(name)
        return self.args[position] if position < len(self.args) else None

    def with_argument(self, name: str, value: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments (args, kwargs) of a call that differs in ``name``, which is given as it was: by position
        or by keyword.
        """
        position = _parameters(type(self.block)).index(name)
        if name in self.kwargs or position >= len(self.args):
            return self.args, {**self.kwargs, name: value}
        return with_element(self.args, position, value), dict(self.kwargs)


@cache
def _parameters(block: type) -> tuple[str, ...]:
    # Of the class: offloading puts a forward of another signature into the instance.
    return tuple(inspect.signature(block.forward).parameters)[1:]  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Stream:
    """One residual stream through the blocks: `resid`, the stream of the video's tokens, or another one.

    It enters a block as ``argument`` and leaves it as ``output``: the index in what the block returns, None
    if that is the stream itself, `LIKE_ENTERING` where only its shape tells. ``grid`` gives the grid (frame,
    row, col) of its tokens for a size and complete sampling settings; None: the token grid. The tokens of a
    stream without places lie along col.
    """

    site: str
    channels: int
    argument: str
    output: int | Literal["like entering"] | None = None
    grid: Callable[[Size, dict[str, Any]], tuple[int, int, int]] | None = None

    def entering(self, call: BlockCall) -> torch.Tensor:
        """The stream as it enters a block, (batch, token, channel)."""
        return call.argument(self.argument)

    def enter(self, call: BlockCall, tokens: torch.Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments (args, kwargs) of a block's call, with ``tokens`` in place of the stream.

        Raises:
            ValueError: they have another shape.
        """
        return call.with_argument(self.argument, fitting(tokens, self.entering(call)))

    def leaving(self, output: Any, like: torch.Tensor | None = None) -> torch.Tensor:
        """The stream as it leaves a block, (batch, token, channel), from what the block returned.

        ``like``: some rows of it elsewhere, needed for `LIKE_ENTERING`.
        """
        index = self._index(output, like)
        return output if index is None else output[index]

    def put(self, output: Any, tokens: torch.Tensor) -> Any:
        """What a block returned, with ``tokens`` in place of the stream; ``output`` stays as it is.

        Raises:
            ValueError: they have another shape.
        """
        index = self._index(output, tokens)
        tokens = fitting(tokens, output if index is None else output[index])
        return tokens if index is None else with_element(output, index, tokens)

    def _index(self, output: Any, like: torch.Tensor | None) -> int | None:
        if self.output != LIKE_ENTERING:
            return self.output
        if like is None or not isinstance(output, tuple | list):
            return None
        return next((i for i, part in enumerate(output) if _is_like(part, like)), 0)


def _is_like(part: Any, tokens: torch.Tensor) -> bool:
    shape = getattr(part, "shape", None)
    return shape is not None and shape[1:] == tokens.shape[1:]


@dataclass(frozen=True)
class Sublayer:
    """One sublayer of a block, whose output is added to the residual stream of the video's tokens.

    What is added is the module's own output, times ``gate`` where there is one: a tensor that broadcasts to
    (batch, token, channel), in the dtype in which the block multiplies. Where a block adds the output of a
    later module instead (a norm with the gate inside), that module is ``added``.

    Attributes:
        site: what it is called.
        module: path of the module in the block; its output is the site `.raw`.
        video: where in the outputs of ``module`` and ``added`` the video's tokens are.
        reads: modules that run before ``module`` and whose outputs the gate needs; see `BlockCall.outputs`.
        absent: branches whose calls do not run it; it adds nothing there.
    """

    site: str
    module: str
    gate: Callable[[BlockCall], torch.Tensor] | None = None
    video: Portion = WHOLE
    reads: tuple[str, ...] = ()
    added: str | None = None
    absent: tuple[str, ...] = ()

    def take(self, output: Any, call: BlockCall) -> torch.Tensor:
        """The video's tokens (batch, token, channel), from what ``module`` or ``added`` put out."""
        return self.video.take(output, call)

    def put(self, output: Any, tokens: torch.Tensor, call: BlockCall) -> Any:
        """What ``module`` or ``added`` put out, with ``tokens`` in place of the video's; ``output`` stays as
        it is.

        Raises:
            ValueError: they have another shape.
        """
        return self.video.put(output, fitting(tokens, self.take(output, call)), call)

    def raw_for(self, new: torch.Tensor, raw: torch.Tensor, call: BlockCall) -> torch.Tensor:
        """What has to come out instead of ``raw`` for ``new`` to be added, up to rounding to its dtype.

        ``new`` and ``raw``: (batch, token, channel), of all rows of the call; ``raw`` as `take` gives it.
        Entries of ``new`` that are added already leave ``raw`` its bits, and no gradient passes them.

        Raises:
            InterventionError: something else is to be added where the gate lets nothing through.
        """
        import torch

        if self.gate is None:
            return new.to(raw)
        gate = self.gate(call)
        added = raw * gate
        # The block adds no other numbers than those of this dtype.
        new = new.to(added)
        number = torch.promote_types(added.dtype, torch.float32)
        written = (new.to(number) / gate.to(number)).to(raw.dtype)
        changed = (new != added) & ~(new.isnan() & added.isnan())
        lost = changed & new.isfinite() & ~written.isfinite()
        if lost.any():
            raise InterventionError(
                f"{self.site} cannot be changed at {int(lost.sum())} of {lost.numel()} entries: its gate is "
                f"0 there, or too small, so nothing that {self.module} puts out is added; change {RESID}"
            )
        return torch.where(changed, written, raw)


@dataclass(frozen=True)
class Stack:
    """Blocks of one kind, one after another.

    ``blocks`` is the path of their ModuleList in the denoiser, which may hold blocks of several kinds: these
    are ``count`` of it, from ``first`` on. ``streams`` begins with `resid`. ``sublayers`` stand in the order
    in which they run. ``extra`` is what a block adds to the residual stream besides their outputs, such as a
    position embedding, (batch, token, channel); None: nothing.
    """

    blocks: str
    count: int
    streams: tuple[Stream, ...]
    sublayers: tuple[Sublayer, ...] = ()
    first: int = 0
    extra: Callable[[BlockCall], torch.Tensor] | None = None

    @property
    def places(self) -> range:
        """The indices of the blocks in their ModuleList."""
        return range(self.first, self.first + self.count)

    def stream(self, site: str) -> Stream | None:
        """The stream that is called ``site``, if these blocks have it."""
        return next((stream for stream in self.streams if stream.site == site), None)
