"""Convergence as a result, on stores whose estimates and answers are planted."""

import shutil

import numpy as np
import pytest
import xarray

from probes.convergence.analysis import convergence
from probes.convergence.braid import braid
from probes.convergence.distances import reference_distances
from probes.estimated import estimate_at
from probes.results.provenance import provenance
from probes.results.result import Result
from stores import StoreSettings, create_store, open_store
from stores.errors import SelectionError, StoreError
from tests.planted import plant
from tests.unit.probes.convergence.test_convergence import SHARES, mixed, noise
from tests.unit.probes.scored import save_scores

NAMES = [f"maze-{sample}" for sample in range(4)]
RIGHT = dict.fromkeys(NAMES, "red-1")
ANSWERS = {
    # Wrong to right, and one that knows from the start.
    ("maze-0", 0): ["red-2", "red-2", "red-1", "red-1"],
    ("maze-0", 1): ["red-1", "red-1", "red-1", "red-1"],
    # Right to wrong, and a flip of the goal.
    ("maze-1", 0): ["red-1", "red-1", "red-3", "red-3"],
    ("maze-1", 1): ["blue-9", "blue-9", "red-1", "red-1"],
    # No answer at the end; an answer that flickers.
    ("maze-2", 0): ["red-1", "red-1", None, None],
    ("maze-2", 1): [None, "red-4", "red-1", "red-1"],
    # All alike.
    ("maze-3", 0): ["red-1"] * 4,
    ("maze-3", 1): ["red-1"] * 4,
}


def make_store(folder, seeds=range(2), names=NAMES):
    runs = {(name, seed): mixed(seed, SHARES, sample) for sample, name in enumerate(names) for seed in seeds}
    truths = {name: {"goal": "red", "path_length": 10 + sample} for sample, name in enumerate(names)}
    return plant(folder, runs, truths)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("planted") / "store")


@pytest.fixture
def store(planted, tmp_path):
    """One store of the tests' own: copies cost less than planting."""
    return open_store(shutil.copytree(planted.path, tmp_path / "store"))


@pytest.fixture
def scored(store):
    save_scores(store, ANSWERS, RIGHT)
    return store


@pytest.fixture(scope="module")
def found(planted, tmp_path_factory):
    """The result of the planted answers, for those who only look at it."""
    store = open_store(shutil.copytree(planted.path, tmp_path_factory.mktemp("found") / "store"))
    save_scores(store, ANSWERS, RIGHT)
    return convergence(store)


@pytest.fixture(scope="module")
def with_results(planted, tmp_path_factory):
    """A store with scores, scores of another variant, and a result that is none."""
    store = open_store(shutil.copytree(planted.path, tmp_path_factory.mktemp("results") / "store"))
    save_scores(store, ANSWERS, RIGHT)
    Result(xarray.Dataset(), provenance("probe", store, {})).save(store.path, "other")
    scores = Result.open(store.path / "results" / "scores-maze.nc")
    told = {**scores.provenance, "asked": {**scores.provenance["asked"], "variant": "patched"}}
    Result(scores.dataset.assign_attrs(variant="patched"), told).save(store.path, "scores-patched")
    return store


def value(result, name, **place):
    return estimate_at(result.dataset, name, **({"group": "all"} | place)).value


def test_distances_need_no_scores(store):
    result = convergence(store)
    assert result.kind == "convergence"
    assert result.dataset["distance"].sel(group="all").values == pytest.approx(SHARES, abs=0.02)
    assert "reading" not in result.dataset
    assert result.figures() == ["distance"]
    assert f"cosinterp score {store.path}" in result.summary()[-1]
    assert result.provenance["asked"]["scores"] is None
    assert result.summary()[0].count("couples") == 2


def test_planted_answers_give_the_known_counts(found):
    result = found
    path = {"reading": "answer"}
    assert result.dataset["commit_step"].sel(path).values.tolist() == [2, 0, 2, 2, -1, 2, 0, 0]
    assert result.dataset["correction_count"].sel(path).values.tolist() == [1, 0, 1, 1, 0, 0, 0, 0]
    assert value(result, "commit", **path) == pytest.approx((2 + 0 + 2 + 2 + 2 + 0 + 0) / 7)
    assert value(result, "wrong_to_right", **path) == pytest.approx(2 / 8)
    assert value(result, "right_to_wrong", **path) == pytest.approx(1 / 8)
    assert value(result, "wrong_to_wrong", **path) == 0
    assert value(result, "corrected", **path) == pytest.approx(3 / 8)
    assert value(result, "ends_right", **path) == pytest.approx(6 / 8)
    assert value(result, "becomes_right", **path) == pytest.approx(3 / 8)
    assert value(result, "loses_right", **path) == pytest.approx(2 / 8)
    assert value(result, "changes", **path) == pytest.approx(4 / 8)
    assert estimate_at(result.dataset, "commit", group="all", **path).n == 7


