"""Chain-of-Steps: what the clean estimate says at each step, how seeds agree, when runs commit."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cosinterp.experiments.bench import figure_of
from cosinterp.experiments.costs import Cost
from cosinterp.experiments.experiment import Experiment
from cosinterp.experiments.measures import (
    STEP_AXIS,
    curve_of,
    headline,
    labels,
    mean_of,
    names_of,
)
from cosinterp.experiments.settings import Settings
from probes.claims import Claim, Findings, Measured, Panel
from probes.convergence import answers, commit_step
from stores.selection import parse_seeds

if TYPE_CHECKING:
    from cosinterp.experiments.bench import Bench
    from probes.scores import ScoreTable
    from stores import Store

_ABSTRACT = "abstract (Chain-of-Steps)"
_FINER = 1.0

RISES = Claim(
    "score-rises",
    "Reasoning unfolds along the denoising steps: the answer is worked out from step to step.",
    _ABSTRACT,
    "runs whose clean estimate is right: at the last step less at the first",
    "share of runs",
)

NARROWS = Claim(
    "answers-narrow",
    "Several solutions are explored in early steps, and one is kept in the end.",
    _ABSTRACT,
    "distinct answers of a sample's seeds: first step less last",
    "answers a sample",
)

AGREES = Claim(
    "seeds-agree",
    "Denoising converges to a final answer.",
    _ABSTRACT,
    "pairs of a sample's seeds with the same answer: last step less first",
    "share of pairs",
)

WAYS = Claim(
    "ways-at-once",
    "Within one run, early clean estimates hold several candidate paths at once; late ones hold one.",
    _ABSTRACT,
    "runs that draw two ways or more from the start on: first step less last",
    "share of runs",
)

SETTLES = Claim(
    "settles-early",
    "The answer is decided in the early steps; later ones refine it.",
    _ABSTRACT,
    "step from which a run's answer is its final one, as a share of all steps, of runs that end with one",
    "share of steps",
    side="below",
    threshold=0.5,
)

# A coarser reading of an answer cannot settle later than the answer itself, so a difference below 0 says
# nothing; by a step or more it does.
GROUNDS = Claim(
    "perception-before-action",
    "Early steps ground what is meant, later ones act on it: perception before action.",
    "abstract (perception before action)",
    "step at which the coarse reading of a run's answer settles (a maze's goal) less that of the whole "
    "answer (its path)",
    "steps",
    side="below",
    threshold=-_FINER,
)
CLAIMS = (RISES, NARROWS, AGREES, WAYS, SETTLES, GROUNDS)


class ChainOfSteps(Settings, frozen=True):
    """Settings: those of all experiments."""


def run(bench: Bench, settings: ChainOfSteps) -> Findings:
    """Trace, score each step's clean estimate, compare seeds, and look for several ways at once."""
    from probes.convergence.analysis import convergence

    store = bench.base(settings)
    table = bench.scores(store, settings)
    scored = bench.rests[-1]
    names = list(dict.fromkeys(names_of(table)))
    several = len(parse_seeds(settings.seeds)) > 1

    def converge(name: str) -> None:
        found = convergence(
            store, scores=scored, samples=names, seeds=settings.seeds, seed=settings.bootstrap_seed
        )
        found.save(store.path, name)

    compared = bench.kept(store, "convergence", settings, converge) if several else None
    counted = _ways(bench, store, table, settings)
    claims = (
        _rises(table, settings),
        *_seeds_converge(table, settings, several),
        _ways_close(table, counted, settings),
        _settles(table, settings),
        _goal_first(table, settings),
    )
    return Findings(
        EXPERIMENT.name,
        EXPERIMENT.title,
        "The clean estimate of every step of every run is decoded and scored, as if denoising ended there.",
        (
            (
                "A clean estimate is a mean of what may still come: it can say nothing where the model is "
                "torn, and seeds can be alike in what they do not show."
            ),
        ),
        claims,
        _panels(table, counted, settings),
        () if compared is None else (figure_of(compared, "braid"),),
    )


def cost(settings: ChainOfSteps, blocks: int) -> Cost:
    """Base runs, each of their clean estimates, and two of them again for the ways."""
    runs = settings.count * len(parse_seeds(settings.seeds))
    return Cost(runs * settings.num_steps, runs * (settings.num_steps + 2), 2.0)


def _rises(table: ScoreTable, settings: Settings) -> Measured:
    metric = headline(table)
    curves = table.metric(metric)
    change = curves[:, -1] - curves[:, 0]
    return Measured(RISES, mean_of(change, names_of(table), settings.bootstrap_seed, (-1.0, 1.0)))


def _seeds_converge(table: ScoreTable, settings: Settings, several: bool) -> tuple[Measured, Measured]:
    if not several:
        why = "a sample has one seed, and two are compared"
        return Measured(NARROWS, None, why), Measured(AGREES, None, why)
    of = _answers_by_sample(table)
    names, seed = list(of), settings.bootstrap_seed
    most = float(len(parse_seeds(settings.seeds)))
    distinct = [float(one[0][0] - one[0][-1]) for one in of.values()]
    agreement = [float(one[1][-1] - one[1][0]) for one in of.values()]
    return (
        Measured(NARROWS, mean_of(distinct, names, seed, (-most, most))),
        Measured(AGREES, mean_of(agreement, names, seed, (-1.0, 1.0))),
    )


