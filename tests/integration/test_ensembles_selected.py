"""The best seeds go on, judged early; the others are stopped, and cost no more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cosinterp as ci
from cosinterp.ensembles.spec import Ensemble, Merge, Select
from cosinterp.errors import UserError
from cosinterp.models.model import Model
from tests.integration.ensembling import made, plain, planned, relative
from tests.tiny import sample_for

KIND = "wan2.1-t2v"
SETTINGS: dict[str, Any] = {"num_steps": 4, "guidance_scale": 3.0}
NAME = "sample-0"
SEEDS = (3, 4, 8)
BOTH = 2

SEEN: list[tuple[np.ndarray, Any]] = []
PLANTED: list[float] = []


def planted(video: np.ndarray, truth: Any) -> float:
    """Scores that a test has planted, in the order of the seeds."""
    SEEN.append((video, truth))
    return PLANTED[len(SEEN) - 1]


def brightness(video: np.ndarray, truth: Any) -> float:
    return float(video.mean())


def failing(video: np.ndarray, truth: Any) -> float:
    raise ZeroDivisionError("a fault")


def scorer(name: str) -> str:
    return f"{__name__}:{name}"


@pytest.fixture
def model(tiny_model: Callable[..., Model]) -> Model:
    return tiny_model(KIND)


@pytest.fixture(scope="module")
def base(tiny_model: Callable[..., Model], tmp_path_factory: pytest.TempPathFactory) -> ci.Store:
    path = tmp_path_factory.mktemp("base") / "store"
    return ci.trace(tiny_model(KIND), sample_for(KIND), store=path, seeds=SEEDS, sites="none", **SETTINGS)


def ensembled(model: Model, store: Path, **asked: Any) -> ci.Store:
    return ci.ensemble(
        model, sample_for(KIND), store=store, **{"seeds": SEEDS, "base": False, **SETTINGS, **asked}
    )


@pytest.mark.parametrize(
    ("scores", "keep", "kept", "chunk"),
    [
        ([0.1, 0.7, 0.3], 1, [4], "auto"),
        ([0.1, 0.7, 0.3], 2, [4, 8], 1),
        ([np.nan, 0.1, 0.1], 1, [4], 2),
        ([np.nan, np.nan, np.nan], 2, [3, 4], "auto"),
    ],
)
def test_the_seeds_that_are_planted_as_the_best_go_on(scores, keep, kept, chunk, model, base, tmp_path):
    SEEN.clear()
    PLANTED[:] = scores
    asked = {"select": scorer("planted"), "select_step": 1, "keep": keep, "chunk": chunk}
    store = ensembled(model, tmp_path / "s", **asked)
    assert [entry.seed for entry in store.runs(variant="ensemble")] == kept
    for seed, (video, _) in zip(SEEDS, SEEN, strict=True):
        with base.run(NAME, seed) as run:
            shown = model.decode(run.clean_estimate(1), run.attrs["sampling"]["num_frames"])
            assert np.abs(video.astype(int) - shown).max() <= 1
    for seed in kept:
        with store.run(NAME, seed, "ensemble") as run, base.run(NAME, seed) as own:
            np.testing.assert_allclose(run.noisy(4), own.noisy(4), rtol=1e-4, atol=1e-4)
            told = run.attrs["intervention"]
            assert told["evaluations"] == BOTH * (2 * len(SEEDS) + 2 * keep)
            assert told["selected"]["kept"] == kept
            given = [told["selected"]["scores"][str(one)] for one in SEEDS]
            np.testing.assert_array_equal(np.array(given, dtype=float), scores)


def test_one_seed_that_is_selected_in_chunks_of_one_is_its_base_run(model, tmp_path):
    asked = {"select": scorer("brightness"), "select_step": 0, "base": True, "chunk": 1}
    store = ensembled(model, tmp_path / "s", **asked)
    (entry,) = store.runs(variant="ensemble")
    with store.run(*entry.key) as run, store.run(NAME, entry.seed) as base:
        for step in range(5):
            assert np.array_equal(run.noisy(step), base.noisy(step))
        assert np.array_equal(np.asarray(run.video), np.asarray(base.video))


def test_the_quarter_of_the_steps_is_where_seeds_are_judged_if_nothing_is_said(model, tmp_path):
    store = ensembled(model, tmp_path / "s", select="agreement")
    (entry,) = store.runs()
    with store.run(*entry.key) as run:
        told = run.attrs["intervention"]
    assert told["ensemble"] == {
        "merges": [],
        "select": {"step": 1, "by": "agreement", "keep": 1},
        "then": "one",
    }
    assert told["words"] == "best 1 by agreement after step 1"
    again = ensembled(model, tmp_path / "s", select="agreement", resume=True)
    assert [one.finished for one in again.runs()] == [entry.finished]


def test_agreement_of_what_has_no_answer_is_nearness_to_the_others(model, tmp_path):
    """The medoid of the clean estimates, from the plain pipeline's own."""
    store = ensembled(model, tmp_path / "s", select="agreement", select_step=2)
    of = planned(model, sample_for(KIND), **SETTINGS)
    estimates = plain(model, of, SEEDS)[2].clean_estimate()
    apart = [sum(float((one - other).norm()) for other in estimates) / 2 for one in estimates]
    (entry,) = store.runs()
    assert entry.seed == SEEDS[int(np.argmin(apart))]
    with store.run(*entry.key) as run:
        scores = run.attrs["intervention"]["selected"]["scores"]
    np.testing.assert_allclose([scores[str(seed)] for seed in SEEDS], np.negative(apart), rtol=1e-4)


def test_seeds_are_merged_before_and_after_some_are_stopped(model):
    """Weights are those of the seeds that are left; one of them goes on."""
    of = planned(model, sample_for(KIND), **SETTINGS)
    merges = (
        Merge(what="latent", steps=(0,), how="median"),
        Merge(what="x0", steps=(2,), weights=(1.0, 2.0, 5.0)),
    )
    asked = Ensemble(merges=merges, select=Select(step=1, keep=2))
    seen = []

    def last_two(rows: Any, estimates: Any) -> Any:
        seen.append((rows, estimates.shape[0]))
        return rows[1:]

    for chunk in ("auto", 1):
        heard = made(model, of, asked, SEEDS, chunk, choose=last_two)
        assert list(heard.final) == [1]
        assert heard.stopped_rows == [0, 2]
        assert heard.evaluations == BOTH * (3 + 3 + 2 + 1)
        estimates = [
            heard.noisy[row][2] - sigma * prediction[2]
            for row in (1, 2)
            if (sigma := heard.schedules[0].sigma[2]) and (prediction := heard.predictions[row])
        ]
        assert relative(estimates[0], estimates[1]) < 1e-5, "both have the merged estimate"
    assert seen == [((0, 1, 2), 3)] * 2


def test_a_scorer_that_fails_says_so(model, tmp_path):
    with pytest.raises(UserError, match=r'scorer ".*:failing": ZeroDivisionError: a fault'):
        ensembled(model, tmp_path / "s", select=scorer("failing"))
    assert not list((tmp_path / "s").rglob("*.partial"))
