"""The factors of the clean estimate, against what each scheduler makes of the same numbers by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from cosinterp.errors import ModelError
from cosinterp.noise_levels import adds_noise, check_predicts, noise_levels, prediction_type_of

NUM_STEPS = 5
SHAPE = (1, 2, 3, 4, 5)


def scheduler(name: str, **config: Any) -> Any:
    made = getattr(diffusers, name)(**config)
    made.set_timesteps(NUM_STEPS)
    return made


def _original(made: Any, output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
    return made.step(output, timestep, sample).pred_original_sample


def _converted(made: Any, output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
    """Of solvers that compute with the clean estimate."""
    if made.step_index is None:
        made._init_step_index(timestep)
    estimate = made.convert_model_output(output, sample=sample)
    made._step_index += 1
    return estimate


def _euler(made: Any, output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
    """All the way along the velocity: where one step from this level to no noise at all ends."""
    index = int((made.timesteps == timestep).nonzero()[0])
    end = 1.0 if made.config.invert_sigmas else 0.0
    return sample + (end - made.sigmas[index]) * output


CASES: list[tuple[str, str, dict[str, Any], Callable[..., torch.Tensor]]] = [
    *(
        (name, kind, {"prediction_type": prediction, "clip_sample": False}, _original)
        for name in ("DDIMScheduler", "CogVideoXDDIMScheduler")
        for kind, prediction in (("epsilon", "epsilon"), ("v", "v_prediction"), ("sample", "sample"))
    ),
    (
        "CogVideoXDDIMScheduler",
        "v",
        {
            "prediction_type": "v_prediction",
            "snr_shift_scale": 1.0,
            "timestep_spacing": "trailing",
            "rescale_betas_zero_snr": True,
        },
        _original,
    ),
    *(
        (name, kind, {"prediction_type": prediction}, _original)
        for name in ("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler")
        for kind, prediction in (("epsilon", "epsilon"), ("v", "v_prediction"))
    ),
    *(
        (name, kind, {"prediction_type": prediction, **more}, _converted)
        for name in ("UniPCMultistepScheduler", "DPMSolverMultistepScheduler")
        for kind, prediction, more in (
            ("epsilon", "epsilon", {}),
            ("v", "v_prediction", {}),
            ("sample", "sample", {}),
            ("epsilon", "epsilon", {"use_karras_sigmas": True}),
            ("flow", "flow_prediction", {"use_flow_sigmas": True, "flow_shift": 3.0}),
        )
    ),
    ("FlowMatchEulerDiscreteScheduler", "flow", {"shift": 5.0}, _euler),
    ("FlowMatchEulerDiscreteScheduler", "flow", {"invert_sigmas": True}, _euler),
]


@pytest.mark.parametrize(("name", "kind", "config", "reference"), CASES)
def test_the_factors_give_the_clean_estimate_of_the_scheduler(
    name: str, kind: str, config: dict[str, Any], reference: Callable[..., torch.Tensor]
) -> None:
    made = scheduler(name, **config)
    assert prediction_type_of(made, "model") == kind
    levels = noise_levels(made, kind)
    assert levels.clean.shape == (NUM_STEPS, 2)
    assert levels.sigma.shape == (NUM_STEPS + 1,)
    assert (np.diff(levels.sigma) < 0).all()
    generator = torch.Generator().manual_seed(0)
    for timestep, (own, predicted) in zip(made.timesteps, levels.clean, strict=True):
        output, sample = torch.randn(2, *SHAPE, generator=generator).double()
        expected = reference(made, output, timestep, sample)
        found = own * sample + predicted * output
        torch.testing.assert_close(found, expected.double(), rtol=2e-5, atol=2e-5)


LAST, ALL = [NUM_STEPS - 1], list(range(NUM_STEPS))


@pytest.mark.parametrize(
    ("name", "kind", "config", "steps"),
    [
        ("DDIMScheduler", "epsilon", {"clip_sample": False, "set_alpha_to_one": False}, LAST),
        ("DDIMScheduler", "v", {"clip_sample": False, "set_alpha_to_one": False,
                                "prediction_type": "v_prediction"}, LAST),
        ("DDIMScheduler", "epsilon", {"clip_sample": False}, LAST),
        ("EulerDiscreteScheduler", "epsilon", {"final_sigmas_type": "sigma_min"}, ALL),
        ("EulerDiscreteScheduler", "v", {"prediction_type": "v_prediction"}, ALL),
        ("EulerAncestralDiscreteScheduler", "epsilon", {}, LAST),
        ("FlowMatchEulerDiscreteScheduler", "flow", {"shift": 3.0}, ALL),
        ("FlowMatchEulerDiscreteScheduler", "flow", {"invert_sigmas": True}, ALL),
        ("FlowMatchEulerDiscreteScheduler", "epsilon", {"shift": 3.0}, ALL),
        ("DPMSolverMultistepScheduler", "epsilon", {}, LAST),
        ("DPMSolverMultistepScheduler", "epsilon", {"final_sigmas_type": "sigma_min",
                                                    "algorithm_type": "dpmsolver"}, []),
        ("UniPCMultistepScheduler", "flow", {"prediction_type": "flow_prediction",
                                             "use_flow_sigmas": True}, LAST),
    ],
)  # fmt: skip
def test_the_factors_give_what_a_step_ends_with_where_it_depends_on_nothing_else(
    name: str, kind: str, config: dict[str, Any], steps: list[int]
) -> None:
    made = scheduler(name, **config)
    levels = noise_levels(made, kind)
    assert np.flatnonzero(np.isfinite(levels.after).all(axis=1)).tolist() == steps
    generator = torch.Generator().manual_seed(0)
    for step, timestep in enumerate(made.timesteps):
        output, sample = torch.randn(2, *SHAPE, generator=generator)
        after = made.step(output, timestep, sample).prev_sample
        if step in steps:
            own, predicted = levels.after[step]
            torch.testing.assert_close(own * sample + predicted * output, after, rtol=2e-5, atol=2e-5)


def test_the_clean_estimate_is_given_to_edm() -> None:
    made = scheduler("EDMEulerScheduler", final_sigmas_type="sigma_min")
    levels = noise_levels(made, "sample")
    generator = torch.Generator().manual_seed(0)
    for timestep, clean, after in zip(made.timesteps, levels.clean, levels.after, strict=True):
        estimate, sample = torch.randn(2, *SHAPE, generator=generator)
        made.scale_model_input(sample, timestep)
        found = made.step(estimate, timestep, sample, pred_original_sample=estimate).prev_sample
        assert clean.tolist() == [0, 1]
        torch.testing.assert_close(after[0] * sample + after[1] * estimate, found, rtol=2e-5, atol=2e-5)


def test_a_reversed_flow_points_the_other_way() -> None:
    made = scheduler("FlowMatchEulerDiscreteScheduler", shift=3.0)
    flow, reversed_flow = noise_levels(made, "flow"), noise_levels(made, "reversed flow")
    np.testing.assert_array_equal(reversed_flow.sigma, flow.sigma)
    np.testing.assert_array_equal(reversed_flow.clean, flow.clean * [1, -1])
    np.testing.assert_allclose(reversed_flow.after, flow.after * [1, -1])


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("PNDMScheduler", {}, "the scheduler PNDMScheduler is not known"),
        ("HeunDiscreteScheduler", {}, "calls the denoiser 2 times a step"),
        ("FlowMatchEulerDiscreteScheduler", {"stochastic_sampling": True}, "noise .* no seed determines"),
        ("DDIMScheduler", {"clip_sample": True}, "clips its clean estimates"),
        ("DDIMScheduler", {"clip_sample": False, "thresholding": True}, "clips its clean estimates"),
        ("DDIMScheduler", {"clip_sample": False, "prediction_type": "score"}, "'score', which is not known"),
    ],
)
def test_what_is_not_understood_is_refused(name: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=f"my-model: .*{message}"):
        prediction_type_of(getattr(diffusers, name)(**config), "my-model")


def test_a_scheduler_for_another_prediction_is_refused() -> None:
    with pytest.raises(ModelError, match="takes predictions for epsilon, but this denoiser predicts flow"):
        check_predicts(diffusers.UniPCMultistepScheduler(), "flow", "my-model")


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("CogVideoXDDIMScheduler", {}),
        ("CogVideoXDPMScheduler", {}),
        ("DDIMScheduler", {"clip_sample": False}),
        ("DEISMultistepScheduler", {}),
        ("DPMSolverMultistepScheduler", {}),
        ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
        (
            "DPMSolverMultistepScheduler",
            {"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min"},
        ),
        ("DPMSolverSinglestepScheduler", {"algorithm_type": "sde-dpmsolver++"}),
        ("EulerAncestralDiscreteScheduler", {}),
        ("EulerDiscreteScheduler", {}),
        ("FlowMatchEulerDiscreteScheduler", {}),
        ("FlowMatchLCMScheduler", {}),
        ("UniPCMultistepScheduler", {}),
    ],
)
def test_whose_steps_add_noise(name: str, config: dict[str, Any]) -> None:
    """They give another latent for other noise, and the others the same."""

    def first_steps(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        made = scheduler(name, **config)
        latents, before = torch.ones(SHAPE), None
        for index, timestep in enumerate(made.timesteps[:2]):
            if name == "CogVideoXDPMScheduler":
                back = made.timesteps[index - 1] if index else None
                latents, before = made.step(latents, before, timestep, back, latents, return_dict=False)
            else:
                latents = made.step(latents, timestep, latents, return_dict=False)[0]
        return latents

    assert adds_noise(scheduler(name, **config)) == (not torch.equal(first_steps(0), first_steps(1)))
