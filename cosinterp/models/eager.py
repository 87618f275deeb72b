"""Running compiled pipelines eagerly while they are looked into.

Tracing reads, and patching changes, what modules inside the denoiser return. Code that `torch.compile` made
of the denoiser, or of its blocks, has no such modules left: it fuses them. So within `eager` what was
compiled runs as it was written; afterwards it is compiled as before, and nothing has to be compiled again.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from cosinterp.errors import ModelWarning

if TYPE_CHECKING:
    import torch

_WHY = "compiled code fuses the modules whose outputs are read"


def uncompiled(module: Any) -> Any:
    """The module that `torch.compile` was given, where it returned another one around it."""
    from torch._dynamo.eval_frame import OptimizedModule

    while isinstance(module, OptimizedModule):
        module = module._orig_mod
    return module


@contextmanager
def eager(pipeline: Any) -> Iterator[None]:
    """Run a pipeline's modules uncompiled within the block, and warn if one was compiled.

    Covers ``module.compile()``, which ``compile_repeated_blocks`` calls too, a compiled ``forward``, and
    blocks that `torch.compile` took the place of. A whole component that it took the place of is unwrapped
    when the pipeline is loaded: see `uncompiled`.
    """
    with ExitStack() as stack:
        compiled = [
            name
            for name, component in _components(pipeline)
            if sum(_uncompile(module, stack) for module in list(component.modules()))
        ]
        if compiled:
            warn_of_compiled(compiled)
        yield


def _uncompile(module: torch.nn.Module, stack: ExitStack) -> bool:
    """Have a module run as it was written until ``stack`` is closed; whether it was compiled."""
    found = False
    for name, child in list(module._modules.items()):
        if uncompiled(child) is not child:
            stack.enter_context(_set(module._modules, name, uncompiled(child)))
            found = True
    if getattr(module, "_compiled_call_impl", None) is not None:
        stack.enter_context(_set(vars(module), "_compiled_call_impl", None))
        found = True
    original = getattr(vars(module).get("forward"), "_torchdynamo_orig_callable", None)
    # What torch.compile returns is a module too, with the original's forward.
    if original is not None and uncompiled(module) is module:
        stack.enter_context(_forward(module, original))
        found = True
    return found


@contextmanager
def _forward(module: torch.nn.Module, original: Any) -> Iterator[None]:
    """Give a module its own forward, within what nnsight wrapped it in, if it did so before.

    What nnsight keeps of a module holds the forward that it found the first time; the module may have been
    given another one since.
    """
    from nnsight.intervention.source import STATE, Controller, module_body

    own = vars(module)
    with _set(own, "forward", original):
        state = own.get(STATE)
        if state is not None and not isinstance(original, Controller):
            body = module_body(module)
            if body != state.original:
                state.body = state.original = body
                state.sourced, state.compiled = False, None
            own["forward"] = Controller(module, state)
        yield


def warn_of_compiled(names: list[str]) -> None:
    """Say that components run uncompiled, and why."""
    warnings.warn(
        f"{', '.join(names)}: compiled with torch.compile; runs uncompiled here, since {_WHY}",
        ModelWarning,
        stacklevel=3,
    )


def _components(pipeline: Any) -> Iterator[tuple[str, torch.nn.Module]]:
    import torch

    for name, component in pipeline.components.items():
        if isinstance(component, torch.nn.Module):
            yield name, component


@contextmanager
def _set(owner: dict[str, Any], name: str, value: Any) -> Iterator[None]:
    before = owner[name]
    owner[name] = value
    try:
        yield
    finally:
        owner[name] = before
