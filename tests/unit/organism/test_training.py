"""Training in small: it can be stopped and gone on with, and what it writes can be loaded."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest
import torch
from diffusers import WanImageToVideoPipeline, WanTransformer3DModel

from cosinterp.errors import UserError
from cosinterp.organism import maze_lessons, train_autoencoder, train_denoiser
from cosinterp.organism.architecture import TransformerSize
from cosinterp.organism.config import CurriculumPhase, MazeTrainingConfig, load_config
from cosinterp.organism.maze_lessons import MAZE_WAN, MazeLessons
from cosinterp.organism.pool import LatentPool
from cosinterp.organism.training import export, train
from tests.tiny.maze_wan import narrow_vae

CPU = torch.device("cpu")


@pytest.fixture
def config(monkeypatch) -> MazeTrainingConfig:
    """A narrow maze-wan of one block, four iterations, two mazes to look at."""
    monkeypatch.setattr(maze_lessons, "_EVALUATION_MAZES", 1)
    monkeypatch.setattr(maze_lessons, "_EVALUATION_STEPS", 1)
    monkeypatch.setattr(train_autoencoder, "build_vae", narrow_vae)
    monkeypatch.setattr(train_autoencoder, "_MEASURED_BATCHES", 1)
    monkeypatch.setattr(train_autoencoder, "_MEASURED_BATCH_SIZE", 1)
    shipped = load_config()
    return replace(
        shipped,
        num_frames=3,
        processes=1,
        transformer=TransformerSize(num_layers=1, num_heads=2, head_dim=16, ffn_dim=32),
        pool={5: 3, 7: 3},
        autoencoder=replace(shipped.autoencoder, iterations=2, batch_size=1, clip_frames=1),
        denoiser=replace(
            shipped.denoiser,
            iterations=4,
            batch_size=2,
            warmup_iterations=2,
            curriculum=(CurriculumPhase(1.0, {12: 0.5, 16: 0.5}),),
            log_every=1,
            evaluate_every=100,
            checkpoint_every=2,
        ),
    )


def pools(seed: int = 0) -> dict[int, LatentPool]:
    generator = torch.Generator().manual_seed(seed)
    return {
        side: LatentPool(
            torch.randn(3, 2, 8, 2, side, side, generator=generator).half(),
            torch.randn(3, 8, 2, side, side, generator=generator).half(),
            torch.rand(3, side, side, generator=generator) < 0.1,
            torch.tensor([[0, 1]]).expand(3, 2),
        )
        for side in (12, 16)
    }


class Killed(Exception):
    """Stands in for a machine that goes away."""


def killer(iteration: int):
    def log(**figures):
        if figures["iteration"] == iteration:
            raise Killed

    return log


def quiet(**_):
    pass


class NoLessons:
    """Of a training without evaluations: nothing but what is trained."""

    model = MAZE_WAN

    def evaluate(self, pipeline) -> dict:
        return {}


LESSONS = NoLessons()


def test_a_training_that_was_killed_goes_on_to_what_it_would_have_been(config, tmp_path):
    vae = narrow_vae()
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    expected = train_denoiser.train_denoiser(
        config, LESSONS, pools(), vae, whole, CPU, None, quiet
    ).state_dict()
    with pytest.raises(Killed):
        train_denoiser.train_denoiser(config, LESSONS, pools(), vae, parts, CPU, None, killer(3))
    assert set(train_denoiser.snapshots(parts)) == {2}
    seen = []
    found = train_denoiser.train_denoiser(
        config, LESSONS, pools(), vae, parts, CPU, None, lambda **figures: seen.append(figures["iteration"])
    ).state_dict()
    # Once for the loss, and the last once more for the evaluation.
    assert seen == [3, 4, 4]
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert set(train_denoiser.snapshots(parts)) == {2, 4}
    assert not list(parts.glob("*.partial"))


def test_a_finished_training_is_left_as_it_is(config, tmp_path):
    vae = narrow_vae()
    first = train_denoiser.train_denoiser(
        config, LESSONS, pools(), vae, tmp_path, CPU, None, quiet
    ).state_dict()
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = train_denoiser.train_denoiser(
        config, LESSONS, pools(), vae, tmp_path, CPU, None, killer(5)
    ).state_dict()
    assert all(torch.equal(again[name], value) for name, value in first.items())
    assert files == {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_a_bound_on_the_time_ends_the_training_with_a_checkpoint(config, tmp_path, monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr(train_denoiser.time, "monotonic", lambda: float(next(ticks)))
    long = replace(config, denoiser=replace(config.denoiser, iterations=1000, checkpoint_every=1000))
    rates = []
    train_denoiser.train_denoiser(
        long,
        LESSONS,
        pools(),
        narrow_vae(),
        tmp_path,
        CPU,
        8.0,
        lambda **figures: rates.append(figures.get("rate")),
    )
    assert set(train_denoiser.snapshots(tmp_path)) == {8}
    # Decays by the time, not by the iterations that it never gets to.
    assert rates[7] < 0.5 * rates[4]


def test_the_loss_falls(config, tmp_path):
    settings = replace(
        config.denoiser,
        iterations=40,
        batch_size=4,
        checkpoint_every=100,
        warmup_iterations=5,
        learning_rate=5e-3,
    )
    losses = []
    train_denoiser.train_denoiser(
        replace(config, denoiser=settings),
        LESSONS,
        pools(),
        narrow_vae(),
        tmp_path,
        CPU,
        None,
        lambda **figures: losses.append(figures["loss"]) if "loss" in figures else None,
    )
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


def test_training_writes_a_pipeline_and_goes_on_in_its_folder(config, tmp_path):
    folder = tmp_path / "out"
    lessons = partial(MazeLessons, config)
    target = train(config, lessons, folder, CPU)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines if "iteration" in line] == ["autoencoder"] + ["denoiser"] * 5
    assert {"solved", "valid", "named_goal"} <= set(lines[-1])
    assert json.loads((target / "cosinterp.json").read_text())["sampling"]["num_steps"] == 20
    pipeline = WanImageToVideoPipeline.from_pretrained(target)
    assert pipeline.transformer.config["num_layers"] == 1
    mean = pipeline.vae.config["latents_mean"]
    assert len(mean) == 8
    assert any(mean)

    written = (target / "transformer" / "diffusion_pytorch_model.safetensors").read_bytes()
    train(config, lessons, folder, CPU)
    again = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()][len(lines) :]
    assert [line["stage"] for line in again] == ["mazes", "pool"]
    assert (target / "transformer" / "diffusion_pytorch_model.safetensors").read_bytes() == written

    export(config, MAZE_WAN, folder, 2)
    exported = WanTransformer3DModel.from_pretrained(target / "transformer").state_dict()
    snapshot = torch.load(folder / "snapshot-000002.pt")
    assert all(torch.equal(exported[name].bfloat16(), value) for name, value in snapshot.items())
    with pytest.raises(UserError, match="holds no snapshot 3; it has 2, 4"):
        export(config, MAZE_WAN, folder, 3)

    other = replace(config, transformer=replace(config.transformer, num_layers=2))
    with pytest.raises(UserError, match="transformer.num_layers: 1 there, 2 asked"):
        train(other, lessons, folder, CPU)
    with pytest.raises(UserError, match="0 seconds were over before the denoiser's training began"):
        train(config, lessons, folder, CPU, seconds=0.0)
