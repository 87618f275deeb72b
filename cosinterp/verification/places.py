"""Where in the video a token is: whether the token grid is that of the latents.

What follows the last block works on each token by itself, so a change of some tokens there changes the
prediction in the latent cells of these tokens and nowhere else. That shows the order of the tokens, the size
of the patches and how latents lie, all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch

from cosinterp.denoising import Clock
from cosinterp.models.blocks import BlockCall
from cosinterp.models.eager import eager
from cosinterp.models.geometry import Size
from cosinterp.models.model import Model
from cosinterp.steps import Step

_SEED = 0

MakeArguments = Callable[[], dict[str, Any]]
"""Makes the arguments of the pipeline's call anew: a call uses its random generators up."""


def misplaced_cells(
    model: Model, size: Size, make_arguments: MakeArguments, *, conditioned: bool = False
) -> tuple[int, int]:
    """Change half of the tokens of the last layer at the first step, and see where the prediction changes.

    Of a pipeline call that makes one video of ``size``, without guidance; it ends after its first step.

    ``conditioned``: whether the pipeline is given an image, or a video. Frames in which nothing changes at
    all are left out then: there it puts its condition in place of what is predicted.

    Returns:
        How many latent cells change although their token did not, or do not although it did; and how many
        were looked at.
    """
    geometry = model.anatomy.geometry
    grid = geometry.grid(size)
    chosen = torch.rand(grid, generator=torch.Generator().manual_seed(_SEED)) < 0.5
    # Around the hooks too: what is compiled may stand in the place of a block.
    with eager(model.pipeline):
        plain = _first_step(model, size, make_arguments())
        with _changed(model, size, chosen):
            changed = _first_step(model, size, make_arguments())
    differing = (plain.prediction != changed.prediction).any(dim=(0, 1)).cpu()
    cells = chosen
    for axis, patch in enumerate(geometry.patch_size):
        cells = cells.repeat_interleave(patch, dim=axis)
    looked_at = differing.any(dim=(1, 2))
    if not conditioned or not looked_at.any():
        looked_at[:] = True
    return int((differing != cells)[looked_at].sum()), cells[looked_at].numel()


class _Enough(Exception):
    """Ends the pipeline's call."""


def _first_step(model: Model, size: Size, arguments: dict[str, Any]) -> Step:
    seen: list[Step] = []

    def keep(step: Step) -> None:
        seen.append(step)
        raise _Enough

    clock = Clock(model.pipeline, model.anatomy, size, on_step=keep)
    try:
        with suppress(_Enough), clock.watching():
            model.pipeline(**arguments)
    finally:
        # As the pipeline does at its end, which it does not reach: what was offloaded stays on the GPU else.
        model.pipeline.maybe_free_model_hooks()
    return seen[0]


@contextmanager
def _changed(model: Model, size: Size, chosen: torch.Tensor) -> Iterator[None]:
    """Within the block, noise of their own size is added to the ``chosen`` tokens of the last layer."""
    anatomy = model.anatomy
    stack, place = anatomy.stack_of(anatomy.num_layers)
    stream = stack.streams[0]

    def change(block: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        tokens = stream.leaving(output, stream.entering(BlockCall(block, args, kwargs))).clone()
        places = chosen.flatten().nonzero().squeeze(1).to(tokens.device)
        order = anatomy.token_order(size, tokens.device)
        places = places if order is None else order[places]
        noise = torch.randn(tokens[:, places].shape, generator=torch.Generator().manual_seed(_SEED))
        tokens[:, places] += (noise.to(tokens.device) * tokens.float().std()).to(tokens.dtype)
        return stream.put(output, tokens)

    with ExitStack() as hooks:
        for component in anatomy.experts:
            block = getattr(model.pipeline, component).get_submodule(stack.blocks)[place]
            hooks.callback(block.register_forward_hook(change, with_kwargs=True).remove)
        yield
