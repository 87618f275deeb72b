"""Latent swapping: one prompt's activations in the run of another, at the first step, layer by layer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cosinterp.experiments.bench import figure_of
from cosinterp.experiments.costs import Cost
from cosinterp.experiments.depth import THIRDS, thirds
from cosinterp.experiments.experiment import Experiment
from cosinterp.experiments.settings import Settings
from probes import effects, statistics
from probes.claims import Claim, Curve, Findings, Measured, Panel
from probes.patches import effects_of
from probes.results.result import Result
from probes.statistics import Estimate
from stores.selection import compact

if TYPE_CHECKING:
    import xarray

    from cosinterp.experiments.bench import Bench
    from cosinterp.samples import Sample
    from stores import Store

_WHERE = "latent swapping of the first step, by layer"
_NOW, _END = "swap-now", "swap-end"

FLIPS = Claim(
    "middle-flips-the-video",
    "Swapping a middle layer's latent of the first step changes the outcome to that of the other prompt.",
    _WHERE,
    "final videos with the donor's answer, swapped in the middle third less swapped in the early third",
    "share of pairs",
)
HOLDS = Claim(
    "middle-holds-the-answer",
    "Within a step, it is the middle layers that bring the answer in.",
    _WHERE,
    "clean estimates of step 0 with the donor's answer, swapped in the middle third less the early third",
    "share of pairs",
)
CLAIMS = (FLIPS, HOLDS)


class LatentSwap(Settings, frozen=True):
    """Settings.

    Attributes:
        donor, recipient: patterns of samples' names with one ``*`` each; ``count`` counts both. Pairs of
            these names that the store holds beside are swapped too.
        layers: swapped to the end of the run.
        now_layers: swapped and looked at in the step itself.
        effect: of patching, 1 where the donor's answer came along.
    """

    donor: str = "maze-7x7-red-*"
    recipient: str = "maze-7x7-blue-*"
    layers: str = "2,5"
    now_layers: str = "1,3,5,8"
    effect: str = "goal_donor"

    def choose(self, samples: Sequence[Sample]) -> list[Sample]:
        """Pairs, a donor and its recipient after one another.

        Raises:
            SelectionError: there are too few.
        """
        by_name = {sample.name: sample for sample in samples}
        pattern = re.compile(re.escape(self.donor).replace(r"\*", "(.*)", 1))
        found: list[Sample] = []
        for name, sample in by_name.items():
            match = pattern.fullmatch(name)
            other = (
                by_name.get(self.recipient.replace("*", match[1], 1)) if match and match.groups() else None
            )
            if other is not None:
                found += [sample, other]
        return self.first(found, f"samples that are pairs of {self.donor} and {self.recipient}")


def run(bench: Bench, settings: LatentSwap) -> Findings:
    """Patch the donor's residual stream into the recipient's run: for the step alone, and to the end."""
    store = bench.base(settings)
    blocks = bench.load().num_layers
    now = _swapped(bench, store, settings, _NOW, settings.now_layers, 0)
    end = _swapped(bench, store, settings, _END, settings.layers, None)
    parts = thirds(blocks)
    by_pair = {_NOW: _by_third(now, settings, parts), _END: _by_third(end, settings, parts)}
    return Findings(
        EXPERIMENT.name,
        EXPERIMENT.title,
        f"{settings.donor} into {settings.recipient}: the residual stream of all tokens at one layer of step "
        f"0 is replaced by that of the other prompt's run (same sample, same noise). Asked of the clean "
        f"estimate of that step, and of the video after all later steps. Thirds of the model's {blocks} "
        f"blocks: {', '.join(f'{name} {compact(layers)}' for name, layers in parts.items())}.",
        (
            (
                "A whole layer is all that later blocks see, so within the step the effect can only rise "
                "from layer to layer: a late layer says nothing of its own."
            ),
            "What a first step does may be overruled by later ones, which go on with the recipient's prompt.",
        ),
        _claims(by_pair, settings),
        _panels({_NOW: now, _END: end}, settings),
        (figure_of(now), figure_of(end)),
    )


def cost(settings: LatentSwap, blocks: int) -> Cost:
    """Base runs; patches with a share of the step they are made in, and with the rest of the run."""
    from stores.selection import select

    now = len(select(settings.now_layers, range(blocks + 1), "layers", "the model"))
    end = len(select(settings.layers, range(blocks + 1), "layers", "the model"))
    pairs = settings.count / 2
    # One pair in eight has controls, of two kinds.
    patches = pairs * 1.25
    base = settings.count * settings.num_steps
    return Cost(
        base + patches * (now * 0.6 + end * (settings.num_steps - 0.4)) + 3 * pairs * settings.num_steps,
        patches * (now + end),
        2.0,
    )


def _swapped(
    bench: Bench, store: Store, settings: LatentSwap, part: str, layers: str, horizon: int | None
) -> Result:
    from cosinterp.patching.patch import patch
    from cosinterp.patching.presets import preset

    asked = dict(preset("latent-swap")) | {"layers": layers, "horizon": horizon}

    def make(name: str) -> None:
        bench.work.doing("swapping, step 0 alone" if horizon == 0 else "swapping, to the end")
        patch(
            bench.load(),
            store,
            donor=settings.donor,
            recipient=settings.recipient,
            seeds=settings.seeds,
            directions="sufficiency",
            batch=settings.batch,
            samples=bench.chosen(settings),
            name=name,
            resume=True,
            progress=_Patched(bench, settings.num_steps if horizon is None else 1),
            **asked,
        )

    return bench.kept(store, part, settings, make)


def _by_third(
    result: Result, settings: LatentSwap, parts: dict[str, tuple[int, ...]]
) -> dict[str, dict[str, float]] | str:
    """By third, the mean effect of each pair (by its samples) over the layers that were swapped in it.

    Or why there is none: a clause.
    """
    dataset = result.dataset
    if settings.effect not in effects_of(dataset):
        return f"the patches do not say {settings.effect}; they say {', '.join(effects_of(dataset))}"
    plain = dataset.isel(patch=np.flatnonzero(dataset["control"].values == effects.PLAIN))
    found: dict[str, dict[str, list[float]]] = {}
    for layer, pair, value in zip(
        plain["layer"].values.tolist(),
        plain["pair"].values.tolist(),
        plain[settings.effect].values.tolist(),
        strict=True,
    ):
        third = next((name for name, layers in parts.items() if layer in layers), None)
        if third is not None and np.isfinite(value):
            found.setdefault(third, {}).setdefault(pair, []).append(value)
    return {
        third: {pair: float(np.mean(values)) for pair, values in by_pair.items()}
        for third, by_pair in found.items()
    }


def _claims(
    by_pair: dict[str, dict[str, dict[str, float]] | str], settings: LatentSwap
) -> tuple[Measured, ...]:
    return (
        _measured(FLIPS, by_pair[_END], settings),
        _measured(HOLDS, by_pair[_NOW], settings),
    )


def _measured(claim: Claim, by_pair: dict[str, dict[str, float]] | str, settings: LatentSwap) -> Measured:
    if isinstance(by_pair, str):
        return Measured(claim, None, by_pair)
    early, middle = (by_pair.get(third, {}) for third in THIRDS[:2])
    both = sorted(early.keys() & middle.keys())
    if not both:
        return Measured(claim, None, "no pair was swapped in both an early and a middle layer")
    change = [middle[pair] - early[pair] for pair in both]
    found = statistics.mean(change, both, seed=settings.bootstrap_seed, bounds=(-1.0, 1.0))
    return Measured(claim, found)


def _panels(results: dict[str, Result], settings: LatentSwap) -> tuple[Panel, ...]:
    curves = []
    for part, words in ((_NOW, "clean estimate of step 0"), (_END, "final video")):
        dataset = results[part].dataset
        if settings.effect in effects_of(dataset):
            layers, found = _by_layer(dataset, settings)
            curves.append(Curve(words, tuple(layers), tuple(found)))
    if not curves:
        return ()
    return (
        Panel(
            "by-layer",
            "Where the other prompt's answer comes along",
            "layer that is swapped (0: what enters the first block)",
            "share of pairs with the donor's answer",
            tuple(curves),
            limits=(0.0, 1.0),
            unit="pair",
        ),
    )


def _by_layer(dataset: xarray.Dataset, settings: LatentSwap) -> tuple[Sequence[int], list[Estimate]]:
    bootstrap = effects.Bootstrap(seed=settings.bootstrap_seed)
    cells = effects.cells(dataset, settings.effect, ("control", "layer"), bootstrap)
    rows = np.flatnonzero(cells["control"].values == effects.PLAIN).tolist()
    layers = [int(cells["layer"].values[row]) for row in rows]
    return layers, [_estimate(cells, row) for row in rows]


def _estimate(cells: xarray.Dataset, row: int) -> Estimate:
    parts = {name: cells[name].values[row].item() for name in ("value", "low", "high", "n", "samples")}
    method = str(cells["method"].values[row])
    is_drawn = method.startswith("cluster bootstrap")
    return Estimate(
        **parts,
        level=float(cells.attrs["level"]),
        method=method,
        seed=int(cells.attrs["seed"]) if is_drawn else None,
        draws=int(cells.attrs["draws"]) if is_drawn else None,
    )


class _Patched:
    """Passes on how a sweep goes."""

    def __init__(self, bench: Bench, steps: float) -> None:
        self._bench, self._each = bench, Cost(steps=steps, decodes=1)

    def planned(self, total: int, done: int) -> None:
        """As `cosinterp.patching.running.Progress.planned`."""
        for _ in range(done):
            self._bench.work.did(self._each)

    def row(self, row: object) -> None:
        """As `cosinterp.patching.running.Progress.row`."""
        self._bench.work.did(self._each)


EXPERIMENT = Experiment(
    "latent-swap",
    "Swapping latents of the first step, layer by layer",
    {
        "smoke": LatentSwap(count=2, seeds="0", num_steps=2, layers="5", now_layers="1,5"),
        "small": LatentSwap(count=20, seeds="0"),
        "full": LatentSwap(count=128, seeds="0", num_steps=20, layers="all", now_layers="all", batch=9),
    },
    run,
    cost,
    lambda settings: CLAIMS,
    data="goals",
)