def _answers_by_sample(table: ScoreTable) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    rows: dict[str, list[list[str | None]]] = {}
    for name, said in zip(names_of(table), labels(table, table.readings[0]), strict=True):
        rows.setdefault(name, []).append(said)
    found = {name: answers(said) for name, said in rows.items()}
    return {name: (one.distinct, one.agreement) for name, one in found.items()}


def _ways(
    bench: Bench, store: Store, table: ScoreTable, settings: Settings
) -> dict[tuple[str, int], tuple[int, int]] | None:
    """How many ways the first and the last clean estimate of each run draw; None if this is no maze."""
    if table.task != "maze":
        return None
    result = bench.kept(store, "ways", settings, partial(_count_ways, bench, store, table))
    told = (result.dataset[name].values.tolist() for name in ("sample", "seed", "first", "last"))
    return {(sample, seed): (first, last) for sample, seed, first, last in zip(*told, strict=True)}


def _count_ways(bench: Bench, store: Store, table: ScoreTable, name: str) -> None:
    import xarray

    from cosinterp.decoding import clean_videos
    from cosinterp.experiments.ways import ways
    from probes.results.provenance import provenance
    from probes.results.result import Result

    bench.work.doing("ways at once")
    found = []
    for one in table.runs:
        with store.run(*one.key) as opened:
            truth = opened.truth
            wanted = [0, opened.num_steps - 1]
            found.append([ways(video, truth) for _, video in clean_videos(bench.load(), opened, wanted)])
        bench.work.did(Cost(decodes=2))
    first, last = np.array(found, dtype=np.int64).T
    about = {"long_name": "ways that a clean estimate draws from the start on"}
    dataset = xarray.Dataset(
        {"first": ("run", first, about), "last": ("run", last, about)},
        coords={
            "sample": ("run", np.array(names_of(table), dtype=np.str_)),
            "seed": ("run", np.array([one.seed for one in table.runs], dtype=np.int64)),
        },
    )
    Result(dataset, provenance("ways", store, {"steps": [0, table.num_steps - 1]})).save(store.path, name)


def _ways_close(
    table: ScoreTable, counted: dict[tuple[str, int], tuple[int, int]] | None, settings: Settings
) -> Measured:
    if counted is None:
        return Measured(WAYS, None, f"ways are counted in mazes, and the task is {table.task}")
    change = [float(counted[one.key][0] > 1) - float(counted[one.key][1] > 1) for one in table.runs]
    return Measured(WAYS, mean_of(change, names_of(table), settings.bootstrap_seed, (-1.0, 1.0)))


def _settles(table: ScoreTable, settings: Settings) -> Measured:
    held = np.array([commit_step(one) for one in labels(table, table.readings[0])], dtype=np.float64)
    share = np.where(held < 0, math.nan, held / (table.num_steps - 1))
    found = mean_of(share, names_of(table), settings.bootstrap_seed, (0.0, 1.0))
    return Measured(SETTLES, found, None if found else "no run ends with an answer")


def _goal_first(table: ScoreTable, settings: Settings) -> Measured:
    if len(table.readings) < 2:
        return Measured(GROUNDS, None, "the task's answers have one reading")
    coarse, whole = table.readings[1], table.readings[0]
    difference = [
        float(commit_step(one) - commit_step(other)) if other[-1] is not None else math.nan
        for one, other in zip(labels(table, coarse), labels(table, whole), strict=True)
    ]
    last = float(table.num_steps - 1)
    found = mean_of(difference, names_of(table), settings.bootstrap_seed, (-last, last))
    return Measured(GROUNDS, found, None if found else "no run ends with an answer")


def _panels(
    table: ScoreTable, counted: dict[tuple[str, int], tuple[int, int]] | None, settings: Settings
) -> tuple[Panel, ...]:
    names, seed = names_of(table), settings.bootstrap_seed
    shown = [
        metric for metric in table.metrics if metric.bounds == (0.0, 1.0) and metric.name in _drawn(table)
    ]
    curves = [curve_of(metric.label, table.metric(metric.name), names, seed) for metric in shown]
    said = labels(table, table.readings[0])
    given = np.array([[one is not None for one in run] for run in said], dtype=np.float64)
    commits = np.array([commit_step(one) for one in said])
    steps = np.arange(table.num_steps)
    held = ((commits[:, None] >= 0) & (steps >= commits[:, None])).astype(np.float64)
    curves += [curve_of("gives an answer", given, names, seed)]
    curves += [curve_of("holds its final answer from here on", held, names, seed)]
    return (
        Panel(
            "by-step",
            "The clean estimate by step",
            STEP_AXIS,
            "mean over runs",
            tuple(curves),
            limits=(0.0, 1.0),
        ),
    )


def _drawn(table: ScoreTable) -> tuple[str, ...]:
    return tuple(dict.fromkeys((headline(table), *table.headline)))


EXPERIMENT = Experiment(
    "chain-of-steps",
    "Reasoning along denoising steps",
    {
        "smoke": ChainOfSteps(count=1, seeds="0-1", num_steps=2),
        "small": ChainOfSteps(),
        "full": ChainOfSteps(count=512, seeds="0-3", num_steps=20, batch=4),
    },
    run,
    cost,
    lambda settings: CLAIMS,
)
