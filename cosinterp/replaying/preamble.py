"""What a pipeline computes before it denoises, remembered: the texts and images of a sweep are few.

Encoding a first image of many frames takes about as long as a step of a large model, and a sweep calls the
pipeline hundreds of times for the same ones.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
import xxhash
from torch.utils._pytree import tree_flatten

from cosinterp.stand_ins import replaced

if TYPE_CHECKING:
    from cosinterp.models.model import Model

_KEPT_OF_EACH = 8
_PLAIN = (bool, int, float, str, torch.dtype, torch.device)


class Preamble:
    """Answers calls of a pipeline's encoders from memory where their arguments are those of an earlier call.

    Encoders are all components with weights but the denoisers; of the VAE its ``encode``. Of each the last
    few answers are kept.
    """

    def __init__(self, model: Model) -> None:
        self._encoders: list[tuple[Any, str]] = []
        for name, component in model.pipeline.components.items():
            if isinstance(component, torch.nn.Module) and name not in model.anatomy.experts:
                self._encoders.append((component, "encode" if hasattr(component, "encode") else "forward"))
        self._known: list[OrderedDict[bytes, Any]] = [OrderedDict() for _ in self._encoders]

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Within the block encoders are answered from memory."""
        with ExitStack() as stack:
            for (component, method), known in zip(self._encoders, self._known, strict=True):
                answering = _answering(getattr(component, method), known)
                stack.enter_context(replaced(component, method, answering))
            yield


def _answering(method: Callable[..., Any], known: OrderedDict[bytes, Any]) -> Callable[..., Any]:
    def answer(*args: Any, **kwargs: Any) -> Any:
        digest = _digest((args, kwargs))
        if digest is None:
            return method(*args, **kwargs)
        # Copies, since whoever gets an answer may write into it, or into an argument that it is a view of;
        # also of what is no tensor, for a distribution holds some.
        if digest in known:
            known.move_to_end(digest)
            return copy.deepcopy(known[digest])
        answered = method(*args, **kwargs)
        known[digest] = copy.deepcopy(answered)
        while len(known) > _KEPT_OF_EACH:
            known.popitem(last=False)
        return answered

    return answer


def _digest(arguments: Any) -> bytes | None:
    """Of all that a call was given, tensors by their contents; None if something else is among it."""
    leaves, form = tree_flatten(arguments)
    digest = xxhash.xxh3_128(repr(form).encode())
    for leaf in leaves:
        if isinstance(leaf, torch.Tensor):
            digest.update(f"{leaf.dtype} {tuple(leaf.shape)} {leaf.device}".encode())
            digest.update(leaf.detach().contiguous().cpu().flatten().view(torch.uint8).numpy().data)
        elif leaf is None or isinstance(leaf, _PLAIN):
            digest.update(f"{type(leaf)} {leaf!r}".encode())
        else:
            return None
    return digest.digest()
