"""Layer maps: what can be read in the early, middle and late layers of a step, and where energy is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cosinterp.errors import SelectionError
from cosinterp.experiments.bench import figure_of
from cosinterp.experiments.costs import Cost
from cosinterp.experiments.depth import THIRDS, thirds
from cosinterp.experiments.experiment import Experiment
from cosinterp.experiments.measures import mean_of
from cosinterp.experiments.settings import Settings
from probes import statistics
from probes.claims import Claim, Curve, Findings, Measured, Panel
from stores.selection import compact, parse_seeds

if TYPE_CHECKING:
    from cosinterp.experiments.bench import Bench
    from probes.results.result import Result
    from stores import Store

_WHERE = "abstract (functional specialization of layers)"
_LAYER_AXIS = "layer (0: what enters the first block)"

_UNIT = "balanced accuracy"

REASONS = Claim(
    "middle-reasons",
    "Middle layers do the reasoning: the answer is worked out there, not in the early layers.",
    _WHERE,
    "how well the answer can be read at step 0: middle third less early third",
    _UNIT,
)
CONSOLIDATES = Claim(
    "late-consolidates",
    "Late layers consolidate what is there: they add less to the answer than the middle ones.",
    _WHERE,
    "what the middle third adds to how well the answer can be read, less what the late third adds",
    _UNIT,
)
SEES = Claim(
    "early-sees",
    "Early layers hold perceptual structure: the scene is there before the answer.",
    _WHERE,
    "early third at step 0: how well the scene can be read less how well the answer can",
    _UNIT,
)
CLAIMS = (REASONS, CONSOLIDATES, SEES)


class LayerMaps(Settings, frozen=True):
    """Settings.

    Attributes:
        save_steps: steps of which activations are recorded; claims are about the first of them.
        answer: target of a probe that stands for the reasoning: which cells are on the path.
        among: the tokens that it is asked of.
        scene: target of a probe that stands for perception: which cells are walls.
        max_tokens: tokens of a run that probes see, drawn at random; the same of every run.
    """

    seeds: str = "0"
    save_steps: str = "0,2,-1"
    answer: str = "path"
    among: str = "wall==no"
    scene: str = "wall"
    max_tokens: int = 600


def run(bench: Bench, settings: LayerMaps) -> Findings:
    """Record activations, probe each layer for scene and answer, and map one run."""
    from cosinterp.probing import probe
    from probes.maps.making import maps

    samples = bench.chosen(settings)
    store = bench.runs(
        bench.beside("layers"),
        settings,
        samples,
        settings.seeds,
        layers="all",
        save_steps=settings.save_steps,
        branches="cond",
        dtype="bf16",
        save_video=False,
    )
    names = [sample.name for sample in samples]

    def ask(target: str, among: str | None) -> Result | str:
        part = f"layers-{target}".replace(":", "-")

        def make(name: str) -> None:
            bench.work.doing(f"probes of {target}")
            found = probe(
                store,
                target,
                among=among,
                samples=names,
                seeds=settings.seeds,
                model="ridge",
                max_tokens=settings.max_tokens,
                permutations=0,
                mdl=False,
                control=False,
                baselines=False,
                seed=settings.bootstrap_seed,
            )
            found.save(store.path, name)
            bench.work.did(Cost(seconds=_PROBE))

        try:
            return bench.kept(store, part, settings, make)
        except SelectionError as error:
            return str(error)

    answer, scene = ask(settings.answer, settings.among), ask(settings.scene, None)

    def map_one(name: str) -> None:
        first = names[0]
        maps(store, samples=[first], seeds=parse_seeds(settings.seeds)[:1]).save(store.path, name)

    mapped = bench.kept(store, "maps", settings, map_one)
    parts = thirds(max(_layers(store)))
    return Findings(
        EXPERIMENT.name,
        EXPERIMENT.title,
        f"A linear probe (ridge, folds by sample) reads two things off the tokens of each layer: the answer "
        f'("{settings.answer}" among {settings.among}) and the scene ("{settings.scene}"). Thirds of the '
        f"blocks: {', '.join(f'{name} {compact(layers)}' for name, layers in parts.items())}.",
        (
            "What can be read is not what is used, and what a linear probe of one token misses may be there.",
            "Claims are about the first step; later, the noisy latent itself says more of the answer.",
        ),
        _claims(answer, scene, parts, settings),
        _panels({"answer": answer, "scene": scene}),
        (figure_of(mapped),),
    )


_PROBE = 25.0
"""Seconds of one grid of probes, of 27 cells of `_PROBED` rows."""
_PROBED = 7_200


def cost(settings: LayerMaps, blocks: int) -> Cost:
    """Runs of their own, with activations; two grids of probes."""
    grid = _PROBE * settings.base_runs * settings.max_tokens / _PROBED
    return Cost(settings.base_runs * settings.num_steps, 0, 2 * grid)


def _layers(store: Store) -> tuple[int, ...]:
    entry = store.runs()[0]
    with store.run(*entry.key) as opened:
        return tuple(opened.sites["resid"].layers)


def _claims(
    answer: Result | str, scene: Result | str, parts: dict[str, tuple[int, ...]], settings: LayerMaps
) -> tuple[Measured, ...]:
    lacking = next((one for one in (answer, scene) if isinstance(one, str)), None)
    if lacking is None and len(parts) < len(THIRDS):
        lacking = "the model has fewer than three blocks"
    if lacking is not None or isinstance(answer, str) or isinstance(scene, str):
        return tuple(Measured(claim, None, lacking) for claim in CLAIMS)
    early, middle, late = (_of_third(answer, parts[name]) for name in THIRDS)
    walls = _of_third(scene, parts[THIRDS[0]])
    names = answer.dataset["sample"].values.tolist()
    both = [name for name in names if name in scene.dataset["sample"].values.tolist()]
    rows = [names.index(name) for name in both]
    others = [scene.dataset["sample"].values.tolist().index(name) for name in both]
    seed = settings.bootstrap_seed
    return (
        Measured(REASONS, mean_of(middle - early, names, seed, (-1, 1)), None),
        Measured(CONSOLIDATES, mean_of((middle - early) - (late - middle), names, seed, (-2, 2)), None),
        Measured(SEES, mean_of(walls[others] - early[rows], both, seed, (-1, 1)), None),
    )


def _of_third(result: Result, layers: tuple[int, ...]) -> NDArray[np.float64]:
    """(sample,) the mean score of each sample over these layers, at the first step."""
    held = result.dataset["by_sample"].isel(step=0).sel(layer=list(layers))
    return held.mean("layer", skipna=False).values


def _panels(found: dict[str, Result | str]) -> tuple[Panel, ...]:
    panels = []
    for name, result in found.items():
        if isinstance(result, str):
            continue
        dataset = result.dataset
        samples = dataset["sample"].values.tolist()
        layers = tuple(dataset["layer"].values.tolist())
        curves = []
        for step in dataset["step"].values.tolist():
            values = dataset["by_sample"].sel(step=step).values
            known = np.flatnonzero(np.isfinite(values).all(axis=1)).tolist()
            names = [samples[row] for row in known]
            estimates = statistics.means(
                values[known], names, seed=int(dataset.attrs["seed"]), bounds=(0.0, 1.0)
            )
            curves.append(Curve(f"step {step}", layers, tuple(estimates)))
        panels.append(
            Panel(
                f"{name}-by-layer",
                f"How well the {name} can be read ({dataset.attrs['target']})",
                _LAYER_AXIS,
                f"{dataset.attrs['metric'].replace('_', ' ')} of held-out samples",
                tuple(curves),
                reference=float(dataset.attrs["chance"]),
                unit="sample",
            )
        )
    return tuple(panels)


EXPERIMENT = Experiment(
    "layer-maps",
    "What early, middle and late layers hold",
    {
        "smoke": LayerMaps(count=1, num_steps=2, save_steps="0"),
        "small": LayerMaps(),
        "full": LayerMaps(count=64, num_steps=20, save_steps="0,5,10,-1", max_tokens=1280),
    },
    run,
    cost,
    lambda settings: CLAIMS,
    shares_base=False,
)
