"""Self-correction: held answers that are replaced, for better and for worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import Field

from cosinterp.experiments.costs import Cost
from cosinterp.experiments.experiment import Experiment
from cosinterp.experiments.measures import headline, labels, mean_of, names_of
from cosinterp.experiments.settings import Settings
from probes import statistics
from probes.claims import Claim, Curve, Findings, Measured, Panel
from probes.convergence import HOLD, corrections
from probes.convergence.task_answers import CORRECTIONS
from stores.selection import parse_seeds

if TYPE_CHECKING:
    from cosinterp.experiments.bench import Bench
    from probes.scores import ScoreTable

_WHERE = "abstract (self-correction and enhancement)"


class SelfCorrection(Settings, frozen=True):
    """Settings; ``hold``: steps for which an answer has to be given to count as held."""

    hold: Annotated[int, Field(ge=1)] = HOLD


def run(bench: Bench, settings: SelfCorrection) -> Findings:
    """Count what held answers are replaced by, run by run."""
    store = bench.base(settings)
    table = bench.scores(store, settings)
    is_known = table.readings[0].right is not None
    counts = corrected(table, settings.hold) if is_known else {}
    right = table.metric(headline(table)) == 1
    return Findings(
        EXPERIMENT.name,
        EXPERIMENT.title,
        f"The answer of every step's clean estimate is read; one given at {settings.hold} consecutive steps "
        "or more is held, and a held answer that another held one follows was corrected.",
        (
            (
                "How many corrections there are depends on how long an answer has to be held to count; "
                "which way they go hardly does."
            ),
        ),
        _claims(table, counts, right, settings) if is_known else _unknown(),
        _panels(table, counts, right, settings) if is_known else (),
    )


def cost(settings: SelfCorrection, blocks: int) -> Cost:
    """Base runs, and each of their clean estimates."""
    runs = settings.count * len(parse_seeds(settings.seeds))
    return Cost(runs * settings.num_steps, runs * settings.num_steps, 1.0)


def corrected(table: ScoreTable, hold: int) -> dict[str, np.ndarray]:
    """By kind of correction, how many each run has: float64 (run,)."""
    right = table.metric(headline(table)) == 1
    counts = {kind: np.zeros(len(table.runs)) for kind in CORRECTIONS}
    for row, said in enumerate(labels(table, table.readings[0])):
        for one in corrections(said, hold):
            ends = bool(right[row, one.before]), bool(right[row, one.after])
            kind = next(kind for kind, both in CORRECTIONS.items() if both == ends)
            counts[kind][row] += 1
    return counts


EXISTS = Claim(
    "corrects",
    "Models recover from wrong intermediate answers.",
    _WHERE,
    "runs with a correction from a held wrong answer to the right one",
    "share of runs",
)
BETTER = Claim(
    "for-the-better",
    "Corrections improve the answer.",
    _WHERE,
    "corrections from wrong to right less those from right to wrong",
    "corrections a run",
)
GAINS = Claim(
    "gains-more-than-it-loses",
    "Later steps enhance: more is put right than is spoilt.",
    _WHERE,
    "runs not right at the first step that end right, less runs right at some step that do not end so",
    "share of runs",
)
CLAIMS = (EXISTS, BETTER, GAINS)


def _claims(
    table: ScoreTable, counts: dict[str, np.ndarray], right: np.ndarray, settings: SelfCorrection
) -> tuple[Measured, ...]:
    names, seed = names_of(table), settings.bootstrap_seed
    # More there cannot be of answers that are held so long.
    most = (table.num_steps - 1) / settings.hold
    exists = (counts["wrong_to_right"] > 0).astype(np.float64)
    change = counts["wrong_to_right"] - counts["right_to_wrong"]
    gained = (~right[:, 0] & right[:, -1]).astype(np.float64) - (right.any(axis=1) & ~right[:, -1])
    return (
        Measured(EXISTS, statistics.proportion(exists, names, seed=seed)),
        Measured(BETTER, mean_of(change, names, seed, (-most, most))),
        Measured(GAINS, mean_of(gained, names, seed, (-1.0, 1.0))),
    )


def _unknown() -> tuple[Measured, ...]:
    why = "the task does not say which answers are right"
    return tuple(Measured(claim, None, why) for claim in CLAIMS)


def _panels(
    table: ScoreTable, counts: dict[str, np.ndarray], right: np.ndarray, settings: SelfCorrection
) -> tuple[Panel, ...]:
    names, seed = names_of(table), settings.bootstrap_seed
    kinds = [
        statistics.proportion((count > 0).astype(np.float64), names, seed=seed) for count in counts.values()
    ]
    becomes = (~right[:, 0] & right[:, -1]).astype(np.float64)
    loses = (right.any(axis=1) & ~right[:, -1]).astype(np.float64)
    ends = [statistics.proportion(one, names, seed=seed) for one in (becomes, loses)]
    return (
        _dots("corrections", "Corrections of held answers", "runs with one", list(counts), kinds),
        _dots(
            "ends",
            "What becomes right, and what is lost",
            "share of runs",
            ["not right at first, ends right", "right at some step, does not end so"],
            ends,
        ),
    )


def _dots(
    name: str, title: str, quantity: str, at: Sequence[str], found: Sequence[statistics.Estimate]
) -> Panel:
    words = tuple(one.replace("_", " ") for one in at)
    return Panel(name, title, "", quantity, (Curve(quantity, words, tuple(found)),), "dots")


EXPERIMENT = Experiment(
    "self-correction",
    "Self-correction along the steps",
    {
        "smoke": SelfCorrection(count=1, seeds="0-1", num_steps=2),
        "small": SelfCorrection(),
        "full": SelfCorrection(count=512, seeds="0-3", num_steps=20, batch=4),
    },
    run,
    cost,
    lambda settings: CLAIMS,
)
