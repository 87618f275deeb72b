"""The second bundled model as shipped: small, loaded like any other, and able to do what it is for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import cosinterp as ci
from cosinterp.models.loading import bundled_folder
from cosinterp.organism.scenes.evaluate import evaluate
from cosinterp.organism.scenes.lessons import SCENE_WAN
from cosinterp.organism.scenes.rendering import colour
from cosinterp.organism.scenes.solver import SceneSolver
from cosinterp.organism.scenes.tasks import PROMPTS, generate_scene
from cosinterp.samples import Sample
from cosinterp.scorers import task_of

FOLDER = bundled_folder("scene-wan")
STEPS = 4


@pytest.fixture(scope="module")
def model():
    return ci.load("scene-wan", device="cpu")


def sample(task: str, number: int) -> Sample:
    scene = generate_scene(task, number)
    image = Image.fromarray(colour(scene.cells())[0])
    return Sample(f"{task}-{number}", PROMPTS[scene.kind][0], image, scene.truth())


def test_the_weights_are_small_and_in_bfloat16():
    files = list(FOLDER.rglob("*.safetensors"))
    assert sum(file.stat().st_size for file in files) < 11 * 10**6
    for file in files:
        assert {tensor.dtype for tensor in load_file(file).values()} == {torch.bfloat16}


def test_it_loads_by_its_name_with_its_own_settings(model):
    assert (model.name, model.task, model.num_layers) == ("scene-wan", "scenes", 8)
    defaults = model.sampling_defaults
    assert (defaults["height"], defaults["width"], defaults["num_frames"]) == (64, 64, 9)


# Held-out scenes that it solves in few steps.
@pytest.mark.parametrize(("task", "number"), [("permanence", 0), ("grounding", 0)])
def test_a_scene_of_each_task_comes_out_right(model, task, number):
    asked = sample(task, number)
    video = model.generate(asked, 0, num_steps=STEPS)
    scorer = task_of(asked.truth)
    assert scorer.score(video, asked.truth)["solved"] == 1
    true = colour(generate_scene(task, number).cells())
    assert scorer.answer(video, asked.truth) == scorer.answer(true, asked.truth)


def test_scenes_in_bulk_are_what_the_pipeline_makes(model):
    scene = generate_scene("grounding", 1)
    solver = SceneSolver.load(FOLDER, SCENE_WAN, torch.device("cpu"))
    [[score]] = solver.solve([scene], [0], 2, guidance_scale=2.0)
    video = model.generate(sample("grounding", 1), 0, num_steps=2)
    assert task_of(scene.truth()).score(video, scene.truth()) == score


def test_evaluation_writes_every_metric_at_every_step(tmp_path):
    out = tmp_path / "outcomes.npz"
    evaluate(FOLDER, out, torch.device("cpu"), 1, ["grounding"], num_steps=2)
    with np.load(out) as arrays:
        metrics = {metric.name for metric in task_of({"task": "grounding"}).metrics}
        assert {f"grounding/{name}" for name in metrics} <= set(arrays)
        assert arrays["grounding/solved"].shape == (2, 1)
        assert arrays["grounding/about/count"].shape == (1,)
    assert not list(tmp_path.glob("*.partial*"))
