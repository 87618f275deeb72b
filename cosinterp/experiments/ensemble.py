"""Averaging seeds at the first step: the paper's recipe, other layers, merged latents and their control.

The mean of K latents is also a latent with less noise: what is left of K independent noises is 1/sqrt(K) as
large. So averaged latents stand beside single seeds that begin with as little noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cosinterp.experiments.bench import Noised, Traced, figure_of
from cosinterp.experiments.costs import Cost
from cosinterp.experiments.depth import of_forty
from cosinterp.experiments.experiment import Experiment
from cosinterp.experiments.measures import mean_of
from cosinterp.experiments.settings import Settings
from probes.claims import Claim, Curve, Findings, Measured, Panel
from probes.estimated import estimate_at
from stores.selection import parse_seeds

if TYPE_CHECKING:
    from cosinterp.experiments.bench import Bench
    from probes.results.result import Result
    from probes.scores import ScoreTable
    from stores import Store

_WHERE = "ensembling of three seeds at the first step"
_UNIT = "share of samples"

MIDDLE, EARLY, EVERY, ESTIMATE, LATENT = "hidden-middle", "hidden-early", "hidden-all", "x0", "latent"
OF_FORTY = {MIDDLE: (20, 29), EARLY: (0, 9), EVERY: (0, 39)}
"""The paper's layers, of 40 blocks counted from 0."""

HELPS = Claim(
    "middle-helps",
    "Averaging the middle layers' hidden states of three seeds in the first step improves the answer "
    "(VBVR-Bench 0.685 to 0.716).",
    _WHERE,
    "right answers: hidden states of the middle layers averaged, less a single seed",
    _UNIT,
)
BEATS_EARLY = Claim(
    "middle-beats-early",
    "The middle layers are the ones to average: early layers gain little (0.688).",
    _WHERE,
    "right answers: middle layers averaged less early layers averaged",
    _UNIT,
)
BEATS_EVERY = Claim(
    "middle-beats-all",
    "Averaging all layers gains little (0.690).",
    _WHERE,
    "right answers: middle layers averaged less all layers averaged",
    _UNIT,
)
MERGED = Claim(
    "latents-help",
    "Ensembling latent trajectories of several seeds improves reasoning.",
    "abstract (ensembling latent trajectories)",
    "right answers: latents averaged after the first step, less a single seed",
    _UNIT,
)
EQUAL_COST = Claim(
    "equal-cost",
    "Averaging latents beats what its evaluations of the denoiser would buy otherwise.",
    "the paper does not compare at equal cost, and three seeds could also vote",
    "right answers: latents averaged, less the best of as many seeds as its cost pays for, chosen by "
    "agreement",
    _UNIT,
    source="ours",
)
BEATS_SHRUNK = Claim(
    "beats-less-noise",
    "Averaging latents gains more than the smaller noise alone that a mean of latents has.",
    "the paper does not separate the two",
    "right answers: latents averaged, less single seeds whose initial noise is as small",
    _UNIT,
    source="ours",
)
CLAIMS = (HELPS, BEATS_EARLY, BEATS_EVERY, MERGED, EQUAL_COST, BEATS_SHRUNK)


class EnsembleSettings(Settings, frozen=True):
    """Settings.

    Attributes:
        steps: at which steps seeds are merged.
        schemes: of hidden-middle, hidden-early, hidden-all, x0, latent.
        how: in which way.
    """

    steps: str = "0"
    schemes: tuple[str, ...] = (MIDDLE, EARLY, EVERY, LATENT)
    how: str = "mean"