def test_flips_between_goals_are_the_corrections_of_the_goal(found):
    result = found
    assert result.dataset["correction_count"].sel(reading="goal").values.tolist() == [0, 0, 0, 1, 0, 0, 0, 0]
    assert value(result, "wrong_to_right", reading="goal") == pytest.approx(1 / 8)
    assert result.dataset["reading_label"].values.tolist() == ["path", "goal"]


def test_agreement_and_distinct_answers_by_step(found):
    found = found.dataset.sel(group="all", reading="answer")
    assert found["distinct"].values == pytest.approx(np.array([6, 7, 5, 5]) / 4)
    assert found["agreement"].values == pytest.approx([1 / 4, 1 / 4, 2 / 4, 2 / 4])
    assert found["agreement_answered"].values == pytest.approx([1 / 3, 1 / 4, 2 / 3, 2 / 3])
    assert found["agreement_answered_n"].values.tolist() == [3, 4, 3, 3]
    assert found["agreement_right"].values == pytest.approx([1 / 4, 1 / 4, 2 / 4, 2 / 4])
    assert found["answered"].values == pytest.approx([7 / 8, 1, 7 / 8, 7 / 8])
    assert found["right"].values == pytest.approx([5 / 8, 5 / 8, 6 / 8, 6 / 8])
    assert found["committed"].values == pytest.approx([3 / 8, 3 / 8, 7 / 8, 7 / 8])
    assert found["agreement_chance"].values == pytest.approx(np.array([5, 5, 6, 6]) ** 2 / 64)


def test_the_chance_of_agreement_is_what_independent_seeds_show():
    """Seeds that are right by coin agree in the right answer as often as chance says."""
    from probes.convergence import answers

    rng = np.random.default_rng(0)
    right = rng.random((4000, 4, 1)) < 0.6
    labels = np.where(right, "right", np.char.add("wrong", rng.integers(0, 10**9, right.shape).astype(str)))
    shares = [
        answers(rows.tolist()).agreement_where(is_right)[0]
        for rows, is_right in zip(labels, right, strict=True)
    ]
    assert np.mean(shares) == pytest.approx(0.36, abs=0.02)


def test_right_by_votes_counts_the_other_seeds_with_the_same_answer(found):
    found = found.dataset.sel(reading="answer", step=3)
    assert found["right_by_votes"].values.tolist() == pytest.approx([2 / 3, 1.0])
    assert found["right_by_votes_n"].values.tolist() == [3, 4]


def test_the_hold_is_as_asked(scored):
    assert value(convergence(scored, hold=1), "corrections", reading="answer") == pytest.approx(4 / 8)
    assert value(convergence(scored, hold=3), "corrections", reading="answer") == 0


def test_numeric_metrics_settle_within_a_share_of_their_range(store):
    curves = {key: [0.0, 0.0, 10.0, 10.0] for key in ANSWERS}
    curves["maze-0", 0] = [0.0, 9.0, 10.0, 10.0]
    save_scores(store, ANSWERS, RIGHT, more={"walls": curves})
    assert value(convergence(store), "settle", metric="walls") == pytest.approx(2.0)
    assert value(convergence(store, tolerance=0.1), "settle", metric="walls") == pytest.approx(15 / 8)
    assert value(convergence(store), "settle", metric="solved") == pytest.approx((2 + 2 + 2 + 2 + 2) / 8)


def test_groups_stand_beside_all(scored):
    result = convergence(scored, by="path_length")
    assert result.dataset["group"].values.tolist() == ["all", *(f"path_length {10 + n}" for n in range(4))]
    assert value(result, "commit", group="path_length 13", reading="answer") == 0
    assert value(result, "corrections", group="path_length 11", reading="answer") == 1
    assert value(result, "corrections", reading="answer") == value(
        convergence(scored), "corrections", reading="answer"
    )
    assert estimate_at(result.dataset, "commit", group="path_length 12", reading="answer").n == 1
    assert "commitment-by-group" in result.figures()
    assert any(line.startswith("path_length 11: ") for line in result.summary())


