"""Working memory: a ball that is hidden, and a scene that has to stay, along the steps."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cosinterp.errors import SelectionError
from cosinterp.experiments.bench import figure_of
from cosinterp.experiments.costs import Cost
from cosinterp.experiments.experiment import Experiment
from cosinterp.experiments.measures import STEP_AXIS, curve_of, headline, mean_of, names_of
from cosinterp.experiments.settings import Settings
from probes import statistics
from probes.claims import Claim, Curve, Findings, Measured, Panel
from stores.selection import select

if TYPE_CHECKING:
    from cosinterp.experiments.bench import Bench
    from probes.results.result import Result
    from probes.scores import ScoreTable

_WHERE = "abstract (working memory)"
_STAYS = 0.9

COMES_OUT = Claim(
    "comes-out",
    "What is hidden for a while is not lost: it comes out as it must.",
    _WHERE,
    "runs whose ball comes out from behind the wall in the right row and colour",
    "share of runs",
    threshold=0.5,
)
REMEMBERS = Claim(
    "hidden-is-known",
    "A working memory holds what cannot be seen: where the hidden ball is.",
    _WHERE,
    "how well the hidden ball's place can be read at the tokens of the wall, in the middle layer of the "
    "chosen step, less how well the token's place alone says it",
    "balanced accuracy",
)
AS_SEEN = Claim(
    "hidden-as-seen",
    "The ball's place is known where it is hidden nearly as well as where it is seen.",
    "what can be read above a baseline may still be little",
    "how well the ball's place can be read where it is hidden less where it is seen, same step and layer; no "
    "more than 0.1 may be lost",
    "balanced accuracy",
    threshold=-0.1,
    source="ours",
)
STAYS = Claim(
    "scene-stays",
    "What a clean estimate has got of the start scene persists through the later steps.",
    _WHERE,
    "runs that keep walls, floor and what rests from the first step on at which they have them; of runs "
    "that have them before the last step",
    "share of runs",
    threshold=_STAYS,
)
CLAIMS = (COMES_OUT, REMEMBERS, AS_SEEN, STAYS)


class WorkingMemory(Settings, frozen=True):
    """Settings.

    Attributes:
        save_steps: steps of which activations are recorded.
        step: of these, the one that claims are about.
        hidden, hidden_among: target of the probe, and tokens, where the ball is hidden.
        seen, seen_among: the same where it is seen.
        scene: metric that says whether the start scene is there.
    """

    seeds: str = "0"
    save_steps: str = "0,2,-1"
    step: int = 2
    hidden: str = "truth:ball"
    hidden_among: str = "cosinterp.experiments.hidden:behind_the_wall"
    seen: str = "truth:ball"
    seen_among: str = "cosinterp.experiments.hidden:in_sight"
    scene: str = "consistent"


def run(bench: Bench, settings: WorkingMemory) -> Findings:
    """Score each step, and probe for the ball where it is hidden and where it is seen."""
    samples = bench.chosen(settings)
    store = bench.runs(
        bench.store,
        settings,
        samples,
        settings.seeds,
        layers="all",
        save_steps=settings.save_steps,
        branches="cond",
        dtype="bf16",
    )
    table = bench.scores(store, settings)
    names = [sample.name for sample in samples]

    def ask(part: str, target: str, among: str) -> Result | str:
        try:
            return bench.kept(store, part, settings, partial(_probe, bench, settings, names, target, among))
        except SelectionError as error:
            return str(error)

    hidden = ask("ball-hidden", settings.hidden, settings.hidden_among)
    seen = ask("ball-seen", settings.seen, settings.seen_among)
    return Findings(
        EXPERIMENT.name,
        EXPERIMENT.title,
        "A ball rolls behind a wall. A linear probe (ridge, folds by sample) says of each token whether the "
        "ball is there: at the tokens of the wall in frames in which it hides some of the ball, and "
        "elsewhere in frames in which some of it is seen. Each step's clean estimate is scored.",
        ("Where the ball is follows from the first frame: what can be read need not be remembered.",),
        (
            Measured(COMES_OUT, _share(table.final(headline(table)) == 1, table, settings)),
            _remembers(hidden, settings),
            _as_seen(hidden, seen, settings),
            _stays(table, settings),
        ),
        _panels(table, {"hidden": hidden, "seen": seen}, settings),
        () if isinstance(hidden, str) else (figure_of(hidden),),
    )


_PROBE, _PROBED = 25.0, 12
"""Seconds of one grid of probes, and of how many runs that is."""


def cost(settings: WorkingMemory, blocks: int) -> Cost:
    """Runs with activations, scored by step; two grids of probes with baselines."""
    steps = settings.base_runs * settings.num_steps
    return Cost(steps, steps, 2 * _PROBE * settings.base_runs / _PROBED)


def _probe(
    bench: Bench, settings: WorkingMemory, names: list[str], target: str, among: str, name: str
) -> None:
    from cosinterp.probing import probe

    bench.work.doing(f"probes of {target} among {among}")
    found = probe(
        bench.store,
        target,
        among=among,
        samples=names,
        seeds=settings.seeds,
        model="ridge",
        permutations=0,
        mdl=False,
        control=False,
        seed=settings.bootstrap_seed,
    )
    found.save(bench.store, name)
    bench.work.did(Cost(seconds=_PROBE))


def _share(right: np.ndarray, table: ScoreTable, settings: Settings) -> statistics.Estimate:
    return statistics.proportion(right.astype(np.float64), names_of(table), seed=settings.bootstrap_seed)


def _cell(result: Result, settings: WorkingMemory) -> tuple[int, int]:
    """The step that claims are about, and the middle layer."""
    layers = result.dataset["layer"].values.tolist()
    steps = tuple(result.dataset["step"].values.tolist())
    return select([settings.step], steps, "steps", "what is recorded")[0], layers[len(layers) // 2]


def _remembers(hidden: Result | str, settings: WorkingMemory) -> Measured:
    if isinstance(hidden, str):
        return Measured(REMEMBERS, None, hidden)
    dataset = hidden.dataset
    baseline = "position"
    if "baseline" not in dataset.coords or baseline not in dataset["baseline"].values.tolist():
        return Measured(REMEMBERS, None, "there is no baseline of the token's place")
    step, layer = _cell(hidden, settings)
    here = dataset.sel(baseline=baseline, step=step, layer=layer)
    told = dataset.attrs
    is_drawn = "bootstrap" in told["method"]
    found = statistics.Estimate(
        float(here["above"]),
        float(here["above_low"]),
        float(here["above_high"]),
        float(told["level"]),
        int(told["n"]),
        int(told["samples"]),
        str(told["method"]),
        int(told["seed"]) if is_drawn else None,
        int(told["draws"]) if is_drawn else None,
    )
    return Measured(REMEMBERS, found)


def _as_seen(hidden: Result | str, seen: Result | str, settings: WorkingMemory) -> Measured:
    if isinstance(hidden, str) or isinstance(seen, str):
        return Measured(AS_SEEN, None, hidden if isinstance(hidden, str) else str(seen))
    by_sample = []
    for result in (hidden, seen):
        step, layer = _cell(result, settings)
        column = result.dataset["by_sample"].sel(step=step, layer=layer)
        by_sample.append(dict(zip(column["sample"].values.tolist(), column.values.tolist(), strict=True)))
    both = [name for name in by_sample[0] if name in by_sample[1]]
    change = [by_sample[0][name] - by_sample[1][name] for name in both]
    found = mean_of(change, both, settings.bootstrap_seed, (-1.0, 1.0))
    return Measured(AS_SEEN, found, None if found else "no sample has both a hidden and a seen ball")


def _stays(table: ScoreTable, settings: WorkingMemory) -> Measured:
    if settings.scene not in {metric.name for metric in table.metrics}:
        return Measured(STAYS, None, f"the task {table.task} has no metric {settings.scene}")
    there = table.metric(settings.scene) == 1
    had = there[:, :-1].any(axis=1)
    first = np.where(had, there.argmax(axis=1), there.shape[1])
    kept = [bool(row[start:].all()) for row, start in zip(there, first, strict=True)]
    values = np.where(had, np.array(kept, dtype=np.float64), math.nan)
    found = mean_of(values, names_of(table), settings.bootstrap_seed, (0.0, 1.0))
    return Measured(STAYS, found, None if found else "no clean estimate has the whole start scene")


def _panels(table: ScoreTable, probed: dict[str, Result | str], settings: WorkingMemory) -> tuple[Panel, ...]:
    names, seed = names_of(table), settings.bootstrap_seed
    drawn = dict.fromkeys((headline(table), *table.headline, settings.scene))
    curves = [
        curve_of(metric.label, table.metric(metric.name), names, seed)
        for metric in table.metrics
        if metric.name in drawn and metric.bounds == (0.0, 1.0)
    ]
    panels = [
        Panel(
            "by-step", "The clean estimate by step", STEP_AXIS, "share of runs", tuple(curves), limits=(0, 1)
        )
    ]
    lines = []
    reference = None
    for what, result in probed.items():
        if isinstance(result, str):
            continue
        step, _ = _cell(result, settings)
        dataset = result.dataset.sel(step=step)
        samples = dataset["sample"].values.tolist()
        values = dataset["by_sample"].values
        known = np.flatnonzero(np.isfinite(values).all(axis=1)).tolist()
        if not known:
            continue
        found = statistics.means(values[known], [samples[row] for row in known], seed=seed, bounds=(0.0, 1.0))
        lines.append(Curve(f"where it is {what}", tuple(dataset["layer"].values.tolist()), tuple(found)))
        reference = float(result.dataset.attrs["chance"])
    if lines:
        panels.append(
            Panel(
                "by-layer",
                f"Where the ball is, read at step {settings.step}",
                "layer (0: what enters the first block)",
                "balanced accuracy of held-out samples",
                tuple(lines),
                reference=reference,
                unit="sample",
            )
        )
    return tuple(panels)


EXPERIMENT = Experiment(
    "working-memory",
    "Working memory: hidden, and still there",
    {
        "smoke": WorkingMemory(count=1, num_steps=2, save_steps="0,1", step=1),
        "small": WorkingMemory(),
        "full": WorkingMemory(count=128, num_steps=20, save_steps="0,3,6,10,-1", step=6),
    },
    run,
    cost,
    lambda settings: CLAIMS,
    data="scenes",
)