def run(bench: Bench, settings: EnsembleSettings) -> Findings:
    """Make an ensemble of each scheme, score all, and compare with the seeds they are made of."""
    store = bench.base(settings)
    bench.scores(store, settings)
    blocks = bench.load().num_layers
    layers = {name: of_forty(blocks, *ends) for name, ends in OF_FORTY.items()}
    for scheme in settings.schemes:
        _make(bench, store, settings, scheme, layers.get(scheme))
    compared = _compared(bench, store, settings)
    control = _control(bench, store, settings) if LATENT in settings.schemes else None
    label = str(compared.dataset.attrs["label"])
    return Findings(
        EXPERIMENT.name,
        EXPERIMENT.title,
        f"Seeds {settings.seeds} of each sample are merged at step {settings.steps}, and the smallest of "
        "them goes on alone: hidden states of the residual stream in the layers that stand for the paper's "
        f"20-29 of 40 (here {layers[MIDDLE]} of {blocks}), 0-9 ({layers[EARLY]}) and all ({layers[EVERY]}), "
        f'or latents or clean estimates. What counts is the final video: "{label}". Beside averaged latents '
        "stand the single seeds with initial noise as small as that of the mean.",
        ("The paper does not say which seed goes on; here it is the smallest of them.",),
        _claims(compared, control, settings),
        (_panel(compared, label),),
        (figure_of(compared),),
    )


def cost(settings: EnsembleSettings, blocks: int) -> Cost:
    """Base runs; of each scheme all seeds while they are merged and one from then on; all of it scored."""
    seeds = len(parse_seeds(settings.seeds))
    each = settings.num_steps + seeds - 1
    schemes = len(settings.schemes)
    controls = settings.base_runs if LATENT in settings.schemes else 0
    return Cost(
        (settings.base_runs + controls) * settings.num_steps + schemes * settings.count * each,
        (settings.base_runs + schemes * settings.count) * settings.num_steps + controls,
        4.0,
    )


def variant_of(scheme: str) -> str:
    """What the runs of a scheme are called."""
    return f"ensemble-{scheme}"


def _make(bench: Bench, store: Store, settings: EnsembleSettings, scheme: str, layers: str | None) -> None:
    from cosinterp.ensembles.ensemble import ensemble

    variant = variant_of(scheme)
    samples = bench.chosen(settings)
    there = {entry.sample for entry in store.runs([one.name for one in samples], variant=variant)}
    each = Cost(steps=settings.num_steps + len(parse_seeds(settings.seeds)) - 1)
    for _ in there:
        bench.work.did(each)
    if len(there) < len(samples):
        bench.work.doing(variant)
        asked: dict[str, Any] = {"merge": scheme if layers is None else "hidden", "layers": layers}
        ensemble(
            bench.load(),
            samples,
            store=store.path,
            seeds=settings.seeds,
            steps=settings.steps,
            how=settings.how,  # type: ignore[arg-type]
            base=False,
            variant=variant,
            num_steps=settings.num_steps,
            resume=True,
            progress=Traced(bench.work, each),
            **asked,
        )
    bench.scores(store, settings, variant, seeds=str(parse_seeds(settings.seeds)[0]))


def _compared(bench: Bench, store: Store, settings: EnsembleSettings) -> Result:
    from probes.ensembles import compare

    def make(name: str) -> None:
        bench.work.doing("comparing")
        compare(
            store,
            variants=[variant_of(scheme) for scheme in settings.schemes],
            samples=[sample.name for sample in bench.chosen(settings)],
            seeds=settings.seeds,
            bootstrap_seed=settings.bootstrap_seed,
        ).save(store.path, name)

    return bench.kept(store, "ensembles", settings, make)


def _control(bench: Bench, store: Store, settings: EnsembleSettings) -> ScoreTable:
    """Final scores of all seeds alone, with the noise that the mean of them has."""
    from cosinterp.noising.noise import noise
    from cosinterp.noising.noise_at import NoiseAt
    from cosinterp.noising.scoring import final_scores

    samples, seeds = bench.chosen(settings), parse_seeds(settings.seeds)
    shrunk = NoiseAt.at_step(0, how="shrink", strength=1 - 1 / len(seeds))
    names = [sample.name for sample in samples]
    there = store.runs(names, seeds, shrunk.variant)
    each = Cost(steps=settings.num_steps)
    for _ in there:
        bench.work.did(each)
    bench.work.doing(shrunk.variant)
    if len(there) < len(names) * len(seeds):
        noise(
            bench.load(),
            samples,
            store=store.path,
            seeds=settings.seeds,
            at="step",
            steps="0",
            how=shrunk.how,
            strength=shrunk.strength,
            base=False,
            batch=settings.batch,
            resume=True,
            num_steps=settings.num_steps,
            progress=Noised(bench.work),
        )
    told = Cost(decodes=1)
    tables = final_scores(
        store,
        [shrunk.variant],
        bench.load,
        samples=names,
        seeds=seeds,
        progress=lambda sample, seed: bench.work.did(told),
    )
    return tables[shrunk.variant]


