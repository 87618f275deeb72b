"""The online code against its definition, written out with scikit-learn's models block by block."""

import math

import numpy as np
import pytest
import scipy.stats
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes.probing.mdl import RESOLUTION, blocks, online_code
from probes.probing.plan import Plan
from tests.unit.probes.probing.planted_cells import planted, problem_of

STRENGTHS = (1e-2, 1.0, 30.0)


def best_before(sent):
    """The strength that would have been shortest so far, the strongest of equals."""
    return max(index for index in range(len(sent)) if sent[index] == min(sent))


def written_out(features, problem, plan):
    """(bits by the online code, bits by the uniform code, bits without features)"""
    known, labels = problem.labelled, problem.labels
    block_of = blocks(problem, plan.seed)[problem.samples]
    classes = len(problem.classes)
    total = uniform = prior = 0.0
    sent = [0.0] * len(plan.strengths)
    errors, coded = [0.0] * len(plan.strengths), 0
    width = np.ptp(labels[known]) / RESOLUTION
    for block in range(block_of.max() + 1):
        new, old = known & (block_of == block), known & (block_of < block) & (block_of >= 0)
        plain = new.sum() * math.log2(classes or RESOLUTION)
        uniform += plain
        if (classes and len(set(labels[old])) < classes) or not old.any():
            total += plain
            prior += plain
            continue
        lengths, squares = [], []
        for index, strength in enumerate(plan.strengths):
            if classes:
                model = LogisticRegression(
                    C=1 / (strength * old.sum()), tol=1e-13, solver="newton-cholesky", max_iter=1000
                )
                model = make_pipeline(StandardScaler(), model).fit(features[old], labels[old])
                chances = model.predict_proba(features[new])[np.arange(new.sum()), labels[new]]
                lengths.append(-np.log2(chances).sum())
            else:
                model = make_pipeline(StandardScaler(), Ridge(alpha=strength * old.sum(), solver="svd"))
                off = labels[new] - model.fit(features[old], labels[old]).predict(features[new])
                variance = errors[index] / coded if coded else labels[old].var()
                deviation = math.sqrt(max(variance, width**2 / 12))
                density = scipy.stats.norm.logpdf(off, scale=deviation)
                lengths.append(-(density / math.log(2) + math.log2(width)).sum())
                squares.append((off**2).sum())
        total += lengths[best_before(sent)]
        sent = [one + more for one, more in zip(sent, lengths, strict=True)]
        if classes:
            counts = np.bincount(labels[old], minlength=classes) + 0.5
            prior -= np.log2(counts / counts.sum())[labels[new]].sum()
        else:
            errors = [one + more for one, more in zip(errors, squares, strict=True)]
            coded += new.sum()
            density = scipy.stats.norm.logpdf(labels[new], labels[old].mean(), labels[old].std())
            prior -= (density / math.log(2) + math.log2(width)).sum()
    return total, uniform, prior


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("binary", {"places": 12}),
        ("classes", {"places": 12}),
        ("number", {}),
        ("binary", {"places": 1, "samples": 40, "channels": 30}),
        ("number", {"places": 1, "samples": 40, "channels": 30}),
    ],
)
def test_the_code_length_is_its_definition(kind, made, missing):
    features, problem = planted(kind=kind, seed=6, strength=0.7, **made)
    if missing:
        labels = problem.labels.copy()
        labels[np.random.default_rng(0).random(len(labels)) < 0.3] = np.nan if kind == "number" else -1
        problem = problem_of(labels, problem.samples, problem.slots, kind=kind)
    code = online_code(features, problem, Plan(strengths=STRENGTHS))
    total, uniform, prior = written_out(features, problem, Plan(strengths=STRENGTHS))
    assert code.length == pytest.approx(total, rel=1e-8)
    assert code.uniform == pytest.approx(uniform, rel=1e-8)
    assert code.prior == pytest.approx(prior, rel=1e-8)
    assert code.compression == pytest.approx(uniform / total, rel=1e-8)
    assert code.compression_over_prior == pytest.approx(prior / total, rel=1e-8)
    assert code.rows == problem.labelled.sum()


@pytest.mark.parametrize("kind", ["binary", "number"])
def test_more_signal_is_a_shorter_code_and_none_is_no_shorter_than_without_features(kind):
    codes = []
    for strength in (0.0, 0.3, 2.0):
        features, problem = planted(kind=kind, samples=32, places=12, strength=strength, seed=1)
        codes.append(online_code(features, problem, Plan()))
    assert codes[0].length > codes[1].length > codes[2].length
    assert codes[0].compression < codes[1].compression < codes[2].compression
    assert codes[0].length > 0.98 * codes[0].prior
    assert codes[2].length < 0.9 * codes[2].prior


def test_a_rare_class_compresses_by_being_rare_and_not_by_features_of_noise():
    rng = np.random.default_rng(0)
    features, problem = planted(samples=32, places=30)
    rare = problem_of((rng.random(problem.rows) < 0.05).astype(int), problem.samples, problem.slots)
    code = online_code(features, rare, Plan())
    assert code.compression > 2
    assert 0.9 < code.compression_over_prior < 1.02


def test_blocks_are_of_whole_samples_in_an_order_of_the_seed():
    _, problem = planted(samples=64)
    assert np.bincount(blocks(problem, 0)).tolist() == [4, 4, 8, 16, 32]
    np.testing.assert_array_equal(blocks(problem, 0), blocks(problem, 0))
    assert (blocks(problem, 0) != blocks(problem, 1)).any()


def test_until_every_class_was_sent_the_code_is_uniform():
    """One sample alone has the second class; before it is sent nothing can be learnt."""
    features, problem = planted(samples=16, places=6)
    last = int(np.flatnonzero(blocks(problem, 0) == blocks(problem, 0).max())[0])
    labels = ((problem.samples == last) & (np.arange(problem.rows) % 2 == 0)).astype(int)
    code = online_code(features, problem_of(labels, problem.samples, problem.slots), Plan())
    assert code.length == code.uniform == problem.rows
