"""One denoising step of a run, from what enters the denoiser to the clean estimate, perhaps with its graph.

Pipelines run without gradients. Here they are switched on from the first denoiser call of one step until that
step is over, so that they go through the pipeline's own guidance, whatever it is; then the pipeline's call is
ended. Parameters are frozen meanwhile, so the graph holds activations only.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch.utils._pytree import keystr, tree_map_only, tree_map_with_path

from cosinterp.capture.watching import OnTensor, Shortcuts, traced_call
from cosinterp.denoising import Clock
from cosinterp.errors import InterventionError
from cosinterp.models.eager import eager
from cosinterp.models.model import Model
from cosinterp.replaying.player import Trajectory
from cosinterp.replaying.preamble import Preamble
from cosinterp.samples import Sample
from cosinterp.steps import Call, Step

T = TypeVar("T")
Branches = tuple[str, ...]
"""The branches of a denoiser call, in the order of its rows."""
OnInput = Callable[[Branches, str, torch.Tensor], torch.Tensor]
"""Given a floating-point tensor that enters the denoiser, with its argument's name; returns what enters."""

_WEIGHTS_LEAVE = ("group", "sequential")
"""Ways of offloading that take the weights of a block away as soon as it has run."""
_CHECKPOINTING = "gradient_checkpointing"


@dataclass(frozen=True)
class Side:
    """One run of a pair.

    Attributes:
        sample, seed: of the run.
        settings: its complete sampling settings, from `Model.sampling`.
        known: what the run did, so that its steps before the one that is looked at need not be computed
            again; None: they are.
    """

    sample: Sample
    seed: int
    settings: dict[str, Any]
    known: Trajectory | None = None

    def __str__(self) -> str:
        return f"{self.sample.name} seed {self.seed}"


class Passes:
    """Passes of one model through single steps of runs; encoders are asked once for each text and image.

    Raises:
        InterventionError: the model is offloaded in a way that gradients cannot go through.
    """

    def __init__(self, model: Model) -> None:
        if model.offload in _WEIGHTS_LEAVE:
            raise InterventionError(
                f'{model.name} is loaded with offload "{model.offload}", which takes weights away before '
                'gradients have gone through them; load it with offload "model", or without'
            )
        self.model = model
        self._preamble = Preamble(model)
        self._forms: dict[int, Any] = {}

    def denoise(
        self,
        side: Side,
        step: int,
        layers: dict[str, tuple[int, ...]],
        on_tensor: OnTensor,
        on_input: OnInput,
        then: Callable[[Step], T],
        *,
        grad: bool,
    ) -> T:
        """Run a pipeline up to the end of a step and no further; what ``then`` makes of that step.

        Args:
            side: the run.
            step: which.
            layers: of each site that ``on_tensor`` is told of, at this step alone.
            on_tensor: as in `traced_call`.
            on_input: sees and changes what enters the denoiser at this step.
            then: given the step, with its graph if ``grad``. Called while the pipeline's call goes on, when
                what is offloaded after it is still on its device.
            grad: whether there are gradients.

        Raises:
            InterventionError: the run has no such step, or the call allows no gradients.
        """
        model, known = self.model, side.known
        made: list[T] = []

        def on_step(done: Step) -> None:
            if done.index == step:
                made.append(then(done))
                raise _Over

        def answer(index: int) -> torch.Tensor | None:
            return known.prediction(index) if known is not None and index < step else None

        size = model.size(side.settings)
        clock = Clock(model.pipeline, model.anatomy, size, on_step=on_step, answer=answer)
        experts = [getattr(model.pipeline, component) for component in model.anatomy.experts]
        skips = _Earlier(step if known is not None else 0, self._forms)
        with ExitStack() as stack:
            # As at the end of the call, which it does not reach: offloaded modules stay on the GPU else.
            stack.callback(model.pipeline.maybe_free_model_hooks)
            for context in (
                eager(model.pipeline),
                self._preamble.remembered(),
                _scheduler_kept(model.pipeline.scheduler),
                _grad_mode_kept(),
                _frozen(experts),
                _without_checkpointing(experts),
                clock.watching(),
                _entering(experts, clock, step, on_input, grad=grad),
                suppress(_Over),
            ):
                stack.enter_context(context)
            # Within: some families encode texts for the pipeline's arguments.
            arguments = model.arguments(side.sample, (side.seed,), side.settings, output_type="latent")
            traced_call(model, arguments, clock, layers, lambda call: call.step == step, on_tensor, skips)
        if not made:
            raise InterventionError(f"{side}: there is no step {step} in {side.settings['num_steps']}")
        return made[0]


