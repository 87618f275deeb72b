"""Over many simulated experiments: p-values are uniform where there is nothing, errors stay at their level.

Labels are maps with structure: they depend on the place, hang together from place to place, and are shared by
the seeds of a sample, and so are features. A test that exchanged tokens would take that for a finding.
"""

import numpy as np
import pytest
import scipy.stats

from probes.probing.multiple_tests import benjamini_hochberg, family_wise, permutation_p
from probes.probing.permutation import exchange, statistics
from tests.unit.probes.probing.planted_cells import layout, problem_of

SAMPLES, PLACES, SEEDS, CHANNELS = 12, 16, 2, 5


def smooth(rng, *shape):
    """Noise that hangs together along the last axis, of variance about one."""
    noise = rng.normal(size=(*shape[:-1], shape[-1] + 4))
    return sum(noise[..., i : i + shape[-1]] for i in range(5)) / np.sqrt(5)


def label_maps(rng, kind):
    """(row,) labels: more of a class at some places, smooth, and the same for both seeds of a sample."""
    field = smooth(rng, SAMPLES, PLACES) + np.sin(np.arange(PLACES) / 3)
    values = np.repeat(field[:, None], SEEDS, axis=1).reshape(-1)
    return values if kind == "number" else (values > 0).astype(int)


def noise(rng, cells=1):
    """(cell, row, channel) features that know the place and have structure, but nothing of the labels.

    Cells of a grid have most of it in common.
    """
    place = np.sin(np.arange(PLACES) / 3)[None, None, None, :, None]
    shared = smooth(rng, 1, SAMPLES, 1, CHANNELS, PLACES).swapaxes(-1, -2)
    own = smooth(rng, cells, SAMPLES, SEEDS, CHANNELS, PLACES).swapaxes(-1, -2)
    return (place + shared + 0.5 * own).reshape(cells, -1, CHANNELS)


def outcome(features, problem, permutations, seed):
    """(observed (cell,), nulls (cell, permutation)) of features (cell, row, channel)."""
    exchanged = exchange(problem, permutations, seed)
    values = np.stack([statistics(one, problem, exchanged) for one in features])
    return values[:, 0], values[:, 1:]


def experiment(number, kind="binary", cells=1):
    rng = np.random.default_rng([number, 77])
    samples, slots, _ = layout(SAMPLES, PLACES, SEEDS)
    return noise(rng, cells), problem_of(label_maps(rng, kind), samples, slots), rng


@pytest.mark.parametrize("kind", ["binary", "number"])
def test_under_the_null_p_values_are_uniform(kind):
    """A p-value of 39 permutations takes 40 values; spread out over its step it is uniform on (0, 1)."""
    p = []
    for number in range(600):
        features, problem, _ = experiment(number, kind)
        p.append(permutation_p(*outcome(features, problem, 39, seed=number))[0])
    p = np.array(p)
    assert set(np.round(p * 40, 9)) <= set(range(1, 41))
    spread = p - np.random.default_rng(0).uniform(size=p.size) / 40
    assert scipy.stats.kstest(spread, "uniform").pvalue > 0.01
    assert scipy.stats.binomtest(int((p <= 0.05).sum()), p.size, 0.05).pvalue > 0.01


def test_exchanging_tokens_instead_would_find_what_is_not_there():
    """The same experiments: every token as a sample of its own, exchanged with others of its place only."""
    rejected = 0
    for number in range(40):
        features, problem, rng = experiment(number)
        alone = problem_of(problem.labels, rng.permutation(problem.rows), problem.slots % PLACES)
        rejected += permutation_p(*outcome(features, alone, 19, seed=number))[0] <= 0.05
    assert rejected / 40 > 0.25


def test_family_wise_error_stays_at_its_level_over_grids_of_correlated_cells():
    grids, cells = 240, 8
    single = np.empty((grids, cells))
    errors = 0
    for number in range(grids):
        features, problem, _ = experiment(number, cells=cells)
        observed, nulls = outcome(features, problem, 39, seed=number)
        single[number] = permutation_p(observed, nulls)
        errors += int(family_wise(observed, nulls).min() <= 0.05)
    assert scipy.stats.binomtest(errors, grids, 0.05).pvalue > 0.01, errors
    # Without a correction there is a finding in far more of the grids.
    assert ((single <= 0.05).any(1)).mean() > 0.1


def test_planted_signals_are_found_where_they_are_and_nowhere_else():
    found, explored = np.zeros(10), np.zeros(10)
    for number in range(20):
        features, problem, rng = experiment(number, cells=10)
        for cell in (3, 7):
            direction = rng.normal(size=CHANNELS)
            features[cell] += 2 * np.outer(problem.labels - 0.5, direction / np.linalg.norm(direction))
        observed, nulls = outcome(features, problem, 99, seed=number)
        found += family_wise(observed, nulls) <= 0.05
        explored += benjamini_hochberg(permutation_p(observed, nulls)) <= 0.1
    assert found[[3, 7]].min() >= 18
    assert explored[[3, 7]].min() >= 18
    assert np.delete(found, [3, 7]).max() <= 3
