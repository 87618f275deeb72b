"""Ensembles of the bundled model: chunks come to the same, and seeds are selected by what they show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import cosinterp as ci
from cosinterp.ensembles.selecting import Selector
from cosinterp.ensembles.spec import Ensemble, Merge, Select
from cosinterp.models.model import Model
from cosinterp.organism.mazes import generate_maze
from cosinterp.organism.rendering import render_video
from cosinterp.organism.tasks import PROMPTS, truth
from cosinterp.planning.plan import PlannedSample
from cosinterp.samples import Sample
from tests.integration.ensembling import made, planned, relative

SEEDS = (0, 1)
NUM_STEPS = 3
# Held out, with short paths.
MAZE = 93


@pytest.fixture(scope="module")
def model() -> Model:
    torch.set_num_threads(1)
    return ci.load("maze-wan", device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def sample(model: Model) -> PlannedSample:
    maze = generate_maze(MAZE, 7)
    image = Image.fromarray(render_video(maze, "red")[0])
    asked = Sample("maze", PROMPTS["red"][0], image, truth(maze, "red"))
    # Few frames: it is not asked here whether the maze is solved.
    return planned(model, asked, num_steps=NUM_STEPS, num_frames=5, guidance_scale=1.0)


def test_chunks_come_to_the_same(model, sample):
    merges = (
        Merge(what="latent", steps=(0,), how="norm-mean"),
        Merge(what="x0", steps=(1,)),
        Merge(what="hidden", steps=(1,), site="resid", layers=(4, 6)),
    )
    asked = Ensemble(merges=merges, then="all")
    together = made(model, sample, asked, SEEDS)
    apart = made(model, sample, asked, SEEDS, chunk=1)
    for row in (0, 1):
        assert relative(apart.final[row], together.final[row]) < 1e-5
    assert apart.evaluations == together.evaluations == len(SEEDS) * NUM_STEPS


@pytest.mark.parametrize(
    ("by", "keep", "kept"),
    [("agreement", 1, (1,)), ("solved", 2, (1, 2)), ("-solved", 1, (0,)), (f"{__name__}:brightest", 1, (3,))],
)
def test_seeds_are_selected_by_what_their_videos_show(by, keep, kept, model, sample, monkeypatch):
    """One goes to the other goal, two to the named one, one nowhere."""
    maze = generate_maze(MAZE, 7)
    shown = [render_video(maze, goal) for goal in ("blue", "red", "red")]
    videos = iter([*shown, np.full_like(shown[0], 255)])
    monkeypatch.setattr(model, "decode", lambda latents, num_frames: next(videos))
    estimates = torch.randn((4, 2, 3), generator=torch.Generator().manual_seed(0))
    # Of the two that answer alike the first is nearer to all.
    estimates[1] = estimates.mean(0)
    selector = Selector(Select(step=0, by=by, keep=keep), model, sample, (5, 6, 7, 8))
    assert selector((0, 1, 2, 3), estimates) == kept


def brightest(video: np.ndarray, truth: Any) -> float:
    assert truth["task"] == "maze"
    return float(video.mean())
