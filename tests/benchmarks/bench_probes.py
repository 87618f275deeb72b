"""Token-level probes of a grid of cells, as a ratio to a plain loop of scikit-learn.

    python -m tests.benchmarks.bench_probes STORE [--cells 6] [--samples 64] [--seed 0] [--ways fixed,chosen]
    python -m tests.benchmarks.bench_probes STORE --parts

One seed of each sample of a store of maze-wan; the label of a token is whether its place is on the path.
Cells are spread evenly over the grid of all steps and layers. Both sides get the same rows in memory, the
same outer folds, standardised in each fold, with balanced classes, and end with the balanced accuracy of
held-out rows:

``fixed``   one strength for all: 5 fits a cell. The plain loop is `LogisticRegression(max_iter=1000)` with
            the same penalty.
``chosen``  one of six strengths, chosen in the same 3 inner folds of each training set by the same held-out
            loss: 95 fits a cell. The plain loop does the same, one fit after another.
``default`` the plain loop takes C = 1 as it comes, 5 fits a cell, while the other side chooses among six
            strengths: what choosing costs over not choosing.

``--parts`` gives the processor time of what `evaluate` does at one cell in the middle of the grid instead.

Reading is not timed. Set OMP_NUM_THREADS=1 for one thread. Ratios above 1: the plain loop is slower by so
much.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from probes.probing.evaluate import evaluate
from probes.probing.fitting import fit_folds
from probes.probing.folds import Folds, deal
from probes.probing.plan import STRENGTHS, Plan
from probes.probing.problem import Problem
from probes.probing.table import Table
from stores import Store, open_store

FIXED = 1e-4
WAYS = ("fixed", "chosen", "default")

Features = NDArray[np.float32]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("store")
    options.add_argument("--cells", type=int, default=6)
    options.add_argument("--samples", type=int, default=64)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--ways", default="fixed,chosen")
    options.add_argument("--parts", action="store_true")
    chosen = options.parse_args()
    ways = chosen.ways.split(",")
    if not set(ways) <= set(WAYS):
        options.error(f"ways are {', '.join(WAYS)}")
    store = open_store(chosen.store)
    base = store.runs(variant="base")
    names = sorted({run.sample for run in base if run.seed == chosen.seed})[: chosen.samples]
    if chosen.parts:
        measure_parts(store, names, chosen.seed)
    else:
        measure(store, chosen.cells, names, chosen.seed, ways)


def measure_parts(store: Store, names: list[str], seed: int) -> None:
    """Prints what the parts of one cell cost, each by asking for it and nothing else beside the fits."""
    problem = problem_of(store, names, seed)
    problem = replace(problem, types=problem.slots)
    with store.run(names[0], seed) as run:
        site = run.site("resid")
        step, layer = site.steps[len(site.steps) // 2], site.layers[len(site.layers) // 2]
    features = read(store, names, seed, step, layer)
    alone = Plan(permutations=0, mdl=False, control=False)
    plans = {
        "control task": replace(alone, control=True),
        "1,000 permutations": replace(alone, permutations=1000),
        "code length": replace(alone, mdl=True),
    }
    evaluate(features, problem, alone)  # Imports what it needs.
    fits = processor_time(lambda: evaluate(features, problem, alone))
    print(f"{problem.rows} rows, step {step}, layer {layer}: fits, scores and intervals {fits:.1f} s")
    for name, plan in plans.items():
        print(f"  {name}: {processor_time(lambda p=plan: evaluate(features, problem, p)) - fits:.1f} s more")
    left = (problem.labels == 0) & (problem.slots % 16 < 8)
    thirds = replace(
        problem,
        kind="classes",
        classes=(*problem.classes, "left"),
        labels=np.where(left, 2, problem.labels),
    )
    three = processor_time(lambda: evaluate(features, thirds, alone))
    print(f"  of three classes instead of two: {three:.1f} s")


def processor_time(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def read(store: Store, names: list[str], seed: int, step: int, layer: int) -> Features:
    """(row, channel) of all tokens of the samples."""
    slabs = [store.read("resid", step, layer, name, seed) for name in names]
    return np.concatenate([slab.reshape(-1, slab.shape[-1]) for slab in slabs]).astype(np.float32)


def measure(store: Store, cells: int, names: list[str], seed: int, ways: list[str]) -> None:
    """Prints the ratios of each cell and way, and of all together."""
    with store.run(names[0], seed) as run:
        layout = run.site("resid")
        grid = [(int(step), int(layer)) for step in layout.steps for layer in layout.layers]
    picked = [grid[i] for i in np.linspace(0, len(grid) - 1, min(cells, len(grid))).round().astype(int)]
    problem = problem_of(store, names, seed)
    print(
        f"{len(names)} samples, {problem.rows} rows; {len(picked)} of {len(grid)} cells; "
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs, "
        f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}"
    )
    totals = {way: np.zeros(5) for way in ways}
    for step, layer in picked:
        features = read(store, names, seed, step, layer)
        for way in ways:
            folds = deal(problem, plan_of(way))
            plain, plain_score = timed(lambda w=way, x=features, f=folds: plainly(w, x, problem, f), problem)
            ours, our_score = timed(lambda w=way, x=features, f=folds: together(w, x, problem, f), problem)
            totals[way][:4] += [*plain, *ours]
            totals[way][4] = max(totals[way][4], abs(plain_score - our_score))
            print(
                f"step {step:2} layer {layer:2} {way:8} plain {plain[0]:7.2f} s {plain_score:.4f}   "
                f"together {ours[0]:6.2f} s {our_score:.4f}   {ratios(plain, ours)}",
                flush=True,
            )
    for way, total in totals.items():
        print(
            f"{way:8} {ratios(total[:2], total[2:4])}; {total[0]:.1f} s and {total[2]:.1f} s; "
            f"balanced accuracies differ by at most {total[4]:.4f}"
        )


def ratios(plain: Sequence[float], ours: Sequence[float]) -> str:
    return f"{plain[0] / ours[0]:5.1f} times faster ({plain[1] / ours[1]:.1f} by the wall clock)"


def plan_of(way: str) -> Plan:
    return Plan(strengths=(FIXED,) if way == "fixed" else STRENGTHS)


def problem_of(store: Store, names: list[str], seed: int) -> Problem:
    """Whether each token's place is on the path."""
    labels = []
    for name in names:
        with store.run(name, seed) as run:
            on_path = (np.asarray(run.truth["path_order"]) > 0).ravel()
            labels.append(np.tile(on_path, run.site("resid").grid[0]))
    rows = len(labels[0])
    samples = np.repeat(np.arange(len(names)), rows)
    slots = np.tile(np.arange(rows), len(names))
    return Problem("binary", np.concatenate(labels).astype(int), ("off", "path"), samples, slots)


