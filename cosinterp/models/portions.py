"""Where the video's tokens lie in what a module puts out, so that they can be taken from it and put back.

Nothing is changed in place: what `Portion.put` is given stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from cosinterp.models.blocks import BlockCall


class Portion(Protocol):
    """The video's tokens (batch, token, channel), as a part of an output."""

    def take(self, output: Any, call: BlockCall) -> torch.Tensor:
        """The tokens."""
        ...

    def put(self, output: Any, tokens: torch.Tensor, call: BlockCall) -> Any:
        """The output with ``tokens`` in place of them, which have their shape and dtype."""
        ...


@dataclass(frozen=True)
class Whole:
    """The output itself."""

    def take(self, output: torch.Tensor, call: BlockCall) -> torch.Tensor:
        """The tokens."""
        return output

    def put(self, output: torch.Tensor, tokens: torch.Tensor, call: BlockCall) -> torch.Tensor:
        """The output with ``tokens`` in place of them."""
        return tokens


@dataclass(frozen=True)
class Element:
    """An element of the output, where that is several; else the output itself."""

    index: int

    def take(self, output: Any, call: BlockCall) -> torch.Tensor:
        """The tokens."""
        return output[self.index] if isinstance(output, tuple | list) else output

    def put(self, output: Any, tokens: torch.Tensor, call: BlockCall) -> Any:
        """The output with ``tokens`` in place of them."""
        return with_element(output, self.index, tokens) if isinstance(output, tuple | list) else tokens


@dataclass(frozen=True)
class Joined:
    """Tokens that the output joins to those of the text, before or after them.

    There are as many as the block was called with as ``stream``.
    """

    text_first: bool
    stream: str = "hidden_states"

    def take(self, output: torch.Tensor, call: BlockCall) -> torch.Tensor:
        """The tokens."""
        return output[:, self._places(output, call)]

    def put(self, output: torch.Tensor, tokens: torch.Tensor, call: BlockCall) -> torch.Tensor:
        """The output with ``tokens`` in place of them."""
        joined = output.clone()
        joined[:, self._places(output, call)] = tokens
        return joined

    def _places(self, output: torch.Tensor, call: BlockCall) -> slice:
        count, joined = call.argument(self.stream).shape[1], output.shape[1]
        return slice(joined - count, joined) if self.text_first else slice(0, count)


@dataclass(frozen=True)
class OnGrid:
    """The output itself, where it is (batch, frame, row, col, channel)."""

    def take(self, output: torch.Tensor, call: BlockCall) -> torch.Tensor:
        """The tokens."""
        return output.flatten(1, 3)

    def put(self, output: torch.Tensor, tokens: torch.Tensor, call: BlockCall) -> torch.Tensor:
        """The output with ``tokens`` in place of them."""
        return tokens.reshape(output.shape)


WHOLE = Whole()


def with_element(output: tuple[Any, ...] | list[Any], index: int, element: Any) -> Any:
    """Several things that a module returned, a tuple or a list as before, one of them another."""
    replaced = [element if place == index else part for place, part in enumerate(output)]
    return tuple(replaced) if isinstance(output, tuple) else replaced


def fitting(tokens: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """``tokens`` in the dtype and on the device of what they take the place of.

    Raises:
        ValueError: they have another shape.
    """
    if tokens.shape != place.shape:
        raise ValueError(f"tokens {tuple(tokens.shape)} cannot take the place of {tuple(place.shape)}")
    return tokens.to(place)