def test_intervals_are_over_samples_and_come_out_the_same_again(tmp_path):
    names = [f"maze-{sample:02d}" for sample in range(12)]
    store = make_store(tmp_path / "many", names=names)
    answers = {(name, seed): ["red-1" if place % 3 else "red-2"] * 4 for place, name in enumerate(names)
               for seed in range(2)}  # fmt: skip
    save_scores(store, answers, dict.fromkeys(names, "red-1"))
    first, again, other = (convergence(store, seed=seed) for seed in (1, 1, 2))
    assert first.dataset.identical(again.dataset)
    one = estimate_at(first.dataset, "ends_right", group="all", reading="answer")
    assert (one.value, one.n, one.samples, one.seed) == (pytest.approx(8 / 12), 24, 12, 1)
    assert "cluster bootstrap by sample" in one.method
    different = estimate_at(other.dataset, "ends_right", group="all", reading="answer")
    assert (different.value, different.seed) == (one.value, 2)
    # Twelve samples whose runs are copies of one another: as wide as twelve runs are.
    assert one.high - one.low > 0.4


def test_different_samples_are_further_apart_than_seeds(store):
    found = reference_distances(store, {name: [0, 1] for name in NAMES}, seed=3)
    assert sorted(name for couple in found.couples for name in couple) == NAMES
    assert found.other_seed.shape == found.same_seed.shape == (2, len(SHARES))
    assert found.other_seed == pytest.approx(np.ones((2, len(SHARES))), abs=0.03)
    again = reference_distances(store, {name: [0, 1] for name in NAMES}, seed=3)
    assert again.couples == found.couples


def test_the_same_seed_is_told_from_others(tmp_path):
    """All samples share the noise of a seed, so that runs of one seed are near."""
    runs = {
        (f"s{sample}", seed): (noise([0, seed]) + 0.1 * noise([1, sample, seed]))[None].repeat(2, axis=0)
        for sample in range(2)
        for seed in range(3)
    }
    found = reference_distances(plant(tmp_path / "store", runs), {"s0": [0, 1], "s1": [1, 2]})
    assert found.same_seed == pytest.approx(np.full((1, 2), 0.1), abs=0.01)
    assert found.other_seed == pytest.approx(np.ones((1, 2)), abs=0.03)


def test_seeds_that_are_not_shared_leave_the_same_seed_open(tmp_path):
    runs = {("a", 0): mixed(0, SHARES), ("b", 1): mixed(1, SHARES, 1)}
    found = reference_distances(plant(tmp_path / "store", runs), {"a": [0], "b": [1]})
    assert np.isnan(found.same_seed).all()
    assert np.isfinite(found.other_seed).all()


def test_only_samples_of_one_shape_are_coupled(tmp_path):
    runs = {("a", 0): noise(0, (2, *(3, 2, 4, 4))), ("b", 0): noise(1, (2, *(3, 2, 8, 4)))}
    found = reference_distances(plant(tmp_path / "store", runs), {"a": [0], "b": [0]})
    assert found.couples == ()
    assert found.other_seed.shape == (0, 2)


def test_final_distances_have_no_reference(tmp_path):
    runs = {
        (name, seed): mixed(seed, [0.2, 0.8], sample) for sample, name in enumerate("ab") for seed in (0, 1)
    }
    told = []
    result = convergence(
        plant(tmp_path / "store", runs), normaliser="final", progress=lambda *done: told.append(done)
    )
    assert told == [(1, 2), (2, 2)]
    assert result.dataset["distance"].sel(group="all").values == pytest.approx([0.25, 1.0], abs=0.01)
    assert (result.dataset["distance_other_seed_n"] == 0).all()
    assert "couples" not in result.summary()[0]


def test_it_is_saved_and_says_the_same_again(scored):
    result = convergence(scored, by="path_length", command="cosinterp convergence planted")
    saved = result.save(scored.path, "convergence")
    assert saved.summary() == result.summary()
    assert saved.table().equals(result.table())
    assert saved.provenance["command"] == "cosinterp convergence planted"
    for name in saved.figures():
        saved.figure(name).draw_without_rendering()
    table = saved.table()
    assert {"quantity", "value", "low", "high", "n", "samples", "method"} <= set(table.columns)
    assert table["n"].to_numpy().min() > 0
    rows = table[(table.quantity == "agreement") & (table.group == "all") & (table.reading == "answer")]
    assert rows["value"].tolist() == pytest.approx([1 / 4, 1 / 4, 2 / 4, 2 / 4])


def test_every_line_of_the_summary_with_a_number_has_its_n(found):
    [intervals] = [line for line in found.summary() if "n = " not in line]
    assert intervals.startswith("Intervals: 95%, by sample: ")


def test_what_says_most_comes_first(found):
    first = [" ".join(line.split()[:3]) for line in found.summary()[:4:3]]
    assert first == ["path: final answers", "goal: final answers"]
    assert found.figures()[:4] == ["agreement", "commitment", "braid", "distance"]