class _Earlier(Shortcuts):
    """Denoiser calls of the steps before one are answered by anything of the right form, which the first call
    of its form gives, since the scheduler is given the stored prediction."""

    def __init__(self, start: int, forms: dict[int, Any]) -> None:
        self.start = start
        self._forms = forms

    def output_of(self, calls: tuple[Call, ...]) -> Any | None:
        """See `Shortcuts`."""
        return self._forms.get(len(calls)) if calls[0].step < self.start else None

    def denoiser_ran(self, calls: tuple[Call, ...], output: Any) -> None:
        """See `Shortcuts`."""
        if len(calls) not in self._forms:
            # Without its graph, and apart from what the pipeline may write into.
            self._forms[len(calls)] = tree_map_only(torch.Tensor, lambda part: part.detach().clone(), output)


def interpolated(start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    """A point on the straight line between two tensors, in the dtype of the first, computed in float32."""
    return (start.float() + share * (end.float() - start.float())).to(start.dtype)


class _Over(Exception):
    """The step is over, and with it the pipeline's call."""


@contextmanager
def _entering(
    experts: list[Any], clock: Clock, step: int, on_input: OnInput, *, grad: bool
) -> Iterator[None]:
    def enter(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if clock.step != step:
            return None
        if grad and torch.is_inference_mode_enabled():
            raise InterventionError(
                "this runs under torch.inference_mode, which allows no gradients; call it outside of that"
            )
        torch.set_grad_enabled(grad)
        names = _parameters(type(module))
        branches = _branches(clock.under_way)

        def replaced(path: Any, leaf: Any) -> Any:
            if not isinstance(leaf, torch.Tensor) or not leaf.is_floating_point():
                return leaf
            (_, first), rest = (path[0], path[1]), path[2:]
            name = names[first.idx] if hasattr(first, "idx") else str(first.key)
            return on_input(branches, name + keystr(rest), leaf)

        return tree_map_with_path(replaced, (args, kwargs))

    with ExitStack() as stack:
        for expert in experts:
            handle = expert.register_forward_pre_hook(enter, with_kwargs=True)
            stack.callback(handle.remove)
        yield


def _branches(calls: tuple[Call, ...]) -> Branches:
    return tuple(call.branch for call in calls)


def _parameters(module: type) -> tuple[str, ...]:
    # Of the class: offloading puts a forward of another signature into the instance.
    return tuple(inspect.signature(module.forward).parameters)[1:]  # type: ignore[attr-defined]


@contextmanager
def _frozen(modules: list[Any]) -> Iterator[None]:
    parameters = [
        parameter for module in modules for parameter in module.parameters() if parameter.requires_grad
    ]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def _without_checkpointing(modules: list[Any]) -> Iterator[None]:
    """Have no block run again in the backward pass, when nobody puts its activations back."""
    checkpointed = [
        part for module in modules for part in module.modules() if getattr(part, _CHECKPOINTING, False)
    ]
    for part in checkpointed:
        setattr(part, _CHECKPOINTING, False)
    try:
        yield
    finally:
        for part in checkpointed:
            setattr(part, _CHECKPOINTING, True)


@contextmanager
def _grad_mode_kept() -> Iterator[None]:
    before = torch.is_grad_enabled()
    try:
        yield
    finally:
        torch.set_grad_enabled(before)


@contextmanager
def _scheduler_kept(scheduler: Any) -> Iterator[None]:
    """Put a scheduler's state back: a multistep one keeps its last predictions, and so their graph."""
    before: Mapping[str, Any] = {
        name: list(value) if isinstance(value, list) else value for name, value in vars(scheduler).items()
    }
    try:
        yield
    finally:
        vars(scheduler).clear()
        vars(scheduler).update(before)