def _over_control(compared: Result, control: ScoreTable | None, settings: EnsembleSettings) -> Measured:
    if control is None:
        return Measured(BEATS_SHRUNK, None, f"{LATENT} is not among the schemes")
    dataset = compared.dataset
    names = dataset["sample"].values.tolist()
    metric = str(dataset.attrs["metric"])
    alone = {name: [run.final[metric] for run in control.runs if run.sample == name] for name in names}
    merged = dataset["sample_value"].sel(approach=variant_of(LATENT)).values
    change = merged - np.array([np.mean(alone[name]) for name in names])
    return Measured(
        BEATS_SHRUNK, mean_of(change, names, settings.bootstrap_seed, _bounds(dataset["sample_value"].values))
    )


def _bounds(values: np.ndarray) -> tuple[float, float]:
    """What a difference of such values can be."""
    bound = float(np.ceil(np.abs(values).max())) or 1.0
    return -bound, bound


def _claims(compared: Result, control: ScoreTable | None, settings: EnsembleSettings) -> tuple[Measured, ...]:
    dataset = compared.dataset
    names = dataset["sample"].values.tolist()
    everyone = dataset["group"].values[0]
    made = dataset["variant"].values.tolist()

    def gain(claim: Claim, scheme: str) -> Measured:
        if variant_of(scheme) not in made:
            return Measured(claim, None, f"{scheme} is not among the schemes")
        return Measured(
            claim, estimate_at(dataset, "difference", group=everyone, approach=variant_of(scheme))
        )

    def over(claim: Claim, other: str) -> Measured:
        lacking = [one for one in (MIDDLE, other) if variant_of(one) not in made]
        if lacking:
            return Measured(claim, None, f"{lacking[0]} is not among the schemes")
        values = {
            one: dataset["sample_value"].sel(approach=variant_of(one)).values for one in (MIDDLE, other)
        }
        change = values[MIDDLE] - values[other]
        bounds = _bounds(dataset["sample_value"].values)
        return Measured(claim, mean_of(change, names, settings.bootstrap_seed, bounds))

    equal = gain(EQUAL_COST, LATENT)
    if equal.estimate is not None:
        place = {"group": everyone, "variant": variant_of(LATENT), "against": "best"}
        equal = Measured(EQUAL_COST, estimate_at(dataset, "equal", **place))
    return (
        gain(HELPS, MIDDLE),
        over(BEATS_EARLY, EARLY),
        over(BEATS_EVERY, EVERY),
        gain(MERGED, LATENT),
        equal,
        _over_control(compared, control, settings),
    )


def _panel(compared: Result, label: str) -> Panel:
    dataset = compared.dataset
    everyone = dataset["group"].values[0]
    approaches = dataset["approach"].values.tolist()
    costs = dict(zip(approaches, dataset["cost"].values.tolist(), strict=True))
    found = [estimate_at(dataset, "value", group=everyone, approach=one) for one in approaches]
    words = tuple(
        f"{one.removeprefix('ensemble-')} ({costs[one]:g} evaluations of the denoiser)" for one in approaches
    )
    return Panel(
        "approaches",
        "Final videos by approach, and what each costs",
        "",
        f"{label}, mean over samples",
        (Curve(label, words, tuple(found)),),
        "dots",
        limits=(0.0, 1.0),
        unit="sample",
    )


EXPERIMENT = Experiment(
    "ensemble",
    "Averaging seeds in the first step",
    {
        "smoke": EnsembleSettings(count=1, seeds="0-1", num_steps=2, schemes=(MIDDLE, LATENT)),
        "small": EnsembleSettings(),
        "full": EnsembleSettings(
            count=512, num_steps=20, batch=3, schemes=(MIDDLE, EARLY, EVERY, LATENT, ESTIMATE)
        ),
    },
    run,
    cost,
    lambda settings: CLAIMS,
)