def test_the_braid_shows_a_cell_for_each_seed_and_step(found):
    figure = braid(found.dataset, samples=["maze-1", "maze-2"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["maze-1", "maze-2"]
    texts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    # By row: red-3 after two right ones, and blue-9 which came up first.
    assert texts == [["b", "b", "a", "a"], ["a"]]
    frames = [patch for patch in figure.axes[1].patches if patch.get_edgecolor() == (0, 0, 0, 1)]
    assert len(frames) == 1


def test_without_a_truth_there_are_answers_but_no_right_ones(store):
    save_scores(store, ANSWERS, RIGHT, knows_right=False)
    result = convergence(store)
    assert value(result, "corrections", reading="answer") == pytest.approx(3 / 8)
    assert np.isnan(value(result, "ends_right", reading="answer"))
    assert np.isnan(value(result, "wrong_to_right", reading="answer"))
    assert "votes" not in result.figures()
    assert not any("right" in line for line in result.summary() if line.startswith("path"))
    assert len(braid(result.dataset).axes) == 4


def test_runs_that_are_not_scored_are_named(store):
    some = {key: said for key, said in ANSWERS.items() if key != ("maze-2", 1)}
    save_scores(store, some, RIGHT)
    result = convergence(store)
    assert "answers of 7 of 8 runs: the others, such as maze-2 seed 1, are not scored" in result.summary()[-1]
    assert estimate_at(result.dataset, "agreement", group="all", reading="answer", step=0).n == 3
    assert estimate_at(result.dataset, "corrections", group="all", reading="answer").n == 7


def test_samples_with_one_seed_count_as_runs_alone(tmp_path):
    runs = {
        ("maze-0", 0): mixed(0, SHARES),
        ("maze-0", 1): mixed(1, SHARES),
        ("maze-1", 0): mixed(0, SHARES, 1),
    }
    store = plant(tmp_path / "store", runs)
    save_scores(store, {key: ANSWERS[key] for key in runs}, RIGHT)
    result = convergence(store)
    assert "no second seed to compare with: maze-1" in result.summary()[-1]
    assert estimate_at(result.dataset, "corrections", group="all", reading="answer").samples == 2
    assert estimate_at(result.dataset, "agreement", group="all", reading="answer", step=0).n == 1


def test_one_seed_is_an_error(tmp_path):
    store = make_store(tmp_path / "store", seeds=[3])
    with pytest.raises(SelectionError, match="no chosen sample of .* has two seeds"):
        convergence(store)


def test_runs_of_different_length_are_an_error(tmp_path):
    runs = {("a", 0): mixed(0, SHARES), ("a", 1): mixed(1, SHARES[:2])}
    with pytest.raises(SelectionError, match="2 and 4 steps"):
        convergence(plant(tmp_path / "store", runs))


def test_a_store_without_latents_is_an_error(tmp_path):
    store = create_store(tmp_path / "bare", StoreSettings(model={"name": "planted"}, capture={"sites": []}))
    for seed in range(2):
        with store.writer("a", seed) as writer:
            writer.set_attrs({"prediction_type": "flow"})
            writer.set_schedule(np.array([1000.0]), np.array([1.0, 0.0]))
            writer.finish()
    with pytest.raises(StoreError, match="without its latents"):
        convergence(store)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"scores": "nothing"}, "no such result"),
        ({"scores": "other"}, "result of the kind probe, not of scores"),
        ({"scores": "scores-patched"}, "of variant patched, not base"),
        ({"samples": "maze-9"}, "has no runs of maze-9"),
        ({"by": "width"}, "there is goal, path_length"),
        ({"by": "goal"}, "all samples have red"),
        ({"hold": 0}, "1 step or more"),
        ({"tolerance": 1.0}, "from 0 and less than 1"),
        ({"normaliser": "most"}, "norm, final, none"),
    ],
)
def test_what_cannot_be_asked(with_results, asked, message):
    with pytest.raises((SelectionError, StoreError), match=message):
        convergence(with_results, **asked)


def test_scores_of_none_of_the_runs_are_an_error(scored):
    save_scores(scored, {key: said for key, said in ANSWERS.items() if key[0] != "maze-3"}, RIGHT)
    with pytest.raises(SelectionError, match="none of these 2 runs"):
        convergence(scored, samples="maze-3")


def test_one_of_several_scores_has_to_be_named(scored):
    save_scores(scored, ANSWERS, RIGHT, name="scores-again")
    with pytest.raises(SelectionError, match="scores-again, scores-maze; say which with --scores NAME"):
        convergence(scored)
    assert convergence(scored, scores="scores-again").dataset.attrs["scores"] == "scores-again"
