"""Proving that a model is understood: what is captured is what it computes, and capturing changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import torch

from cosinterp.capture.watching import inner, traced_call
from cosinterp.denoising import Call, Clock, ClockError, Step, clean_estimate
from cosinterp.errors import UserError
from cosinterp.models.blocks import RAW, RESID, BlockCall, Stack, Sublayer
from cosinterp.models.eager import eager
from cosinterp.models.model import Model
from cosinterp.models.probe import probe_sample
from cosinterp.samples import Sample
from cosinterp.token_places import misplaced_cells

NUM_STEPS = 4

_ENTERING, _EXTRA = "entering", "extra"
"""Not sites: the residual stream as it enters a block, and what the block adds besides its sublayers."""

_CALLS = "denoiser calls of each step, branch and expert, and the schedule"

Key = tuple[str, int, Call]
Tensors = dict[Key, torch.Tensor]


@dataclass(frozen=True)
class Check:
    """One check: what it compares, the worst difference found and the largest that passes.

    ``worst`` is None where there is nothing to measure; ``detail`` then says what happened.
    """

    name: str
    passed: bool
    compares: str
    worst: float | None = None
    allowed: float | None = None
    detail: str = ""


@dataclass
class _Generation:
    """One generation, and what was seen of it."""

    clock: Clock
    frames: np.ndarray = field(default_factory=lambda: np.empty(0))
    tensors: Tensors = field(default_factory=dict)
    steps: list[tuple[float, float] | None] = field(default_factory=list)
    """How far each step ends from where its clean estimate says, and may end; None: it does not say."""

    def keep(self, site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
        self.tensors[site, layer, call] = tokens.detach().to("cpu", copy=True)

    def compare_step(self, step: Step) -> None:
        """Compare what a step ends with and what its clean estimate says of that."""
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
        self.steps.append(_worst(difference, rounding))

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
class _Case:
    """One way to run the model: how the names of its checks end, its settings, its seeds."""

    suffix: str
    settings: dict[str, Any]
    seeds: tuple[int, ...]


def verify(
    model: Model,
    sample: Sample | None = None,
    *,
    seed: int = 0,
    on_check: Callable[[Check], None] | None = None,
    **sampling: Any,
) -> list[Check]:
    """Check a model on short, small generations; a few seconds for a small model.

    All is checked with guidance on; calls and captured tensors also without guidance, and for two videos in
    one batch.

    Args:
        sample: what to generate from; default: a made-up prompt, and an image if the model takes one, at
            the smallest size that has several tokens along each axis.
        seed: of the noise.
        on_check: called with each check as soon as it is done.
        **sampling: settings of the pipeline's call; default: 4 steps, with guidance.

    Returns:
        The checks, in order; all have to pass.

    Raises:
        UserError: the sample or a setting does not fit the model.
    """
    probe = sample or probe_sample(model)
    checks: list[Check] = []

    def done(check: Check) -> None:
        checks.append(check)
        if on_check is not None:
            on_check(check)

    def plainly(case: _Case) -> _Generation | None:
        """By the plain pipeline; None where it fails, which is told."""
        try:
            return _generate(model, probe, case, _plain_call)
        except UserError:
            raise
        except ClockError as error:
            detail = str(error)
        # Whatever the pipeline says: it is that which does not take this case.
        except Exception as error:  # noqa: BLE001
            detail = f"the pipeline itself fails: {type(error).__name__}: {error}"
        done(Check("calls" + case.suffix, False, _CALLS, detail=detail))
        return None

    main, *others = _cases(model, probe, seed, sampling)
    plain = plainly(main)
    if plain is None:
        return checks
    done(_check_schedule(model, plain, main))
    done(_check_clean_estimate(plain))
    done(_check_tokens(model, plain, main))
    done(_check_places(model, probe, [main, *others]))
    traced = _generate(model, probe, main, _traced_call)
    done(_check_video(plain, traced, "traced video", "video of the traced and of the plain pipeline"))
    done(_check_captured(plain, traced, main))
    if any(stack.sublayers for stack in model.anatomy.stacks):
        done(_check_residual(model, plain, traced))
    patched = _generate(model, probe, main, _identity_call)
    done(
        _check_video(
            plain, patched, "identity patch", "video with each block's output replaced by itself, and without"
        )
    )
    del plain, traced, patched
    for case in others:
        plain = plainly(case)
        if plain is None:
            continue
        done(_check_schedule(model, plain, case))
        done(_check_captured(plain, _generate(model, probe, case, _traced_call), case))
    return checks


def _cases(model: Model, sample: Sample, seed: int, sampling: dict[str, Any]) -> list[_Case]:
    guidance = model.anatomy.guidance
    asked = {"num_steps": NUM_STEPS, **sampling}
    main = _Case("", model.sampling(sample, {**guidance.on, **asked}), (seed,))
    cases = [main]
    off = model.sampling(sample, {**asked, **guidance.off})
    if guidance.computed(off) != guidance.computed(main.settings):
        cases.append(_Case(", no guidance", off, (seed,)))
    if not model.anatomy.one_at_a_time:
        cases.append(_Case(", two in a batch", main.settings, (seed, seed + 1)))
    return cases


def _generate(
    model: Model,
    sample: Sample,
    case: _Case,
    call: Callable[[Model, dict[str, Any], _Generation], Any],
) -> _Generation:
    clock = Clock(model.pipeline, model.anatomy, model.size(case.settings), len(case.seeds))
    generation = _Generation(clock)
    clock.on_step = generation.compare_step
    with eager(model.pipeline), clock.watching():
        output = call(model, model.arguments(sample, case.seeds, case.settings), generation)
    generation.frames = model.videos(output)
    return generation


def _plain_call(model: Model, arguments: dict[str, Any], generation: _Generation) -> Any:
    with _hooks(model, generation.keep_whole):
        return model.pipeline(**arguments)


def _traced_call(model: Model, arguments: dict[str, Any], generation: _Generation) -> Any:
    layers = {site: model.anatomy.layers_of(site, tuple(model.layers)) for site in model.sites}
    return traced_call(model, arguments, generation.clock, layers, lambda call: True, generation.keep)


def _identity_call(model: Model, arguments: dict[str, Any], generation: _Generation) -> Any:
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
            keep(_ENTERING, layer, stack.streams[0].entering(call))
            if stack.extra is not None:
                keep(_EXTRA, layer, stack.extra(call))
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


def _check_schedule(model: Model, run: _Generation, case: _Case) -> Check:
    branches = model.anatomy.guidance.computed(case.settings)
    num_steps = case.settings["num_steps"]
    name = "calls" + case.suffix
    compares = _CALLS
    try:
        run.clock.check(branches, num_steps)
    except ClockError as error:
        return Check(name, False, compares, detail=str(error))
    experts = sorted({call.expert for call in run.clock.calls})
    detail = f"{num_steps} steps of {', '.join(branches)}"
    if len(experts) < len(model.anatomy.experts):
        missing = [name for i, name in enumerate(model.anatomy.experts) if i not in experts]
        return Check(name, False, compares, detail=f"{detail}; no step reached {', '.join(missing)}")
    return Check(name, True, compares, detail=detail)


def _check_clean_estimate(run: _Generation) -> Check:
    compares = "what a step ends with and its clean estimate, with as much noise as the schedule leaves"
    told = [pair for pair in run.steps if pair is not None]
    if not run.steps:
        return Check("clean estimate", False, compares, detail="no step was seen")
    if not told:
        return Check("clean estimate", True, compares, detail="nothing to compare: the schedule ends above 0")
    difference, allowed = max(told, key=lambda pair: _share(*pair))
    detail = f"{len(told)} of {len(run.steps)} steps"
    return _measured("clean estimate", compares, difference, allowed, detail)


def _check_tokens(model: Model, run: _Generation, case: _Case) -> Check:
    compares = "tokens and channels of each stream, and the token grid of the size"
    anatomy = model.anatomy
    size = model.size(case.settings)
    for (site, layer, _), tokens in run.tensors.items():
        if not anatomy.is_stream(site):
            continue
        expected = (prod(anatomy.stream_grid(site, size, case.settings)), anatomy.stream(site).channels)
        if tuple(tokens.shape[1:]) != expected:
            found = f"{site} at layer {layer} has (token, channel) {tuple(tokens.shape[1:])}, not {expected}"
            return Check("token grid", False, compares, detail=found)
    grid = "x".join(map(str, anatomy.geometry.grid(size)))
    return Check("token grid", True, compares, detail=f"{grid} (frame, row, col)")


def _check_places(model: Model, sample: Sample, cases: list[_Case]) -> Check:
    """Without guidance where that can be: rescaling it lets each token change all of the prediction."""
    compares = "latent cells whose prediction changes with tokens of the last layer, and the tokens' cells"
    guidance = model.anatomy.guidance
    plainest = min(cases, key=lambda case: (len(case.seeds), len(guidance.computed(case.settings))))
    size = model.size(plainest.settings)
    wrong, looked_at = misplaced_cells(
        model, size, lambda: model.arguments(sample, plainest.seeds, plainest.settings)
    )
    return _measured("token places", compares, wrong, 0, f"{looked_at} cells")


def _check_video(plain: _Generation, other: _Generation, name: str, compares: str) -> Check:
    worst = float(np.abs(plain.frames - other.frames).max())
    return _measured(name, compares, worst, 0.0)


def _check_captured(plain: _Generation, traced: _Generation, case: _Case) -> Check:
    name = "captured tensors" + case.suffix
    compares = "captured tensors and those of plain PyTorch hooks, at each site, layer, step, branch, expert"
    expected = {key: value for key, value in plain.tensors.items() if key[0] not in (_ENTERING, _EXTRA)}
    # Gated sites have no module that a hook could see; the residual stream checks them.
    hooked = {key[0] for key in expected}
    captured = {key: value for key, value in traced.tensors.items() if key[0] in hooked}
    # Where a branch does not run a module, nothing is added, and zeros are captured.
    idle = {key for key in set(captured) - set(expected) if not captured[key].any()}
    if set(captured) - idle != set(expected):
        missing = len(set(expected) - set(captured))
        extra = len(set(captured) - idle - set(expected))
        detail = f"{missing} tensors were not captured, {extra} should not have been"
        return Check(name, False, compares, detail=detail)
    worst = max(_difference(captured[key], value) for key, value in expected.items())
    return _measured(name, compares, worst, 0.0, f"{len(expected)} tensors")


def _check_residual(model: Model, plain: _Generation, traced: _Generation) -> Check:
    """Each addition to the stream rounds once: by half a unit in the last place of the sum so far."""
    compares = "what a block adds to the residual stream and the sum of its sublayers"
    differences, roundings = [], []
    for (site, layer, call), after in traced.tensors.items():
        stack = model.anatomy.stack_of(layer)[0] if site == RESID and layer else None
        if stack is None or not stack.sublayers:
            continue
        before = plain.tensors[_ENTERING, layer, call].double()
        parts = [traced.tensors[part.site, layer, call].double() for part in stack.sublayers]
        if stack.extra is not None:
            parts.append(plain.tensors[_EXTRA, layer, call].double())
        added = torch.stack(parts)
        differences.append((after.double() - before - added.sum(0)).abs().flatten())
        largest = before.abs() + added.abs().sum(0)
        roundings.append((len(parts) * torch.finfo(after.dtype).eps / 2 * largest).flatten())
    return _within("sublayer sites", compares, torch.cat(differences), torch.cat(roundings))


def _within(name: str, compares: str, difference: torch.Tensor, allowed: torch.Tensor) -> Check:
    """Compare element by element."""
    return _measured(name, compares, *_worst(difference, allowed))


def _worst(difference: torch.Tensor, allowed: torch.Tensor) -> tuple[float, float]:
    """Those of the element that comes closest to its limit, or exceeds it most."""
    difference, allowed = difference.flatten(), allowed.flatten()
    place = int((difference / allowed.clamp_min(torch.finfo(torch.float64).tiny)).argmax())
    return float(difference[place]), float(allowed[place])


def _share(difference: float, allowed: float) -> float:
    """How much of what is allowed a difference is; of NaN more than anything."""
    share = difference / max(allowed, torch.finfo(torch.float64).tiny)
    return float("inf") if np.isnan(share) else share


def _measured(name: str, compares: str, worst: float, allowed: float, detail: str = "") -> Check:
    # NaN compares as false, so a model that puts out NaN fails.
    return Check(name, worst <= allowed, compares, worst, allowed, detail)


def _difference(one: torch.Tensor, other: torch.Tensor) -> float:
    if one.shape != other.shape or one.dtype != other.dtype:
        return float("inf")
    return float((one.double() - other.double()).abs().max())
