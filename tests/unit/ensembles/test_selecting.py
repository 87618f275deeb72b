"""How good a seed is: by a task, by agreement, by a function."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cosinterp.ensembles.selecting import Selector, mean_distances, scorer_of, votes
from cosinterp.ensembles.spec import Select
from cosinterp.errors import InterventionError
from cosinterp.scorers import Metric, register, registry

SEEDS = (3, 4, 5, 6)


class Digits:
    """A task of the tests: a video is one number, its answer that number's digit."""

    name = "digits"
    metrics = (Metric("size", "size", "size", "mean"),)
    headline: tuple[str, ...] = ("size",)

    def score(self, video: np.ndarray, truth: Any) -> dict[str, float]:
        return {"size": float(video.reshape(-1)[0])}

    def answer(self, video: np.ndarray, truth: Any) -> str | None:
        value = float(video.reshape(-1)[0])
        return None if value < 0 else str(int(value))

    def final_frame(self, truth: Any) -> None:
        return None


TRUTH = {"task": Digits.name}


@pytest.fixture(autouse=True)
def digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task is known, in these tests alone."""
    monkeypatch.setattr(registry, "_TASKS", dict(registry._TASKS))
    register(Digits())


def selector(by: str, keep: int = 1, truth: Any = TRUTH) -> Selector:
    model: Any = SimpleNamespace(decode=lambda latents, num_frames: latents.numpy())
    planned: Any = SimpleNamespace(sample=SimpleNamespace(truth=truth), settings={})
    return Selector(Select(step=0, by=by, keep=keep), model, planned, SEEDS)


def estimates(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(-1, 1, 1, 1, 1)


@pytest.mark.parametrize(
    ("by", "values", "keep", "kept"),
    [
        ("size", (1, 5, 3, 4), 1, (1,)),
        ("size", (1, 5, 3, 4), 2, (1, 3)),
        ("-size", (1, 5, 3, 4), 2, (0, 2)),
        # Three say 2; of those the nearest to all, which are two; of those the first.
        ("agreement", (2.0, 2.5, 7, 2.75), 1, (1,)),
        ("agreement", (2.0, 2.5, 7, 2.75), 2, (1, 3)),
        ("agreement", (2.0, 2.5, 7, 2.75), 3, (0, 1, 3)),
        # No answer is worse than one that nobody shares.
        ("agreement", (-1, -1, -1, 8), 1, (3,)),
        ("agreement", (7, 7, 7, 7), 1, (0,)),
    ],
)
def test_the_best_by_a_task(by, values, keep, kept):
    own = selector(by, keep)
    assert own((0, 1, 2, 3), estimates(*values)) == kept
    assert own.kept == tuple(SEEDS[row] for row in kept)
    assert list(own.told) == [str(seed) for seed in SEEDS]


def test_agreement_of_what_has_no_task_is_nearness():
    own = selector("agreement", truth={})
    assert own((0, 2, 3), estimates(0, 1, 5)) == (2,)
    assert own.told == {"3": -3.0, "5": -2.5, "6": -4.5}


def test_distances_are_means_over_the_others():
    rows = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))
    expected = [sum(float((one - other).norm()) for other in rows) / 3 for one in rows]
    np.testing.assert_allclose(mean_distances(rows), expected, rtol=1e-5)
    assert mean_distances(rows[:1]) == [0.0]


def test_votes_are_those_of_others():
    assert votes(["a", None, "a", "b", None]) == [1, -1, 1, 0, -1]


def test_a_function_of_the_users_scores():
    score = scorer_of("math:hypot", TRUTH)
    assert score(3.0, 4.0) == 5.0  # type: ignore[arg-type]
    assert math.isnan(scorer_of("math:fmod", TRUTH)(math.nan, 1.0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("by", "truth", "said"),
    [
        ("beauty", TRUTH, 'has no metric "beauty"; it has size .a minus'),
        ("size", {}, 'cannot be selected by "size": its truth names no known task; use agreement'),
        ("math:nothing", TRUTH, "math has no nothing"),
        ("math:sin", TRUTH, "takes .x, /.; it has to take .video, truth."),
    ],
)
def test_what_scores_nothing_is_refused(by, truth, said):
    with pytest.raises(InterventionError, match=said):
        scorer_of(by, truth)
