"""Agreement of seeds, on stores where it is planted."""

import numpy as np
import pytest

from probes.convergence import answers, commit_step, pair_distances, seed_disagreement
from stores.errors import SelectionError
from tests.planted import plant

SHAPE = (4, 3, 16, 16)


def noise(seed, shape=SHAPE):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def mixed(seed, shares, sample=0):
    """Estimates of one seed: at each step a mix of what all seeds of the sample share and what is its own.

    Both have unit variance, so the distance of two seeds is sqrt(2) * the share of their own.
    """
    common, own = noise([sample, 999]), noise([sample, seed])
    return np.stack([np.sqrt(1 - share**2) * common + share * own for share in shares]).astype(np.float32)


SHARES = [0.9, 0.5, 0.2, 0.0]


@pytest.fixture
def store(tmp_path):
    runs = {(f"maze-{sample}", seed): mixed(seed, SHARES, sample) for sample in range(3) for seed in range(4)}
    return plant(tmp_path / "store", runs)


def test_the_planted_share_is_what_is_measured(store):
    found = seed_disagreement(store)
    assert found.samples == ("maze-0", "maze-1", "maze-2")
    assert found.seeds == (4, 4, 4)
    # Mean squares are 1, so sqrt(2) * share over sqrt(1 + 1) is the share itself.
    assert found.values == pytest.approx(np.tile(SHARES, (3, 1)), abs=0.02)


def test_other_normalisers(store):
    plain = seed_disagreement(store, normaliser="none")
    assert plain.values[:, :3] == pytest.approx(np.sqrt(2) * np.tile(SHARES[:3], (3, 1)), abs=0.03)
    assert "latent units" in plain.meaning
    with pytest.raises(SelectionError, match="end in the same video"):
        seed_disagreement(store, normaliser="final")


def test_final_divides_by_the_last_step(tmp_path):
    shares = [0.2, 0.4, 0.8]
    store = plant(tmp_path / "store", {("a", seed): mixed(seed, shares) for seed in range(3)})
    assert seed_disagreement(store, normaliser="final").values[0] == pytest.approx([0.25, 0.5, 1.0], abs=0.01)


def test_the_interval_is_over_samples(store):
    by_step = seed_disagreement(store).by_step()
    assert [(one.n, one.samples) for one in by_step] == [(3, 3)] * 4
    assert all(one.low <= one.value <= one.high for one in by_step)
    assert by_step[0].low >= 0


def test_samples_and_seeds_can_be_chosen(store):
    found = seed_disagreement(store, samples=["maze-2"], seeds=[1, 3])
    alone = pair_distances(np.stack([mixed(seed, SHARES, 2)[0] for seed in (1, 3)]), "norm")
    assert found.samples == ("maze-2",)
    assert found.values[0, 0] == pytest.approx(alone[0], abs=1e-5)


def test_a_sample_with_one_seed_is_left_out_and_named(tmp_path):
    runs = {("a", 0): mixed(0, SHARES), ("a", 1): mixed(1, SHARES), ("b", 0): mixed(0, SHARES)}
    found = seed_disagreement(plant(tmp_path / "store", runs))
    assert (found.samples, found.left_out) == (("a",), ("b",))


def test_without_two_seeds_there_is_nothing_to_compare(tmp_path):
    store = plant(tmp_path / "store", {("a", 0): mixed(0, SHARES)})
    with pytest.raises(SelectionError, match="two seeds"):
        seed_disagreement(store)


def test_runs_of_different_length_are_not_compared(tmp_path):
    seeds = plant(tmp_path / "seeds", {("a", 0): mixed(0, SHARES), ("a", 1): mixed(1, SHARES[:2])})
    with pytest.raises(SelectionError, match="2 and 4 steps"):
        seed_disagreement(seeds)
    runs = {(name, seed): mixed(seed, SHARES[:n]) for name, n in (("a", 4), ("b", 3)) for seed in range(2)}
    with pytest.raises(SelectionError, match="3 and 4 steps"):
        seed_disagreement(plant(tmp_path / "samples", runs))


def test_pair_distances_are_the_plain_formula():
    fields = noise(0, (5, 2, 3, 4, 4)).astype(np.float64)
    found = pair_distances(fields)
    expected = [np.sqrt(np.mean((fields[i] - fields[j]) ** 2)) for i in range(5) for j in range(i + 1, 5)]
    assert found == pytest.approx(expected, rel=1e-12)
    assert pair_distances(np.zeros((2, 3)), "norm").tolist() == [0.0]


def test_small_distances_survive_large_values():
    fields = np.stack([np.full(100, 1000.0), np.full(100, 1000.0 + 1e-6)])
    assert pair_distances(fields)[0] == pytest.approx(1e-6, rel=1e-3)


def test_answers_of_four_seeds():
    found = answers(
        [
            [None, "red", "red", "red"],
            [None, "blue", "red", "red"],
            ["blue", "blue", "blue", "blue"],
            [None, None, "red", None],
        ]
    )
    assert found.distinct.tolist() == [1, 2, 2, 2]
    assert found.answered.tolist() == [0.25, 0.75, 1.0, 0.75]
    assert found.agreement == pytest.approx([0, 1 / 6, 3 / 6, 1 / 6])
    assert found.committed.tolist() == [1, 2, 0, -1]


def test_one_seed_agrees_with_nobody():
    assert np.isnan(answers([["red", "red"]]).agreement).all()


def test_a_run_that_changes_its_mind_commits_after_the_change():
    assert commit_step(["a", "b", "a", "a"]) == 2
    assert commit_step(["a"]) == 0
    assert commit_step(["a", None]) == -1


@pytest.mark.parametrize("labels", [[], [[]], [["a"], ["a", "b"]]])
def test_labels_must_be_a_full_table(labels):
    with pytest.raises(ValueError, match="seed, step"):
        answers(labels)
