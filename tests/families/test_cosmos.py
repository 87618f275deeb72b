"""Cosmos: its guardrail, what it needs to run, and what it makes of a first image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from diffusers.models.transformers import transformer_cosmos

import cosinterp as ci
from cosinterp.errors import ModelError, SampleError, TraceError
from cosinterp.models.families import anatomy_of
from cosinterp.models.loading import prepare
from tests.families.cosmos import ROWS, first, predict, second
from tests.families.row import FamilyRow
from tests.tiny.cosmos import PIPELINES, TinyChecker, guardrail, installed, torchvision

TEXT_TO_WORLD, VIDEO_TO_WORLD, _, SECOND_VIDEO_TO_WORLD, *_ = ROWS
SETTINGS: dict[str, Any] = {"num_steps": 2, "max_sequence_length": 7}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Cosmos 1 from text."""
    first(image=False).save_pretrained(tmp_path / "cosmos")
    return tmp_path / "cosmos"


@pytest.fixture
def no_guardrail(monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes that diffusers has for the guardrail where it is not installed."""
    for module in PIPELINES:

        def made(self: Any) -> None:
            raise ImportError("`cosmos_guardrail` is not installed")

        missing = type("CosmosSafetyChecker", (), {"__init__": made, "__module__": module.__name__})
        monkeypatch.setattr(module, "CosmosSafetyChecker", missing)


class Blanking(TinyChecker):
    """Makes the first column black, as faces are blurred."""

    def check_video_safety(self, frames: np.ndarray) -> np.ndarray | None:
        assert frames.dtype == np.uint8
        blanked = frames.copy()
        blanked[:, :, 0] = 0
        return blanked


class Blocking(TinyChecker):
    """Lets no video pass, and no prompt that says blue."""

    def check_text_safety(self, prompt: str) -> bool:
        return "blue" not in prompt

    def check_video_safety(self, frames: np.ndarray) -> np.ndarray | None:
        return None


@pytest.mark.usefixtures("no_guardrail")
def test_without_the_guardrail_a_model_is_described_and_not_loaded(folder: Path) -> None:
    (folder / "transformer/diffusion_pytorch_model.safetensors").unlink()  # named before weights are read
    with torchvision():
        prepared = prepare(folder, device="cpu")
        assert prepared.model.num_layers == 2
        with pytest.raises(ModelError, match="without cosmos_guardrail, .*: pip install cosmos_guardrail"):
            prepared.load()


def test_without_torchvision_a_model_is_described_and_not_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(transformer_cosmos, "transforms", raising=False)
    with guardrail():
        prepared = prepare(folder, device="cpu")
        with pytest.raises(ModelError, match="pip install torchvision"):
            prepared.load()
        given = first(image=False)
        given.register_modules(safety_checker=TinyChecker())
        with pytest.raises(ModelError, match="CosmosTextToWorldPipeline: .*pip install torchvision"):
            ci.load(given)


@pytest.mark.usefixtures("no_guardrail")
def test_a_pipeline_with_a_checker_of_its_own_needs_no_guardrail() -> None:
    pipeline = first(image=False)
    checker = Blanking()
    pipeline.register_modules(safety_checker=checker)
    with torchvision():
        model = ci.load(pipeline)
        video = model.generate(TEXT_TO_WORLD.sample(), seed=0, **SETTINGS)
    assert not video[:, :, 0].any()
    assert video[:, :, 1:].any()
    assert pipeline.safety_checker is checker


def test_without_any_checker_a_model_is_refused() -> None:
    with pytest.raises(ModelError, match="its guardrail is switched off"):
        ci.load(first(image=False))


@pytest.mark.parametrize("build", [lambda: first(image=False), predict], ids=["Cosmos 1", "Predict2.5"])
def test_the_guardrail_sees_what_is_decoded(build: Any, tmp_path: Path) -> None:
    build().save_pretrained(tmp_path)
    with torchvision(), guardrail(Blanking):
        model = ci.load(tmp_path, device="cpu")
        latents = np.random.default_rng(0).standard_normal((4, 3, 8, 12))
        pictures = [decoder.decode(latents) for decoder in (model, prepare(tmp_path).load_decoder())]
        assert all(not picture[:, :, 0].any() and picture.any() for picture in pictures)
        video = model.generate(TEXT_TO_WORLD.sample(), seed=0, **SETTINGS, num_frames=5)
        assert not video[:, :, 0].any()


@pytest.mark.usefixtures("no_guardrail")
def test_nothing_is_decoded_without_the_guardrail(folder: Path) -> None:
    decoder = prepare(folder, device="cpu").load_decoder()
    with pytest.raises(ModelError, match="pip install cosmos_guardrail"):
        decoder.decode(np.zeros((4, 3, 8, 12), np.float32))


@pytest.fixture
def blocking(folder: Path) -> Iterator[ci.Model]:
    with torchvision(), guardrail(Blocking):
        yield ci.load(folder, device="cpu")


def test_what_the_guardrail_does_not_let_pass_is_an_error_of_the_user(
    blocking: ci.Model, tmp_path: Path
) -> None:
    sample = TEXT_TO_WORLD.sample()
    with pytest.raises(TraceError, match="does not let this video pass"):
        blocking.generate(sample, seed=0, **SETTINGS)
    with pytest.raises(TraceError, match="does not let this video pass"):
        blocking.decode(np.zeros((4, 3, 8, 12), np.float32))
    blue = ci.Sample(name="a", prompt="find the blue goal", height=32, width=48, num_frames=9)
    with pytest.raises(SampleError, match='does not let this prompt pass: "find the blue goal"'):
        ci.trace(blocking, blue, store=tmp_path / "s", seeds=0, **SETTINGS)


@pytest.mark.parametrize("row", [VIDEO_TO_WORLD, SECOND_VIDEO_TO_WORLD], ids=lambda row: row.name)
def test_the_clean_estimate_of_the_first_frame_is_the_image(row: FamilyRow, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        row.build().save_pretrained(tmp_path / "model")
    with installed():
        model = ci.load(tmp_path / "model", device="cpu", dtype="fp32")
        store = ci.trace(
            model, row.sample(), store=tmp_path / "s", seeds=0, **{**row.settings, "num_steps": 4}
        )
    with store.run("sample", 0) as run:
        estimates = np.stack([run.clean_estimate(step) for step in range(4)])
        np.testing.assert_allclose(estimates[:, :, 0], estimates[-1:, :, 0].repeat(4, 0), atol=1e-4)
        assert np.abs(estimates[0, :, 1] - estimates[-1, :, 1]).max() > 1e-2
        # Though the scheduler denoises it like the others.
        assert np.abs(run.noisy(0)[:, 0]).max() > 10


@pytest.mark.parametrize(
    ("build", "scheduler", "message"),
    [
        (lambda: first(image=False), FlowMatchEulerDiscreteScheduler(), "as an EDMEulerScheduler does"),
        (lambda: second(image=False), FlowMatchEulerDiscreteScheduler(), "with use_karras_sigmas does"),
        (
            lambda: second(image=False),
            FlowMatchEulerDiscreteScheduler(use_karras_sigmas=True, stochastic_sampling=True),
            "with use_karras_sigmas does",
        ),
        (predict, DDIMScheduler(clip_sample=False), "takes predictions for epsilon"),
    ],
)
def test_other_schedulers_are_refused(build: Any, scheduler: Any, message: str) -> None:
    pipeline = build()
    pipeline.register_modules(safety_checker=TinyChecker(), scheduler=scheduler)
    with pytest.raises(ModelError, match=message):
        anatomy_of(pipeline, "here")


def test_sizes_beyond_the_position_embeddings_are_refused(folder: Path) -> None:
    model = prepare(folder, device="cpu").model
    for settings, message in (
        ({"width": 144}, "width 144 is above 128"),
        ({"num_frames": 17}, "num_frames 17 is above 13"),
    ):
        with pytest.raises(TraceError, match=message):
            model.sampling(TEXT_TO_WORLD.sample(), {**SETTINGS, **settings})
    assert model.sampling(TEXT_TO_WORLD.sample(), {**SETTINGS, "fps": 24})["fps"] == 24
