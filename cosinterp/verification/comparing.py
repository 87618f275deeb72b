"""What is compared of the generations of a model."""

from __future__ import annotations

from math import prod

import numpy as np
import torch

from cosinterp.denoising import ClockError
from cosinterp.models.blocks import RESID
from cosinterp.models.model import Model
from cosinterp.samples import Sample
from cosinterp.verification.check import Check, largest_difference, measured, share, within
from cosinterp.verification.generating import ENTERING, EXTRA, Case, Generation
from cosinterp.verification.places import misplaced_cells

CALLS = "denoiser calls of each step, branch and expert, and the schedule"
_PIXEL = 1 / 255


def check_schedule(model: Model, run: Generation, case: Case) -> Check:
    """Each step called each branch once, on its expert."""
    branches = model.anatomy.guidance.computed(case.settings)
    num_steps = case.settings["num_steps"]
    name = "calls" + case.suffix
    compares = CALLS
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


def check_clean_estimate(run: Generation) -> Check:
    """Of the steps that the clean estimate determines."""
    compares = "what a step ends with and its clean estimate, with as much noise as the schedule leaves"
    told = [pair for pair in run.steps if pair is not None]
    if not run.steps:
        return Check("clean estimate", False, compares, detail="no step was seen")
    if not told:
        detail = "nothing to compare: the schedule ends above 0"
        return Check("clean estimate", True, compares, detail=detail, compared=False)
    difference, allowed = max(told, key=lambda pair: share(*pair))
    detail = f"{len(told)} of {len(run.steps)} steps"
    return measured("clean estimate", compares, difference, allowed, detail)


def check_tokens(model: Model, run: Generation, case: Case) -> Check:
    """Each stream has as many tokens as its grid."""
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


def check_places(model: Model, sample: Sample, cases: list[Case]) -> Check:
    """Without guidance where that can be: rescaling it lets each token change all of the prediction."""
    compares = "latent cells whose prediction changes with tokens of the last layer, and the tokens' cells"
    guidance = model.anatomy.guidance
    plainest = min(cases, key=lambda case: (len(case.seeds), len(guidance.computed(case.settings))))
    size = model.size(plainest.settings)
    wrong, looked_at = misplaced_cells(
        model,
        size,
        lambda: model.arguments(sample, plainest.seeds, plainest.settings),
        conditioned=sample.has_image or bool(sample.videos),
    )
    return measured("token places", compares, wrong, 0, f"{looked_at} cells")


def check_video(plain: Generation, other: Generation, name: str, compares: str) -> Check:
    """Bit for bit."""
    worst = float(np.abs(plain.frames - other.frames).max())
    return measured(name, compares, worst, 0.0)


def check_decoded(model: Model, plain: Generation, case: Case) -> Check:
    """Decoding the final latent, its pinned frames among them, gives the video, or clean estimates do not."""
    compares = (
        "the decoded final latent and the video of the plain pipeline, in parts of the range of a pixel"
    )
    if plain.final is None:
        return Check("decoded video", False, compares, detail="no step was seen")
    try:
        num_frames = case.settings.get("num_frames", 1)
        decoded = model.anatomy.decode(model.pipeline, plain.final.float().cpu(), num_frames)
    # Whatever the VAE says: it does not take these latents so.
    except Exception as error:  # noqa: BLE001
        detail = f"decoding fails: {type(error).__name__}: {error}"
        return Check("decoded video", False, compares, detail=detail)
    if decoded.shape != plain.frames.shape:
        detail = f"decoded is {decoded.shape}, the video {plain.frames.shape}"
        return Check("decoded video", False, compares, detail=detail)
    # Pipelines may round in between where the anatomy does not.
    return measured("decoded video", compares, float(np.abs(decoded - plain.frames).max()), _PIXEL)


def check_branches(model: Model, guided: dict[str, torch.Tensor], unguided: Generation, case: Case) -> Check:
    """The branch without guidance is `cond`, and nearer to the guided one of that name than to `uncond`.

    ``guided``: the residual stream at the last layer of the first step, by branch; see `first_streams`.
    """
    name = "branches"
    compares = "cond of the first guided step and the branch without guidance; half as near as uncond passes"
    alone = [stream.double() for stream in first_streams(model, unguided).values()]
    # Perturbed branches may compute what cond computes.
    if len(alone) == 1 and {"cond", "uncond"} <= set(guided):
        near, far = (float((guided[branch].double() - alone[0]).abs().max()) for branch in ("cond", "uncond"))
        if near != far:
            return measured(name, compares, near, far / 2)
    detail = "nothing to compare: no two branches, or both the same"
    return Check(name, True, compares, detail=detail, compared=False)


def first_streams(model: Model, run: Generation) -> dict[str, torch.Tensor]:
    """The residual stream at the last layer of the first step, by branch."""
    first: dict[str, torch.Tensor] = {}
    for (site, layer, call), tokens in run.tensors.items():
        if site == RESID and layer == model.num_layers and call.step == 0:
            first[call.branch] = tokens
    return first


def check_captured(plain: Generation, traced: Generation, case: Case) -> Check:
    """Bit for bit."""
    name = "captured tensors" + case.suffix
    compares = "captured tensors and those of plain PyTorch hooks, at each site, layer, step, branch, expert"
    expected = {key: value for key, value in plain.tensors.items() if key[0] not in (ENTERING, EXTRA)}
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
    worst = max(largest_difference(captured[key], value) for key, value in expected.items())
    return measured(name, compares, worst, 0.0, f"{len(expected)} tensors")


def check_residual(model: Model, plain: Generation, traced: Generation) -> Check:
    """Each addition to the stream rounds once: by half a unit in the last place of the sum so far."""
    compares = "what a block adds to the residual stream and the sum of its sublayers"
    differences, roundings = [], []
    for (site, layer, call), after in traced.tensors.items():
        stack = model.anatomy.stack_of(layer)[0] if site == RESID and layer else None
        if stack is None or not stack.sublayers:
            continue
        before = plain.tensors[ENTERING, layer, call].double()
        parts = [traced.tensors[part.site, layer, call].double() for part in stack.sublayers]
        if stack.extra is not None:
            parts.append(plain.tensors[EXTRA, layer, call].double())
        if any(part.shape != before.shape for part in parts):
            shapes = ", ".join(
                f"{part.site} {tuple(one.shape)}" for part, one in zip(stack.sublayers, parts, strict=False)
            )
            detail = f"at layer {layer} the stream is {tuple(before.shape)}, its sublayers are {shapes}"
            return Check("sublayer sites", False, compares, detail=detail)
        added = torch.stack(parts)
        differences.append((after.double() - before - added.sum(0)).abs().flatten())
        largest = before.abs() + added.abs().sum(0)
        roundings.append((len(parts) * torch.finfo(after.dtype).eps / 2 * largest).flatten())
    return within("sublayer sites", compares, torch.cat(differences), torch.cat(roundings))
