"""Runs that follow those of another store, and models that were not trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from cosinterp.cli import app
from cosinterp.errors import ModelError, TraceError
from cosinterp.models.loading import load, prepare
from cosinterp.models.model import Model
from cosinterp.planning.plan import model_settings
from cosinterp.tracing import trace
from stores import Store, create_store
from tests.tiny import sample_for

KIND = "wan2.2-i2v-a14b"
SETTINGS: dict[str, Any] = {"seeds": "3-4", "sites": "resid", "num_steps": 3}


@pytest.fixture(scope="module")
def trained(tiny_folder: Callable[[str], Path]) -> Model:
    return load(tiny_folder(KIND), device="cpu")


@pytest.fixture(scope="module")
def untrained(tiny_folder: Callable[[str], Path]) -> Model:
    return load(tiny_folder(KIND), device="cpu", untrained=1)


@pytest.fixture(scope="module")
def followed(trained: Model, tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("followed") / "store"
    return trace(trained, sample_for(KIND), store=path, **SETTINGS)


def numbers(store: Store, seed: int) -> dict[str, np.ndarray]:
    """The latents, predictions, video and activations of a run."""
    with store.run(sample_for(KIND).name, seed) as run:
        steps = range(run.num_steps)
        return {
            "noisy": np.stack([run.noisy(step) for step in range(run.num_steps + 1)]),
            "prediction": np.stack([run.prediction(step) for step in steps]),
            "video": np.asarray(run.video),
            "resid": np.stack(
                [[run.read("resid", step, layer) for layer in run.site("resid").layers] for step in steps]
            ),
        }


@pytest.mark.parametrize("batch", [1, 2])
def test_a_model_that_follows_itself_makes_the_same_runs(batch: int, trained: Model, tmp_path: Path) -> None:
    own = trace(trained, sample_for(KIND), store=tmp_path / "own", batch=batch, **SETTINGS)
    again = trace(trained, sample_for(KIND), store=tmp_path / "again", batch=batch, follow=own, **SETTINGS)
    for seed in (3, 4):
        there, here = numbers(own, seed), numbers(again, seed)
        for name, value in there.items():
            assert np.array_equal(here[name], value), name


def test_an_untrained_model_computes_its_own_along_the_latents_of_others(
    untrained: Model, followed: Store, tmp_path: Path
) -> None:
    store = trace(untrained, sample_for(KIND), store=tmp_path / "follows", follow=followed, **SETTINGS)
    alone = trace(untrained, sample_for(KIND), store=tmp_path / "alone", **SETTINGS)
    there, here, free = numbers(followed, 3), numbers(store, 3), numbers(alone, 3)
    for name in ("noisy", "prediction", "video"):
        assert np.array_equal(here[name], there[name])
    # All begin from the same noise, so its first step is what it makes of it anyway.
    assert np.array_equal(here["resid"][0], free["resid"][0])
    assert not np.array_equal(here["resid"][1], free["resid"][1])
    assert not np.allclose(here["resid"], there["resid"], atol=0.1)
    assert store.settings.sampling["followed"]["model"] == followed.settings.model
    assert store.settings.model["untrained"] == 1


def test_untrained_weights_are_those_that_the_class_begins_with(trained: Model, untrained: Model) -> None:
    for number, name in enumerate(("transformer", "transformer_2")):
        denoiser = getattr(untrained.pipeline, name)
        torch.manual_seed(1 + number)
        fresh = type(denoiser).from_config(denoiser.config).state_dict()
        drawn = denoiser.state_dict()
        assert all(torch.equal(drawn[key], value) for key, value in fresh.items())
    kept, same = (model.pipeline.text_encoder.state_dict() for model in (trained, untrained))
    assert all(torch.equal(same[key], value) for key, value in kept.items())
    assert "untrained" not in model_settings(trained)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"seeds": "9"}, "has no run of .* with seed 9 that could be followed"),
        ({"num_steps": 4}, "cannot follow its run in .*: it differs in num_steps"),
        ({"guidance_scale": 1.5}, "it differs in guidance_scale"),
    ],
)
def test_only_the_same_run_can_be_followed(
    changed: dict[str, Any], why: str, trained: Model, followed: Store, tmp_path: Path
) -> None:
    with pytest.raises(TraceError, match=why):
        trace(trained, sample_for(KIND), store=tmp_path / "s", follow=followed, **SETTINGS | changed)
    assert not (tmp_path / "s").exists()


def test_other_noise_is_noticed(trained: Model, followed: Store, tmp_path: Path) -> None:
    other = create_store(tmp_path / "other", followed.settings)
    sample = sample_for(KIND).name
    with followed.run(sample, 3) as run, other.writer(sample, 3) as writer:
        writer.set_attrs({name: run.attrs[name] for name in ("sampling", "image_sha256", "prediction_type")})
        writer.set_schedule(run.schedule.timestep, run.schedule.sigma)
        writer.set_condition(run.prompt, run.image)
        for step in range(3):
            writer.write_noisy(step, -run.noisy(step))
            writer.write_prediction(step, run.prediction(step))
        writer.write_noisy(3, run.noisy(3))
        writer.finish()
    with pytest.raises(TraceError, match="does not follow its run in .*: at step 0 its latents are 2 of"):
        trace(trained, sample_for(KIND), store=tmp_path / "s", follow=other, **SETTINGS | {"seeds": "3"})


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"untrained": -1}, "a seed is a whole number"),
        ({"untrained": 0, "lora": "some.safetensors"}, "leave out the LoRA and quantization"),
    ],
)
def test_what_cannot_be_untrained_is_refused(
    settings: dict[str, Any], why: str, tiny_folder: Callable[[str], Path]
) -> None:
    with pytest.raises(ModelError, match=why):
        prepare(tiny_folder(KIND), device="cpu", **settings)


def test_a_pipeline_in_hand_is_not_drawn_anew(trained: Model) -> None:
    with pytest.raises(ModelError, match="untrained comes too late"):
        load(trained.pipeline, untrained=0)


def test_the_command_follows(
    tiny_folder: Callable[[str], Path], followed: Store, untrained: Model, tmp_path: Path
) -> None:
    sample = sample_for(KIND)
    assert sample.image is not None
    sample.image.save(tmp_path / "first.png")
    flags = ["--prompt", sample.prompt, "--image", str(tmp_path / "first.png"), "--name", sample.name]
    with followed.run(sample.name, 3) as run:
        for name in ("height", "width", "num_frames"):
            flags += [f"--{name.replace('_', '-')}", str(run.attrs["sampling"][name])]
    result = CliRunner().invoke(
        app,
        [
            "trace",
            *("--model", str(tiny_folder(KIND)), "--device", "cpu", "--seeds", "3", "--num-steps", "3"),
            *("--untrained", "1", "--follow", str(followed.path), "--store", str(tmp_path / "s"), *flags),
        ],
    )
    assert result.exit_code == 0, result.output
    made = numbers(Store(tmp_path / "s", followed.settings), 3)
    for name in ("noisy", "prediction"):
        assert np.array_equal(made[name], numbers(followed, 3)[name])
