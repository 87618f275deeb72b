"""Fewer frames: the same samples and seeds, with shorter videos."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cosinterp.experiments.costs import Cost
from cosinterp.experiments.experiment import Experiment
from cosinterp.experiments.measures import headline, mean_of, names_of
from cosinterp.experiments.settings import Settings
from probes import statistics
from probes.claims import Claim, Curve, Findings, Measured, Panel
from stores.selection import parse_seeds

if TYPE_CHECKING:
    from cosinterp.experiments.bench import Bench
    from probes.scores import ScoreTable

_MARGIN = 0.1


class Frames(Settings, frozen=True):
    """Settings; ``frames``: lengths of videos, shorter than the model's own."""

    seeds: str = "0"
    frames: tuple[int, ...] = (5, 1)


def run(bench: Bench, settings: Frames) -> Findings:
    """Generate the samples again with fewer frames, and score the final videos."""
    whole = bench.scores(bench.base(settings), settings)
    own = _length(bench, settings)
    tables = {own: whole}
    for length in settings.frames:
        store = bench.runs(
            bench.beside(f"frames-{length}"),
            settings,
            bench.chosen(settings),
            settings.seeds,
            sites="none",
            num_frames=length,
        )
        tables[length] = bench.scores(store, settings)
    metric = headline(whole)
    return Findings(
        EXPERIMENT.name,
        EXPERIMENT.title,
        f"The same samples with the same seeds, but videos of {', '.join(map(str, settings.frames))} frames "
        f"instead of {own}. Noise of another length is other noise, so runs are paired by sample and seed, "
        "not by what they start from.",
        (
            (
                "A bundled model was trained on videos of one length alone (maze-wan: 9 frames), so fewer "
                "frames are also videos unlike any it has seen; the paper's models know many lengths."
            ),
        ),
        tuple(_measured(whole, tables[length], length, metric, settings) for length in settings.frames),
        (_panel(tables, metric, settings),),
    )


def cost(settings: Frames, blocks: int) -> Cost:
    """Base runs of one seed, and shorter ones beside them."""
    runs = settings.count * len(parse_seeds(settings.seeds))
    more = len(settings.frames)
    return Cost(runs * settings.num_steps * (1 + 0.6 * more), runs * settings.num_steps * (1 + more), 1.0)


def _length(bench: Bench, settings: Settings) -> int:
    """Frames of the base videos."""
    from stores import open_store

    store = open_store(bench.store)
    with store.run(bench.chosen(settings)[0].name, parse_seeds(settings.seeds)[0]) as opened:
        return int(opened.attrs["sampling"]["num_frames"])


def claim_of(length: int) -> Claim:
    """What is claimed of videos of so many frames."""
    return Claim(
        f"frames-{length}",
        "Reasoning does not live in the frames: with fewer of them the task is still solved.",
        "chain of steps against chain of frames",
        f"runs that end right: videos of {length} frames less whole ones, same sample and seed; no more than "
        f"{_MARGIN:g} may be lost",
        "share of runs",
        threshold=-_MARGIN,
    )


def _measured(whole: ScoreTable, short: ScoreTable, length: int, metric: str, settings: Frames) -> Measured:
    claim = claim_of(length)
    before = {one.key: one.final[metric] for one in whole.runs}
    pairs = [(one.sample, one.final[metric] - before[one.key]) for one in short.runs if one.key in before]
    if not pairs:
        return Measured(claim, None, "no run of both lengths was scored")
    names, change = zip(*pairs, strict=True)
    return Measured(claim, mean_of(change, names, settings.bootstrap_seed, (-1.0, 1.0)))


def _panel(tables: dict[int, ScoreTable], metric: str, settings: Frames) -> Panel:
    lengths = sorted(tables)
    curves = []
    for one in tables[lengths[0]].metrics:
        if one.bounds == (0.0, 1.0) and one.name in {metric, *tables[lengths[0]].headline, "consistent"}:
            found = [
                statistics.mean(
                    np.asarray(tables[length].final(one.name)),
                    names_of(tables[length]),
                    seed=settings.bootstrap_seed,
                    bounds=one.bounds,
                )
                for length in lengths
            ]
            curves.append(Curve(one.label, tuple(lengths), tuple(found)))
    return Panel(
        "by-frames",
        "Score of the final video by its number of frames",
        "frames of the video",
        "mean over runs",
        tuple(curves),
        limits=(0.0, 1.0),
    )


EXPERIMENT = Experiment(
    "frames",
    "Fewer frames",
    {
        "smoke": Frames(count=1, num_steps=2, frames=(5,)),
        "small": Frames(),
        "full": Frames(count=512, num_steps=20, frames=(7, 5, 3, 1)),
    },
    run,
    cost,
    lambda settings: tuple(claim_of(length) for length in settings.frames),
)
