"""What scene-wan is trained on, and its configuration."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from diffusers import WanImageToVideoPipeline
from transformers import PreTrainedTokenizerFast

from cosinterp.errors import UserError
from cosinterp.organism import train_autoencoder
from cosinterp.organism.architecture import TransformerSize, build_tokenizer, build_transformer
from cosinterp.organism.pool import LatentPool
from cosinterp.organism.rendering import FLOOR, WALL
from cosinterp.organism.scenes import lessons
from cosinterp.organism.scenes.bulk import make_scenes
from cosinterp.organism.scenes.config import DEFAULT_CONFIG, SceneTrainingConfig, load_scene_config
from cosinterp.organism.scenes.evaluate import BUNDLED as SHIPPED
from cosinterp.organism.scenes.lessons import SCENE_WAN, SceneLessons
from cosinterp.organism.scenes.picture import draw_scenes
from cosinterp.organism.scenes.tasks import KINDS, TASKS, generate_scene
from cosinterp.organism.scenes.train import load_start
from cosinterp.organism.train_denoiser import train_denoiser
from cosinterp.organism.training import Start, export, train
from tests.tiny.maze_wan import narrow_vae


@pytest.fixture
def config(monkeypatch) -> SceneTrainingConfig:
    """A narrow scene-wan of one block, two iterations, one scene of each task to look at."""
    monkeypatch.setattr(lessons, "_EVALUATION_SCENES", 1)
    monkeypatch.setattr(lessons, "_EVALUATION_STEPS", 1)
    monkeypatch.setattr(train_autoencoder, "build_vae", narrow_vae)
    monkeypatch.setattr(train_autoencoder, "_MEASURED_BATCHES", 1)
    monkeypatch.setattr(train_autoencoder, "_MEASURED_BATCH_SIZE", 1)
    shipped = load_scene_config()
    return replace(
        shipped,
        processes=1,
        transformer=TransformerSize(num_layers=1, num_heads=2, head_dim=16, ffn_dim=32),
        pool=dict.fromkeys(TASKS, 2),
        autoencoder=replace(shipped.autoencoder, iterations=2, batch_size=1, clip_frames=1),
        denoiser=replace(
            shipped.denoiser,
            iterations=2,
            batch_size=2,
            warmup_iterations=2,
            log_every=1,
            evaluate_every=2,
            checkpoint_every=2,
        ),
    )


def quiet(**_):
    pass


def test_scenes_in_bulk_are_those_of_their_numbers():
    batch = make_scenes(dict.fromkeys(TASKS, 3), "train", processes=1)
    scenes = [generate_scene(task, number, "train") for task in TASKS for number in range(3)]
    assert len(batch) == 6
    for row, scene in enumerate(scenes):
        assert np.array_equal(batch.cells[row], scene.cells())
        assert np.array_equal(batch.crossed[row], scene.crossed())
        assert KINDS[batch.kinds[row]] == scene.kind


def test_lessons_hold_every_scene_once_with_its_prompt(config):
    taught = SceneLessons(replace(config, pool=dict.fromkeys(TASKS, 3)), quiet)
    parts = list(taught.drawn(4))
    assert [len(part.first) for part in parts] == [4, 2]
    scenes = [generate_scene(task, number, "train") for task in TASKS for number in range(3)]
    videos = np.concatenate([part.videos for part in parts])[:, 0]
    assert np.array_equal(videos, np.stack([scene.cells() for scene in scenes]))
    assert np.array_equal(np.concatenate([part.first for part in parts]), videos[:, 0])
    kinds = np.concatenate([part.kinds for part in parts])[:, 0]
    assert [KINDS[kind] for kind in kinds] == [scene.kind for scene in scenes]
    # Prompts are looked up by that number.
    assert [SCENE_WAN.prompts[kind][0] for kind in kinds[3:]] == [
        f"Move the {scene.named} block to the target." for scene in scenes[3:]
    ]


def test_what_a_scene_shows_weighs_more_than_floor_and_wall(config):
    taught = SceneLessons(config, quiet)
    cells = taught.random_videos(np.random.default_rng(0), 3)
    weight = taught.weights(cells)
    plain = np.isin(cells, (FLOOR, WALL))
    ever = np.repeat((~plain).any(axis=1, keepdims=True), 9, axis=1)
    assert weight[ever].min() > weight[~ever].max()
    assert taught.kept(cells, cells).all()
    other = cells.copy()
    other[1, 4, 5, 5] = (other[1, 4, 5, 5] + 1) % 6
    assert taught.kept(other, cells).tolist() == [True, False, True]


def test_training_writes_a_pipeline_of_both_tasks(config, tmp_path):
    initial = narrow_vae()
    target = train(config, partial(SceneLessons, config), tmp_path, torch.device("cpu"), start=Start(initial))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert {"permanence", "grounding"} <= set(lines[-1])
    assert all(0 <= lines[-1][task]["solved"] <= 1 for task in TASKS)
    about = json.loads((target / "cosinterp.json").read_text())
    assert (about["name"], about["task"]) == ("scene-wan", "scenes")
    assert (about["sampling"]["height"], about["sampling"]["num_frames"]) == (64, 9)
    pipeline = WanImageToVideoPipeline.from_pretrained(export(config, SCENE_WAN, tmp_path, 2))
    assert pipeline.transformer.config["num_layers"] == 1
    # The tokenizer knows the scenes' words.
    assert len(pipeline.tokenizer("Move the yellow block to the target.").input_ids) < 10


def test_an_autoencoder_goes_on_from_the_weights_that_it_is_given(config, monkeypatch):
    monkeypatch.setattr(train_autoencoder, "round_trip", lambda *_: 1.0)
    still = replace(config, autoencoder=replace(config.autoencoder, iterations=1, learning_rate=0.0))
    initial = narrow_vae()
    taught = SceneLessons(config, quiet)
    vae = train_autoencoder.train_autoencoder(still, taught, torch.device("cpu"), quiet, initial)
    for name, value in initial.state_dict().items():
        assert torch.equal(vae.state_dict()[name], value.bfloat16().float())


class NoScenes:
    """Of a training without evaluations: nothing but what is trained."""

    model = SCENE_WAN

    def evaluate(self, pipeline) -> dict:
        return {}


def test_a_transformer_goes_on_from_the_weights_that_it_is_given(config, tmp_path):
    still = replace(config, denoiser=replace(config.denoiser, learning_rate=0.0))
    initial = build_transformer(config.transformer)
    latents = torch.randn(2, 1, 8, 5, 16, 16).half()
    crossed = torch.zeros(2, 16, 16, dtype=torch.bool)
    pool = LatentPool(latents, latents[:, 0], crossed, torch.tensor([[0], [3]]))
    found = train_denoiser(
        still, NoScenes(), {16: pool}, narrow_vae(), tmp_path, torch.device("cpu"), None, quiet, initial
    )
    assert all(torch.equal(found.state_dict()[name], value) for name, value in initial.state_dict().items())


def test_a_training_starts_from_a_saved_model_or_from_the_autoencoder_of_maze_wan():
    fresh = load_start(None)
    assert fresh.transformer is None
    shipped = load_start(SHIPPED)
    assert shipped.transformer.config["num_layers"] == 8
    first = next(iter(fresh.vae.state_dict()))
    assert not torch.equal(fresh.vae.state_dict()[first], shipped.vae.state_dict()[first])


@pytest.mark.parametrize("name", ["scene-train.toml", "scene-train-on.toml"])
def test_the_shipped_configurations_are_sound_and_of_the_shipped_model(name):
    config = load_scene_config(DEFAULT_CONFIG.with_name(name))
    assert set(config.pool) == set(TASKS)
    shipped = json.loads((SHIPPED / "transformer" / "config.json").read_text())
    size = config.transformer
    assert (size.num_layers, size.num_heads, size.head_dim, size.ffn_dim) == tuple(
        shipped[key] for key in ("num_layers", "num_attention_heads", "attention_head_dim", "ffn_dim")
    )


def test_the_words_of_the_shipped_tokenizer_are_those_of_the_prompts():
    shipped = PreTrainedTokenizerFast.from_pretrained(SHIPPED / "tokenizer")
    assert shipped.get_vocab() == build_tokenizer(SCENE_WAN.prompts).get_vocab()


def test_a_scene_is_drawn_with_its_counterfactuals_below():
    strips = {task: draw_scenes(task, 1) for task in TASKS}
    # A row of 128 px for each, with 6 between.
    assert strips["permanence"].height - strips["grounding"].height == 134


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_frames = 9", "num_frames = 11", "a scene has 9 frames, not 11"),
        ("num_frames = 9", "num_frames = 8", "num_frames has to be a multiple of 2 and 1 more, not 8"),
        ("grounding = 30000", "", "the pool has to have permanence and grounding, not permanence"),
        ("grounding = 30000", "grounding = 0", "pool has to be a whole number, 1 or more, not 0"),
        ("{ 16 = 1.0 }", "{ 12 = 1.0 }", "scenes are drawn on 16 cells a side"),
        ("{ 16 = 1.0 }", "{ 16 = 0.5 }", "do not add up to 1"),
        ("seed = 0\n", "", "missing seed"),
    ],
)
def test_a_mistake_is_named(tmp_path, old, new, message):
    text = DEFAULT_CONFIG.read_text()
    assert text.count(old) == 1
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message):
        load_scene_config(path)
