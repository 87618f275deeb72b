"""Noise at a step against noise in a frame: the paper's protocol, and the same with matched energy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cosinterp.experiments.bench import Noised, figure_of
from cosinterp.experiments.costs import Cost
from cosinterp.experiments.experiment import Experiment
from cosinterp.experiments.settings import Settings
from probes.claims import Claim, Curve, Findings, Measured, Panel
from probes.estimated import estimate_at
from probes.statistics import Estimate
from stores.selection import parse_seeds

if TYPE_CHECKING:
    import xarray

    from cosinterp.experiments.bench import Bench
    from probes.results.result import Result
    from stores import Store

_WHERE = "noise at a step against noise in a frame"
_UNIT = "share of runs"

PAPER = Claim(
    "step-hurts-more",
    "Noise at one step (in all frames) hurts far more than noise in one frame (at all steps).",
    _WHERE,
    "right answers, change by noise: mean over the noised steps less mean over the noised frames; the latent "
    "is replaced",
    _UNIT,
    side="below",
)
MATCHED = Claim(
    "step-hurts-more-at-equal-energy",
    "Noise at a step hurts more than noise in a frame also where there is as much of both.",
    "all frames of one step hold another amount of noise than one frame of all steps",
    "right answers, change by noise of the same energy: mean over the noised steps less mean over the noised "
    "frames",
    _UNIT,
    side="below",
    source="ours",
)
HURTS = Claim(
    "step-hurts",
    "The trajectory along the steps carries the reasoning: replacing the latent at a step destroys it.",
    _WHERE,
    "right answers, change by replacing the latent at a step: mean over the noised steps",
    _UNIT,
    side="below",
)
CLAIMS = (PAPER, MATCHED, HURTS)
_PROTOCOLS = {"replaced": False, "matched": True}


class NoiseSettings(Settings, frozen=True):
    """Settings; ``steps`` and ``frames``: where noise is put, each in runs of its own (latent frames)."""

    seeds: str = "0"
    steps: str = "1"
    frames: str = "2"


def run(bench: Bench, settings: NoiseSettings) -> Findings:
    """Make noised runs of both protocols, and compare steps with frames."""
    store = bench.base(settings)
    found = {name: _effects(bench, store, settings, name, matched) for name, matched in _PROTOCOLS.items()}
    return Findings(
        EXPERIMENT.name,
        EXPERIMENT.title,
        f"Gaussian noise at steps {settings.steps} (all frames of the latent, one step a run), or in latent "
        f"frames {settings.frames} (all steps, one frame a run). Replaced: the latent there is noise of its "
        "own standard deviation, as in the paper. Matched: as much noise is mixed in everywhere as all "
        "places can take.",
        (
            "Noise at a late step is not denoised away by the few steps that are left, reasoning or not.",
            "The first latent frame of an image-to-video model is given, so no noise is put there.",
        ),
        _claims(found),
        _panels(found),
        tuple(figure_of(one) for one in found.values()),
    )


def cost(settings: NoiseSettings, blocks: int) -> Cost:
    """Base runs, and a run for each place of each protocol; final videos are scored alone."""
    places = sum(len(parse_seeds(one)) for one in (settings.steps, settings.frames))
    runs = settings.base_runs
    return Cost(
        runs * settings.num_steps * (1 + len(_PROTOCOLS) * places), runs * len(_PROTOCOLS) * places, 4.0
    )


def _effects(bench: Bench, store: Store, settings: NoiseSettings, protocol: str, matched: bool) -> Result:
    from cosinterp.noising.noise import plan_noise, run_noise
    from cosinterp.noising.scoring import final_scores
    from probes.noising.analysis import effects

    samples = bench.chosen(settings)
    names = [sample.name for sample in samples]
    numbers = parse_seeds(settings.seeds)

    def make(name: str) -> None:
        model = bench.load()
        planned = plan_noise(
            model,
            samples,
            seeds=settings.seeds,
            steps=settings.steps,
            frames=settings.frames,
            matched=matched,
            noise_seed=settings.bootstrap_seed,
            base=False,
            batch=settings.batch,
            sampling={"num_steps": settings.num_steps},
        )
        variants = [place.variant for place in planned.places.every]
        bench.work.doing(f"noise, {protocol}")
        run_noise(model, planned, store.path, resume=True, progress=Noised(bench.work))
        found = effects(
            store.path,
            variants=variants,
            samples=names,
            seeds=settings.seeds,
            scores=final_scores(store, ["base", *variants], model, samples=names, seeds=numbers),
            activations=None,
            seed=settings.bootstrap_seed,
        )
        found.save(store.path, name)

    return bench.kept(store, f"noise-{protocol}", settings, make)


def _claims(found: dict[str, Result]) -> tuple[Measured, ...]:
    replaced, matched = (found[name].dataset for name in _PROTOCOLS)
    return (
        Measured(PAPER, _contrast(replaced)),
        Measured(MATCHED, _contrast(matched)),
        Measured(HURTS, estimate_at(replaced, "mean_effect", protocol=_protocol(replaced), at="step")),
    )


def _contrast(dataset: xarray.Dataset) -> Estimate:
    return estimate_at(dataset, "steps_less_frames", protocol=_protocol(dataset))


def _protocol(dataset: xarray.Dataset) -> str:
    """The only one: each result is of one."""
    [name] = dataset["protocol"].values.tolist()
    return name


def _panels(found: dict[str, Result]) -> tuple[Panel, ...]:
    panels = []
    for name, result in found.items():
        dataset = result.dataset
        labels = tuple(str(one) for one in dataset["label"].values.tolist())
        estimates = tuple(
            estimate_at(dataset, "effect", place=place) for place in dataset["place"].values.tolist()
        )
        panels.append(
            Panel(
                f"by-place-{name}",
                f"Change of the score by noise, {name}",
                "",
                str(dataset["effect"].attrs["long_name"]),
                (Curve("change", labels, estimates),),
                "dots",
                reference=0.0,
            )
        )
    return tuple(panels)


EXPERIMENT = Experiment(
    "noise",
    "Noise at a step, noise in a frame",
    {
        "smoke": NoiseSettings(count=1, num_steps=2, steps="1", frames="1"),
        "small": NoiseSettings(),
        "full": NoiseSettings(count=128, num_steps=20, steps="0,2,4,6,8,12,16", frames="1,2,3,4"),
    },
    run,
    cost,
    lambda settings: CLAIMS,
)
