"""Runs with noise: what diffusers itself makes of the same latents, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

import cosinterp as ci
from cosinterp.errors import InterventionError, SelectionError, TraceError
from cosinterp.models.model import Model
from cosinterp.noising.latents import drawn
from cosinterp.noising.noise import NoiseChanges, plan_noise
from cosinterp.noising.noise_at import NoiseAt
from cosinterp.tracing import trace
from stores import Store
from tests.tiny import sample_for

KIND, PINNED = "wan2.2-i2v-a14b", "wan2.2-ti2v-5b-image"
NUM_STEPS, NUM_FRAMES = 4, 3
SEED = 3
EULER, UNIPC = "FlowMatchEulerDiscreteScheduler", "UniPCMultistepScheduler"


@pytest.fixture
def scheduled(tiny_model: Callable[..., Model]) -> Iterator[Callable[[str], Model]]:
    """A tiny Wan with a scheduler; it has its own again afterwards."""
    model = tiny_model(KIND)
    own = model.pipeline.scheduler

    def of(scheduler: str) -> Model:
        if scheduler != UNIPC:
            model.pipeline.scheduler = getattr(diffusers, scheduler)(shift=3.0)
        return model

    yield of
    model.pipeline.scheduler = own


def numbers(store: Store, variant: str = "base", seed: int = SEED) -> dict[str, np.ndarray]:
    """Latents, predictions and video of a run."""
    with store.run(sample_for(KIND).name, seed, variant) as run:
        return {
            "noisy": np.stack([run.noisy(step) for step in range(NUM_STEPS + 1)]),
            "prediction": np.stack([run.prediction(step) for step in range(NUM_STEPS)]),
            "video": np.asarray(run.video),
        }


def noised(model: Model, path: Path, noise: NoiseAt, **more: Any) -> Store:
    """The runs of one noise."""
    settings = {"seeds": SEED, "sites": "none", "num_steps": NUM_STEPS, **more}
    return trace(model, sample_for(KIND), store=path / "store", changes=NoiseChanges(noise), **settings)


def plain(model: Model, change: Callable[[int, torch.Tensor], torch.Tensor | None]) -> dict[int, np.ndarray]:
    """The latents that enter each step (and leave the last), made by diffusers alone.

    ``change(step, latents)`` gives what enters a step instead: the initial noise by the pipeline's argument
    ``latents``, all others by its callback at the end of the step before.
    """
    sample = sample_for(KIND)
    settings = model.sampling(sample, {"num_steps": NUM_STEPS})
    arguments = model.arguments(sample, (SEED,), settings, output_type="latent")
    entering: dict[int, np.ndarray] = {}
    shape = (1, 4, NUM_FRAMES, 8, 8)
    generator = arguments["generator"]
    generator = generator[0] if isinstance(generator, list) else generator
    first = torch.randn(shape, generator=torch.Generator().manual_seed(generator.initial_seed()))
    first = first if (instead := change(0, first)) is None else instead
    entering[0] = first.numpy().copy()

    def at_end(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        latents = tensors["latents"]
        if step + 1 < NUM_STEPS and (instead := change(step + 1, latents)) is not None:
            latents = instead
        entering[step + 1] = latents.numpy().copy()
        return {"latents": latents}

    with torch.no_grad():
        model.pipeline(**{**arguments, "latents": first.clone(), "callback_on_step_end": at_end})
    return entering


def replacing(noise_seed: int, steps: tuple[int, ...], frames: tuple[int, ...]) -> Callable:
    def change(step: int, latents: torch.Tensor) -> torch.Tensor | None:
        if step not in steps:
            return None
        values = latents.numpy().astype(np.float64)
        deviation = float(np.sqrt(np.mean((values - values.mean()) ** 2)))
        new = latents.clone()
        new[0][:, list(frames)] = (
            deviation * drawn(noise_seed, SEED, step, latents.shape[1:])[:, list(frames)]
        )
        return new

    return change


EVERY = tuple(range(NUM_FRAMES))


@pytest.mark.parametrize(
    ("noise", "change"),
    [
        (NoiseAt.at_step(0), replacing(0, (0,), EVERY)),
        (NoiseAt.at_step(2, seed=5), replacing(5, (2,), EVERY)),
        (NoiseAt.at_frame(1), replacing(0, tuple(range(NUM_STEPS)), (1,))),
        (NoiseAt(steps=(1, 3), frames=(0, 2)), replacing(0, (1, 3), (0, 2))),
    ],
    ids=lambda value: value.variant if isinstance(value, NoiseAt) else "",
)
def test_a_noised_run_is_that_of_diffusers_with_its_latents_overridden(
    noise: NoiseAt, change: Callable, scheduled: Callable[[str], Model], tmp_path: Path
) -> None:
    model = scheduled(EULER)
    expected = plain(model, change)
    found = numbers(noised(model, tmp_path, noise), noise.variant)["noisy"]
    unchanged = plain(model, lambda step, latents: None)
    assert not np.allclose(expected[NUM_STEPS], unchanged[NUM_STEPS], atol=1e-2)
    for step, latents in expected.items():
        np.testing.assert_allclose(found[step], latents[0], rtol=0, atol=1e-6, err_msg=str(step))


@pytest.mark.parametrize("scheduler", [EULER, UNIPC])
@pytest.mark.parametrize(
    "noise",
    [NoiseAt(how="mix", strength=0), NoiseAt(steps=()), NoiseAt(frames=())],
    ids=lambda one: one.variant,
)
def test_no_noise_is_the_base_run_bit_for_bit(
    noise: NoiseAt, scheduler: str, scheduled: Callable[[str], Model], tmp_path: Path
) -> None:
    model = scheduled(scheduler)
    store = noised(model, tmp_path, noise)
    trace(model, sample_for(KIND), store=store.path, seeds=SEED, sites="none", num_steps=NUM_STEPS)
    base, changed = numbers(store), numbers(store, noise.variant)
    for name, values in base.items():
        assert np.array_equal(values, changed[name]), name


def test_a_sweep_makes_base_runs_and_a_variant_for_each_place(
    scheduled: Callable[[str], Model], tmp_path: Path
) -> None:
    model = scheduled(UNIPC)
    settings: dict[str, Any] = {
        "store": tmp_path / "store",
        "seeds": "3-4",
        "num_steps": NUM_STEPS,
        "batch": 2,
    }
    store = ci.noise(model, sample_for(KIND), save_video=False, **settings)
    steps = [f"noised-step-{step:02d}" for step in range(NUM_STEPS)]
    frames = [f"noised-frame-{frame:02d}" for frame in range(NUM_FRAMES)]
    assert {entry.variant for entry in store.runs()} == {"base", *steps, *frames}
    assert len(store.runs()) == 2 * (1 + NUM_STEPS + NUM_FRAMES)
    name = sample_for(KIND).name
    with store.run(name, 3) as base:
        before = [base.noisy(step) for step in range(NUM_STEPS + 1)]
        assert "intervention" not in base.attrs
    for step, variant in enumerate(steps):
        with store.run(name, 3, variant) as run:
            assert run.attrs["intervention"]["steps"] == [step]
            assert run.attrs["noise_energy_steps"] == [step]
            measured = np.square(run.noisy(step) - before[step].astype(float)).sum()
            measured /= 2 * np.square(before[step].astype(float)).sum()
            # Before it the runs are the same, so the energy can be measured in the store.
            assert run.attrs["noise_energy"] == pytest.approx(float(measured), rel=1e-4)
            assert all(np.array_equal(run.noisy(one), before[one]) for one in range(step))
            assert not np.allclose(run.noisy(NUM_STEPS), before[NUM_STEPS], atol=1e-3)
    with pytest.raises(TraceError, match="already has"):
        ci.noise(model, sample_for(KIND), save_video=False, **settings)
    made = {entry.key: entry.finished for entry in store.runs()}
    ci.noise(model, sample_for(KIND), save_video=False, resume=True, **settings)
    assert {entry.key: entry.finished for entry in store.runs()} == made


def test_matched_energies_are_equal_at_steps_and_at_frames(
    scheduled: Callable[[str], Model], tmp_path: Path
) -> None:
    model = scheduled(UNIPC)
    settings: dict[str, Any] = {"seeds": SEED, "num_steps": NUM_STEPS, "save_video": False, "base": False}
    matched = ci.noise(model, sample_for(KIND), store=tmp_path / "matched", matched=True, **settings)
    energies = np.array([_energy(matched, entry.key) for entry in matched.runs()])
    assert len(energies) == NUM_STEPS + NUM_FRAMES
    assert energies == pytest.approx(energies[0], rel=0.02)
    paper = ci.noise(model, sample_for(KIND), store=tmp_path / "paper", **settings)
    of_steps, of_frames = (
        np.mean([_energy(paper, entry.key) for entry in paper.runs() if f"-{at}-" in entry.variant])
        for at in ("step", "frame")
    )
    assert of_frames / of_steps == pytest.approx(NUM_STEPS / NUM_FRAMES, rel=0.1)


def _energy(store: Store, key: tuple[str, int, str]) -> float:
    return float(store.shared_run(*key).attrs["noise_energy"])


def test_the_same_seed_gives_the_same_numbers_in_a_batch_or_alone(
    scheduled: Callable[[str], Model], tmp_path: Path
) -> None:
    model, noise = scheduled(UNIPC), NoiseAt.at_frame(1, how="mix", strength=0.5)
    alone = numbers(noised(model, tmp_path / "alone", noise), noise.variant)
    again = numbers(noised(model, tmp_path / "again", noise), noise.variant)
    batch = numbers(noised(model, tmp_path / "batch", noise, seeds="2-4", batch=3), noise.variant)
    for name in ("noisy", "prediction"):
        assert np.array_equal(alone[name], again[name])
        np.testing.assert_allclose(batch[name], alone[name], atol=1e-4)
    other = NoiseAt.at_frame(1, how="mix", strength=0.5, seed=1)
    assert not np.allclose(
        numbers(noised(model, tmp_path / "other", other), other.variant)["noisy"], alone["noisy"], atol=1e-2
    )


def test_base_runs_that_recorded_activations_are_taken_as_they_are(
    scheduled: Callable[[str], Model], tmp_path: Path
) -> None:
    model = scheduled(UNIPC)
    settings: dict[str, Any] = {"seeds": SEED, "num_steps": NUM_STEPS, "save_video": False}
    base = trace(model, sample_for(KIND), store=tmp_path / "store", layers="1", **settings)
    first = base.runs()[0].finished
    store = ci.noise(model, sample_for(KIND), store=base.path, at="step", steps="1", **settings)
    assert store.runs(variant="base")[0].finished == first
    assert store.shared_run(sample_for(KIND).name, SEED, "noised-step-01").sites == {}


def test_frames_that_the_pipeline_overwrites_have_no_noise(
    tiny_model: Callable[..., Model], tmp_path: Path
) -> None:
    model, sample = tiny_model(PINNED), sample_for(PINNED)
    settings: dict[str, Any] = {"seeds": SEED, "num_steps": 2, "save_video": False, "at": "frame"}
    store = ci.noise(model, sample, store=tmp_path / "all", **settings)
    assert {entry.variant for entry in store.runs()} == {"base", "noised-frame-01", "noised-frame-02"}
    for base in (True, False):
        with pytest.raises(InterventionError, match="frames 0: the pipeline overwrites"):
            ci.noise(model, sample, store=tmp_path / f"named-{base}", frames="0-1", base=base, **settings)
    left = [path.name for path in (tmp_path / "named-False").rglob("*.h5*")]
    assert left == []


def test_what_cannot_be_is_refused_before_anything_is_made(
    scheduled: Callable[[str], Model], tmp_path: Path
) -> None:
    model = scheduled(UNIPC)
    settings: dict[str, Any] = {"seeds": SEED, "sampling": {"num_steps": NUM_STEPS}}
    with pytest.raises(SelectionError, match="frames"):
        plan_noise(model, sample_for(KIND), frames="7", **settings)
    image = sample_for(KIND)
    with pytest.raises(SelectionError, match="single frame"):
        plan_noise(model, image, **{**settings, "sampling": {"num_steps": 2, "num_frames": 1}})
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("scheduler", [EULER, UNIPC])
def test_steps_before_the_noise_are_those_of_the_base_run_and_not_computed_again(
    scheduler: str, scheduled: Callable[[str], Model], tmp_path: Path
) -> None:
    model = scheduled(scheduler)
    settings: dict[str, Any] = {"seeds": SEED, "num_steps": NUM_STEPS, "at": "step", "steps": "3"}
    with counted(model) as whole:
        alone = ci.noise(model, sample_for(KIND), store=tmp_path / "alone", base=False, **settings)
    base = trace(
        model, sample_for(KIND), store=tmp_path / "beside", seeds=SEED, sites="none", num_steps=NUM_STEPS
    )
    with counted(model) as part:
        beside = ci.noise(model, sample_for(KIND), store=base.path, **settings)
    there, here = numbers(alone, "noised-step-03"), numbers(beside, "noised-step-03")
    for name, values in there.items():
        assert np.array_equal(values, here[name]), name
    assert len(whole) == 2 * NUM_STEPS
    # The last step, and the first call, which tells the form of all others.
    assert len(part) == 2 + 1
    with counted(model) as recorded:
        ci.noise(model, sample_for(KIND), store=tmp_path / "recorded", sites="resid", layers="1", **settings)
    assert len(recorded) == 2 * 2 * NUM_STEPS


@contextmanager
def counted(model: Model) -> Iterator[list[str]]:
    """The blocks entered first within a block of code: one for each call of a denoiser that runs."""
    calls: list[str] = []
    with ExitStack() as stack:
        for component in model.anatomy.experts:
            first = getattr(model.pipeline, component).blocks[0]
            handle = first.register_forward_hook(lambda *_, name=component: calls.append(name))
            stack.callback(handle.remove)
        yield calls
