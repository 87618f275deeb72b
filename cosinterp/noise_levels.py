"""What a scheduler's noise levels and a denoiser's prediction mean: from them, the clean estimate.

For every kind of prediction the clean estimate is linear in the noisy latent and in the prediction,

    x̂0 = a_t x_t + b_t prediction_t

so the two numbers a_t and b_t of each step are all that anyone needs. With x_t = α_t x0 + σ_t ε:

| prediction | a | b | source |
| --- | --- | --- | --- |
| flow, v = ε - x0, α = 1 - σ | 1 | -σ | Lipman et al. 2023, arXiv 2210.02747 |
| reversed flow, v = x0 - ε | 1 | σ | |
| epsilon | 1 / α | -σ / α | Ho et al. 2020, arXiv 2006.11239, eq. 15 |
| v = α ε - σ x0, α² + σ² = 1 | α | -σ | Salimans and Ho 2022, arXiv 2202.00512, app. D |
| sample | 0 | 1 | |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cosinterp.errors import ModelError

FLOW, REVERSED_FLOW, EPSILON, V, SAMPLE = "flow", "reversed flow", "epsilon", "v", "sample"

_NAMES = {"flow_prediction": FLOW, "epsilon": EPSILON, "v_prediction": V, "sample": SAMPLE}
# Each step goes from the clean estimate straight to the next noise level.
_EULER = ("EulerDiscreteScheduler", "EDMEulerScheduler", "FlowMatchEulerDiscreteScheduler")
# Of the variance-preserving schedulers without sigmas of their own.
_BY_TIMESTEP = ("DDIMScheduler", "CogVideoXDDIMScheduler", "CogVideoXDPMScheduler")
# Each step adds noise of its own, which `step` draws from the generator that it is given.
_ADDING_NOISE = ("CogVideoXDPMScheduler", "EulerAncestralDiscreteScheduler", "FlowMatchLCMScheduler")
# x_t = x0 + σ ε.
_VARIANCE_EXPLODING = ("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler")
# x_t = (x0 + σ ε) / sqrt(1 + σ²); or flow matching, if they are told so.
_MULTISTEP = (
    "UniPCMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "DEISMultistepScheduler",
)


@dataclass(frozen=True)
class NoiseLevels:
    """The noise levels of a schedule of N steps, in the order of the steps.

    Attributes:
        sigma: (N+1,) σ of x_t = α x0 + σ ε before each step, and after the last.
        clean: (N, 2) the factors (a, b) of the clean estimate.
        after: (N, 2) the factors by which a noisy latent and its prediction make the next latent: those of
            the clean estimate where no noise is left. NaN where it is made of more than these two.
    """

    sigma: np.ndarray
    clean: np.ndarray
    after: np.ndarray


def prediction_type_of(scheduler: Any, name: str) -> str:
    """What the denoiser of a pipeline with this scheduler predicts.

    Raises:
        ModelError: the scheduler is of a class, or predicts something, that is not understood.
    """
    kind, config = _class_name(scheduler), scheduler.config
    if scheduler.order != 1:
        raise ModelError(
            f"{name}: {kind} calls the denoiser {scheduler.order} times a step; "
            "use a scheduler of order 1, such as UniPCMultistepScheduler"
        )
    # CogVideoX's have the setting, and do nothing with it.
    clips = config.get("clip_sample") and not kind.startswith("CogVideoX")
    if clips or config.get("thresholding"):
        raise ModelError(
            f"{name}: {kind} clips its clean estimates, so they do not follow from the prediction; "
            "set clip_sample and thresholding to false in its config"
        )
    if config.get("stochastic_sampling"):
        raise ModelError(
            f"{name}: {kind} adds noise at each step that no seed determines; "
            "set stochastic_sampling to false in its config"
        )
    if kind.startswith("FlowMatch"):
        return FLOW
    if kind not in (*_BY_TIMESTEP, *_VARIANCE_EXPLODING, *_MULTISTEP):
        known = ", ".join(("FlowMatch...", *_BY_TIMESTEP, *_VARIANCE_EXPLODING, *_MULTISTEP))
        raise ModelError(f"{name}: the scheduler {kind} is not known; known are {known}")
    asked = config.get("prediction_type")
    if asked not in _NAMES:
        raise ModelError(
            f"{name}: {kind} has prediction_type {asked!r}, which is not known; known are {', '.join(_NAMES)}"
        )
    return _NAMES[asked]


def adds_noise(scheduler: Any) -> bool:
    """Whether each step adds noise of its own: no seed determines it if ``step`` is given no generator."""
    solver = scheduler.config.get("algorithm_type") or ""
    return _class_name(scheduler) in _ADDING_NOISE or solver.startswith("sde-")


def check_predicts(scheduler: Any, wanted: str, name: str) -> str:
    """Refuse a scheduler that takes the prediction of this denoiser for something else; returns ``wanted``.

    Raises:
        ModelError: it does, or it is not understood.
    """
    found = prediction_type_of(scheduler, name)
    if found != wanted:
        raise ModelError(
            f"{name}: {_class_name(scheduler)} takes predictions for {found}, but this denoiser predicts "
            f"{wanted}; use the scheduler that belongs to it"
        )
    return wanted


def noise_levels(scheduler: Any, prediction_type: str) -> NoiseLevels:
    """The noise levels of the timesteps that a scheduler is set to.

    Raises:
        ModelError: the scheduler is not understood.
    """
    kind = _class_name(scheduler)
    if kind in _BY_TIMESTEP:
        alpha, sigma = _by_timestep(scheduler)
        clean, noise = _preserving(prediction_type, alpha[:-1], sigma[:-1])
    else:
        sigma = np.asarray([float(level) for level in scheduler.sigmas])
        if prediction_type in (FLOW, REVERSED_FLOW):
            # Mochi's levels rise from 0 to 1 where others fall, and its velocity points the other way.
            rising = bool(scheduler.config.get("invert_sigmas"))
            sigma = 1 - sigma if rising else sigma
            alpha = 1 - sigma
            sign = 1.0 if rising or prediction_type == REVERSED_FLOW else -1.0
            one = np.ones_like(sigma[:-1])
            clean, noise = (one, sign * sigma[:-1]), (one, -sign * alpha[:-1])
        elif kind in _MULTISTEP:
            alpha = 1 / np.sqrt(1 + sigma**2)
            sigma = sigma * alpha
            clean, noise = _preserving(prediction_type, alpha[:-1], sigma[:-1])
        elif kind in _VARIANCE_EXPLODING or kind.startswith(("FlowMatch", "EDM")):
            alpha = np.ones_like(sigma)
            clean, noise = _exploding(prediction_type, sigma[:-1])
        else:
            raise ModelError(f"the noise levels of {kind} are not known")
    factors = np.stack(clean, axis=1)
    with np.errstate(invalid="ignore"):
        after = alpha[1:, None] * factors + sigma[1:, None] * np.stack(noise, axis=1)
    after = np.where(sigma[1:, None] == 0, factors, after)
    known = (sigma[1:] == 0) | (kind in _EULER)
    # The others go to levels between the timesteps, but for the last.
    known[-1] |= kind in _BY_TIMESTEP
    return NoiseLevels(sigma, factors, np.where(known[:, None], after, np.nan))


_Factors = tuple[np.ndarray, np.ndarray]


def _preserving(prediction_type: str, alpha: np.ndarray, sigma: np.ndarray) -> tuple[_Factors, _Factors]:
    """The factors of x0 and of ε, for x_t = α x0 + σ ε with α² + σ² = 1."""
    zero, one = np.zeros_like(sigma), np.ones_like(sigma)
    with np.errstate(divide="ignore"):
        return {
            EPSILON: lambda: ((1 / alpha, -sigma / alpha), (zero, one)),
            V: lambda: ((alpha, -sigma), (sigma, alpha)),
            SAMPLE: lambda: ((zero, one), (1 / sigma, -alpha / sigma)),
        }[prediction_type]()


def _exploding(prediction_type: str, sigma: np.ndarray) -> tuple[_Factors, _Factors]:
    """As `_preserving`, for x_t = x0 + σ ε; v is that of the same noise after scaling by 1/sqrt(1+σ²)."""
    zero, one, scale = np.zeros_like(sigma), np.ones_like(sigma), np.sqrt(1 + sigma**2)
    return {
        EPSILON: lambda: ((one, -sigma), (zero, one)),
        V: lambda: ((1 / scale**2, -sigma / scale), (sigma / scale**2, 1 / scale)),
        SAMPLE: lambda: ((zero, one), (1 / sigma, -1 / sigma)),
    }[prediction_type]()


def _by_timestep(scheduler: Any) -> tuple[np.ndarray, np.ndarray]:
    """α and σ before each step and after the last, (N+1,) each."""
    cumulated = scheduler.alphas_cumprod
    squares = [float(cumulated[int(timestep)]) for timestep in scheduler.timesteps]
    # As `step` has it: by the distance of timesteps, and not by their list.
    distance = scheduler.config.num_train_timesteps // scheduler.num_inference_steps
    after = int(scheduler.timesteps[-1]) - distance
    squares.append(float(cumulated[after]) if after >= 0 else float(scheduler.final_alpha_cumprod))
    alpha_squared = np.asarray(squares)
    return np.sqrt(alpha_squared), np.sqrt(1 - alpha_squared)


def _class_name(scheduler: Any) -> str:
    return type(scheduler).__name__
