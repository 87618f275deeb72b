"""The bundled model as shipped: small, loaded like any other, and able to do what it is for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import cosinterp as ci
from cosinterp.models.loading import bundled_folder
from cosinterp.organism.architecture import (
    build_scheduler,
    build_text_encoder,
    build_tokenizer,
    round_weights,
)
from cosinterp.organism.evaluate import load_solver
from cosinterp.organism.mazes import Goal, generate_maze
from cosinterp.organism.pool import condition_pixels, encode_mode
from cosinterp.organism.rendering import first_cells, render_video
from cosinterp.organism.sampling import condition_channels, decode_video, initial_noise, sample_latents
from cosinterp.organism.scoring import MazeScore, score_video
from cosinterp.organism.solver import Solver
from cosinterp.organism.tasks import PROMPTS, truth
from cosinterp.samples import Sample

FOLDER = bundled_folder("maze-wan")
# Held-out mazes with short paths to both goals, which it solves in three steps too.
EASY = (93, 107)


@pytest.fixture(scope="module")
def model():
    return ci.load("maze-wan", device="cpu")


@pytest.fixture(scope="module")
def solver():
    return load_solver(FOLDER, torch.device("cpu"))


def sample(seed: int, goal: Goal) -> Sample:
    maze = generate_maze(seed, 7)
    image = Image.fromarray(render_video(maze, goal)[0])
    return Sample(f"maze-{seed}-{goal}", PROMPTS[goal][0], image, truth(maze, goal))


@pytest.fixture(scope="module")
def scores(model) -> dict[str, MazeScore]:
    found = {}
    for goal in ("red", "blue"):
        asked = sample(EASY[0], goal)
        found[goal] = score_video(model.generate(asked, 0, num_steps=4), asked.truth)
    return found


def conditions(solver: Solver, *seeds: int) -> torch.Tensor:
    """The encoded first frames of mazes, (maze, channel, frame, row, col)."""
    cells = np.stack([first_cells(generate_maze(seed, 7)) for seed in seeds])
    return encode_mode(solver.vae, condition_pixels(cells, 9, solver.device))


def test_all_files_together_are_at_most_16_mb():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 16_000_000


def test_weights_are_bfloat16_safetensors():
    files = sorted(FOLDER.rglob("*.safetensors"))
    assert [file.parent.name for file in files] == ["text_encoder", "transformer", "vae"]
    assert all(value.dtype == torch.bfloat16 for file in files for value in load_file(file).values())


def test_it_loads_with_its_task_and_its_own_sampling(model):
    assert (model.name, model.task, model.num_layers) == ("maze-wan", "maze", 8)
    own = {"num_steps": 20, "guidance_scale": 2.0, "height": 64, "width": 64, "num_frames": 9}
    assert own.items() <= model.sampling_defaults.items()


def test_its_text_encoder_is_the_one_that_training_reads():
    tokenizer = build_tokenizer(PROMPTS.values())
    encoder = build_text_encoder(len(tokenizer))
    round_weights(encoder)
    shipped = load_file(FOLDER / "text_encoder" / "model.safetensors")
    state = encoder.state_dict()
    assert all(torch.equal(state[name], value.float()) for name, value in shipped.items())


def test_it_solves_an_easy_maze_in_few_steps(scores):
    assert all(score.solved for score in scores.values()), scores


def test_another_goal_in_the_prompt_leads_to_another_goal(scores):
    for goal, score in scores.items():
        assert score.valid_path, goal
        assert score.goal_reached == goal


def test_the_batch_loop_is_the_pipeline(model, solver):
    asked = sample(EASY[0], "blue")
    seen = []

    def watch(_, args, kwargs):
        seen.append(kwargs["hidden_states"])

    hook = model.pipeline.transformer.register_forward_pre_hook(watch, with_kwargs=True)
    try:
        expected = model.pipeline(
            image=asked.image,
            prompt=asked.prompt,
            negative_prompt="",
            height=64,
            width=64,
            num_frames=9,
            num_inference_steps=4,
            guidance_scale=2.0,
            max_sequence_length=32,
            generator=torch.Generator().manual_seed(3),
            output_type="latent",
        ).frames
    finally:
        hook.remove()
    assert len(seen) == 8

    condition = conditions(solver, EASY[0])
    assert torch.equal(condition_channels(condition), seen[0][:, 8:])
    noise = initial_noise((3,), 5, 16, 16)
    assert torch.equal(noise, seen[0][:, :8])

    estimates = []
    latents = sample_latents(
        solver.transformer,
        model.pipeline.scheduler,
        noise,
        condition,
        solver.prompts.prompts[1, :1],
        solver.prompts.empty,
        num_steps=4,
        guidance_scale=2.0,
        on_step=lambda step, estimate: estimates.append((step, estimate)),
    )
    torch.testing.assert_close(latents, expected, rtol=0, atol=1e-5)
    assert [step for step, _ in estimates] == [0, 1, 2, 3]
    torch.testing.assert_close(estimates[-1][1], latents, rtol=0, atol=1e-4)

    video = decode_video(solver.vae, latents)[0].numpy()
    difference = video.astype(int) - model.decode(expected.numpy()[0])
    assert abs(difference).max() <= 1


def test_rows_of_a_batch_do_not_mix(solver):
    condition, noise = conditions(solver, *EASY), initial_noise((8, 3), 5, 16, 16)
    prompts = solver.prompts.prompts[[0, 1], 0]

    def one_step(rows: slice) -> torch.Tensor:
        return sample_latents(
            solver.transformer,
            build_scheduler(),
            noise[rows],
            condition[rows],
            prompts[rows],
            solver.prompts.empty,
            num_steps=1,
            guidance_scale=1.0,
        )

    both = one_step(slice(0, 2))
    # Kernels round otherwise for another batch size.
    torch.testing.assert_close(both[:1], one_step(slice(0, 1)), rtol=0, atol=1e-3)
    torch.testing.assert_close(both[1:], one_step(slice(1, 2)), rtol=0, atol=1e-3)
    assert (both[0] - both[1]).abs().max() > 0.1
