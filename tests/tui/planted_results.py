"""A small result of every kind, of which the numbers are known or can be read from its table."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from probes.convergence.analysis import convergence
from probes.ensembles import compare
from probes.maps.making import maps
from probes.noising import effects
from probes.noising.alignment import What
from probes.results.result import Result
from probes.similarity.compare import similarity
from stores import open_store
from tests.unit.probes.claims.planting import findings
from tests.unit.probes.convergence.test_result import ANSWERS, RIGHT, make_store
from tests.unit.probes.ensembles import planted as ensembles
from tests.unit.probes.kinds.test_sweep_kinds import steered
from tests.unit.probes.maps import planting as mapped
from tests.unit.probes.maps.test_channels import content
from tests.unit.probes.noising import planted as noised
from tests.unit.probes.patched import full_grid, pair, result
from tests.unit.probes.scored import save_scores
from tests.unit.probes.similarity import making as alike

STEPS, LAYERS = (0, 1, 2, 3), (0, 2, 4)
AXES = ("step", "layer")
_PROBED = {
    "target": "path",
    "among": "",
    "unit": "token",
    "rows": 480,
    "runs": 12,
    "samples": 12,
    "n": 480,
    "site": "resid",
    "branch": "cond",
    "model": "logistic",
    "kind": "class",
    "components": 0,
    "metric": "balanced_accuracy",
    "chance": 0.5,
    "outer": 5,
    "level": 0.95,
    "method": "cluster bootstrap by sample, BCa",
    "draws": 1000,
    "seed": 0,
    "permutations": 199,
    "notes": "",
}


def probed(**changed: Any) -> Result:
    """A probe: a score for each step and layer, a control task and two baselines."""
    rng = np.random.default_rng(0)
    shape = len(STEPS), len(LAYERS)
    score = 0.5 + rng.random(shape) / 2

    def around(name: str, values: np.ndarray, dims: tuple[str, ...] = AXES) -> dict[str, Any]:
        ends = {"": values, "_low": values - 0.1, "_high": values + 0.1}
        return {f"{name}{end}": (dims, one) for end, one in ends.items()}

    baselines = rng.random((2, *shape))
    variables = {
        "score": (AXES, score),
        "low": (AXES, score - 0.05),
        "high": (AXES, score + 0.05),
        "p": (AXES, rng.random(shape) / 8),
        "q": (AXES, rng.random(shape) / 8),
        "compression": (AXES, np.full(shape, np.nan)),
        "compression_over_prior": (AXES, 1 + rng.random(shape)),
        "strength": ((*AXES, "fold"), np.ones((*shape, 5))),
        **around("control", score - 0.3),
        **around("selectivity", np.full(shape, 0.3)),
        **around("baseline_score", baselines, ("baseline", *AXES)),
        **around("above", score - baselines, ("baseline", *AXES)),
    }
    coords = {"step": list(STEPS), "layer": list(LAYERS), "baseline": ["latent", "step"]}
    return Result(xarray.Dataset(variables, coords, _PROBED | changed), {"kind": "probe"})


def transferred() -> Result:
    """Probes fitted and tested at every step and layer."""
    axes = ("train_step", "train_layer", "test_step", "test_layer")
    labels = dict(zip(axes, (STEPS, LAYERS, STEPS, LAYERS), strict=True))
    score = np.random.default_rng(1).random([len(one) for one in labels.values()])
    numbers = {"score": score, "low": score - 0.1, "high": score + 0.1}
    variables = {name: (axes, values) for name, values in numbers.items()}
    coords = {axis: list(one) for axis, one in labels.items()}
    return Result(xarray.Dataset(variables, coords, _PROBED), {"kind": "transfer"})


def patched(kind: str = "patch", **changed: Any) -> Result:
    """Patches over steps and layers, strongest at the last layer of the first step, nothing at random."""

    def value(n: int, step: int, layer: int, way: str, control: str) -> float:
        return (layer - step) / 4 + n / 1000 if control == "none" else 0.01 + n / 1000

    return Result(full_grid("x0_recovered", value, pairs=5, **changed), {"kind": kind})


def swept_along_layers(sites: int = 1) -> Result:
    """Patches at one step, over layers, of so many sites."""
    rows = [
        pair(n) | {"layer": layer, "site": f"site-{site:02}", "control": control}
        | {"x0_recovered": layer / 8 + site / 100 + n / 1000 if control == "none" else n / 1000}
        for n, layer, site, control in product(range(4), range(4), range(sites), ("none", "random"))
    ]  # fmt: skip
    return Result(result(rows, {"x0_recovered": {}}), {"kind": "patch"})


def attributed() -> Result:
    """Attribution over steps and layers, without controls."""
    made = full_grid(
        "attribution_ig", lambda n, step, layer, *_: layer - step + n / 100, pairs=4, controls=("none",)
    )
    return Result(made, {"kind": "attribution"})


def converged(folder: Path) -> Result:
    """Answers of four samples with two seeds each, in two groups."""
    store = make_store(folder / "store")
    save_scores(store, ANSWERS, RIGHT)
    return convergence(store, by="path_length")


def scored(folder: Path) -> Result:
    """Scores of the same answers."""
    store = make_store(folder / "store")
    save_scores(store, ANSWERS, RIGHT)
    return Result.open(store.path / "results" / "scores-maze.nc")


def ensembled(folder: Path) -> Result:
    """Twelve samples in two groups: one seed of three is right; of the ensemble all but one are."""
    names = [f"maze-{number:02d}" for number in range(12)]
    right = ensembles.RIGHT
    base = {
        name: {seed: right if seed == number % 3 else f"wrong {seed}" for seed in range(3)}
        for number, name in enumerate(names)
    }
    merged = {name: {0: "wrong 0" if number == 4 else right} for number, name in enumerate(names)}
    same = {name: {0: base[name][0]} for name in names}
    truths = {name: {"goal": "red" if number < 6 else "blue"} for number, name in enumerate(names)}
    variants = {"merged": (merged, (0, 1, 2), 12), "same": (same, (0, 1, 2), 27)}
    store = ensembles.plant(folder / "store", base, variants, truths=truths)
    return compare(store, variants=["merged", "same"], by="goal")


def noisy(folder: Path) -> Result:
    """Noise at two steps, in a frame and everywhere, by two protocols."""
    samples = [f"maze-{number:02d}" for number in range(10)]
    noises = {
        "noised-step-00": noised.told(steps=[0]),
        "noised-step-02": noised.told(steps=[2]),
        "noised-frame-01": noised.told(frames=[1]),
        "noised-step-00-energy-1": noised.told(steps=[0], how="mix", energy=1.0),
        "noised-everywhere": noised.told(),
    }
    keys = [(sample, 0, variant) for sample in samples for variant in ("base", *noises)]
    rng = np.random.default_rng(0)
    shape = (len(noised.SIGMAS) - 1, 1, int(np.prod(noised.GRID)), noised.CHANNELS)
    activations = {key: rng.standard_normal(shape).astype(np.float32) for key in keys}
    store = noised.plant(folder / "store", noised.random_estimates(keys), noises, activations=activations)
    lost = {"noised-step-00": samples[:9], "noised-step-02": samples, "noised-frame-01": samples[3:4]}
    finals = {key: float(key[0] not in lost.get(key[2], ())) for key in keys}
    return effects(store, scores=noised.scores(store, finals), activations=What(tokens="all"))


def similar(folder: Path, across: str = "layers") -> Result:
    """Representations of noise with a common part, compared in one of the ways."""

    def made(sample: str, seed: int, step: int, layer: int) -> np.ndarray:
        return alike.noise(sample, seed, step, layer) + alike.noise(sample, 0, 0, 9)

    path = folder / "alike"
    if not path.exists():
        alike.make_store(path, made, ("a", "b", "c"), (0, 1), STEPS, LAYERS, num_steps=len(STEPS))
    return similarity(open_store(path), across, tokens="all")


def mapped_out(folder: Path) -> Result:
    """Maps of planted activations."""
    return maps(mapped.plant(folder / "store", content), show_step=2, show_layer=3)


def experimented() -> Result:
    """An experiment with claims of every verdict, and panels of both forms."""
    return Result(findings().to_dataset(), {"kind": "experiment"})


def steered_along_scales() -> Result:
    """Steering by several scales at two layers."""
    return steered()
