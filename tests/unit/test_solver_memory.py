"""What schedulers remember goes along with changes of the latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import pytest
import torch

from cosinterp.errors import ModelError
from cosinterp.solver_memory import RowsMap, carry, check_changeable

FLOW: dict[str, Any] = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
NUM_STEPS = 6
CASES: list[tuple[str, dict[str, Any]]] = [
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
    *(("UniPCMultistepScheduler", {**FLOW, "solver_order": order}) for order in (1, 2, 3)),
    *(("DPMSolverMultistepScheduler", {**FLOW, "solver_order": order}) for order in (2, 3)),
    ("DEISMultistepScheduler", {**FLOW, "solver_order": 2}),
]
# DEIS remembers noise, which is another one where the latent is moved and the clean estimate stays.
OF_CLEAN_ESTIMATES = [case for case in CASES if not case[0].startswith("DEIS")]

Change = Callable[[torch.Tensor], torch.Tensor]


def scheduler_of(kind: str, config: dict[str, Any]) -> Any:
    scheduler = getattr(diffusers, kind)(**config)
    scheduler.set_timesteps(NUM_STEPS)
    return scheduler


def denoised(
    scheduler: Any,
    noise: torch.Tensor,
    velocity: Callable[[torch.Tensor, float], torch.Tensor],
    at: int | None = None,
    change: Change | None = None,
    memory: RowsMap | None = None,
) -> list[torch.Tensor]:
    """The latents before each step and after the last; those that leave step ``at`` are changed."""
    trajectory = [noise]
    for index, timestep in enumerate(scheduler.timesteps):
        latents = trajectory[-1]
        prediction = velocity(latents, float(scheduler.sigmas[index]))
        after = scheduler.step(prediction, timestep, latents, return_dict=False)[0]
        if index == at and change is not None:
            carry(scheduler, after, changed := change(after), len(noise), memory)
            after = changed
        trajectory.append(after)
    return trajectory


def rows(seed: int, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 2, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def curved(latents: torch.Tensor, sigma: float) -> torch.Tensor:
    """A velocity whose clean estimate changes from step to step."""
    return torch.tanh(latents) * (1 + sigma) - 0.3 * latents


@pytest.mark.parametrize(("kind", "config"), CASES)
@pytest.mark.parametrize("at", [0, 2, NUM_STEPS - 2])
def test_rows_that_change_places_go_on_as_each_other(kind: str, config: dict[str, Any], at: int) -> None:
    def swap(tensor: torch.Tensor) -> torch.Tensor:
        return tensor[[1, 0]]

    noise = rows(0)
    plain = denoised(scheduler_of(kind, config), noise, curved)
    swapped = denoised(scheduler_of(kind, config), noise, curved, at, swap, swap)

    for step in range(at + 1, NUM_STEPS + 1):
        assert torch.equal(swapped[step], plain[step][[1, 0]])


@pytest.mark.parametrize(("kind", "config"), OF_CLEAN_ESTIMATES)
@pytest.mark.parametrize("at", [0, 2, NUM_STEPS - 2])
def test_a_changed_latent_is_what_the_next_step_goes_on_from(
    kind: str, config: dict[str, Any], at: int
) -> None:
    """With one clean estimate throughout, x_t - x0 shrinks with sigma, whatever the solver's order."""
    noise, clean, moved = rows(0), rows(1), rows(2)

    def to_clean(latents: torch.Tensor, sigma: float) -> torch.Tensor:
        return (latents - clean) / sigma

    plain = denoised(scheduler_of(kind, config), noise, to_clean)
    scheduler = scheduler_of(kind, config)
    changed = denoised(scheduler, noise, to_clean, at, lambda after: after + moved)

    start = changed[at + 1]
    assert torch.equal(start, plain[at + 1] + moved)
    shrunk = float(scheduler.sigmas[at + 2] / scheduler.sigmas[at + 1])
    expected = clean + shrunk * (start - clean)
    # Levels are float32.
    torch.testing.assert_close(changed[at + 2], expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("kind", "config"), CASES)
def test_a_change_that_changes_nothing_is_exact(kind: str, config: dict[str, Any]) -> None:
    noise = rows(0)
    plain = denoised(scheduler_of(kind, config), noise, curved)
    same = denoised(scheduler_of(kind, config), noise, curved, 2, torch.clone, torch.clone)
    assert all(torch.equal(one, other) for one, other in zip(plain, same, strict=True))


def test_rows_of_doubled_batches_are_merged_branch_by_branch() -> None:
    scheduler = scheduler_of("UniPCMultistepScheduler", FLOW)
    noise = rows(0, 4)
    after = scheduler.step(curved(noise, 1.0), scheduler.timesteps[0], noise, return_dict=False)[0]

    def first(tensor: torch.Tensor) -> torch.Tensor:
        return tensor[:1].expand_as(tensor)

    carry(scheduler, after, after[[0, 0, 2, 2]], 2, first)

    assert torch.equal(scheduler.last_sample, noise[[0, 0, 2, 2]])


def test_schedulers_that_would_undo_a_change_are_refused() -> None:
    with pytest.raises(ModelError, match="HeunDiscreteScheduler"):
        check_changeable(diffusers.HeunDiscreteScheduler(), merges=False)
    with pytest.raises(ModelError, match="CogVideoXDDIMScheduler"):
        check_changeable(diffusers.CogVideoXDPMScheduler(), merges=True)
    check_changeable(diffusers.CogVideoXDPMScheduler(), merges=False)