def timed(
    predictions: Callable[[], NDArray[np.float64]], problem: Problem
) -> tuple[tuple[float, float], float]:
    """((processor time, wall clock), balanced accuracy) of one way to predict all held-out rows."""
    wall, processor = time.perf_counter(), time.process_time()
    score = balanced_accuracy_score(problem.labels, predictions() > 0)
    return (time.process_time() - processor, time.perf_counter() - wall), float(score)


def together(way: str, features: Features, problem: Problem, folds: Folds) -> NDArray[np.float64]:
    table = Table(features, problem.labels, folds.groups[problem.samples], folds.group_count, 2)
    return fit_folds(table, folds, plan_of(way)).predict(features, problem.samples)[:, 0]


def plainly(way: str, features: Features, problem: Problem, folds: Folds) -> NDArray[np.float64]:
    outer, inner = folds.outer[problem.samples], folds.inner[problem.samples]
    labels = problem.labels
    predictions = np.empty(problem.rows)
    for fold in range(folds.outer_count):
        training, held_out = outer != fold, outer == fold
        strength: float | None = None if way == "default" else FIXED
        if way == "chosen":
            losses = [
                sum(
                    inner_loss(features, labels, one, training & (inner != i), training & (inner == i))
                    for i in range(folds.inner_count)
                )
                for one in STRENGTHS
            ]
            strength = STRENGTHS[int(np.argmin(losses))]
        model = plain_model(strength, int(training.sum())).fit(features[training], labels[training])
        predictions[held_out] = model.decision_function(features[held_out])
    return predictions


def plain_model(strength: float | None, rows: int) -> Pipeline:
    c = 1.0 if strength is None else 1 / (strength * rows)
    return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=1000, class_weight="balanced"))


def inner_loss(
    features: Features,
    labels: NDArray[np.int64],
    strength: float,
    fitted: NDArray[np.bool_],
    held_out: NDArray[np.bool_],
) -> float:
    """The held-out log loss with balanced classes."""
    model = plain_model(strength, int(fitted.sum())).fit(features[fitted], labels[fitted])
    truth = labels[held_out]
    chances = model.predict_log_proba(features[held_out])[np.arange(len(truth)), truth]
    counts = np.bincount(labels[fitted])
    return -float((chances * (fitted.sum() / (2 * counts))[truth]).sum())


if __name__ == "__main__":
    main()
