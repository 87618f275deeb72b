"""Scores of a store as they would be if its clean estimates had answered what is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from probes.results.provenance import provenance
from probes.results.result import Result
from probes.scores import Metric, Reading, Scored, ScoreTable, scalars
from stores import Store

SOLVED = Metric("solved", "solved", "solved", "share")
RIGHT_GOAL = Metric("right_goal", "right goal", "right goal", "share")
READINGS = (Reading("answer", "path", "solved"), Reading("goal", "goal", "right_goal"))


def save_scores(
    store: Store,
    answers: Mapping[tuple[str, int], Sequence[str | None]],
    right: Mapping[str, str],
    *,
    name: str = "scores-maze",
    more: Mapping[str, Mapping[tuple[str, int], Sequence[float]]] | None = None,
    variant: str = "base",
    knows_right: bool = True,
) -> ScoreTable:
    """Save what these runs answer, "GOAL-PATH" or None by step, and whether that is right.

    `more` are other metrics without an upper bound, their value at each step; the truth is the store's.
    """
    more = more or {}
    metrics = (SOLVED, RIGHT_GOAL, *(Metric(one, one, one, "mean", (0.0, float("inf"))) for one in more))
    rows = []
    for entry in store.runs(variant=variant):
        key = entry.sample, entry.seed
        if key not in answers:
            continue
        truth = right[entry.sample]
        steps = [
            {"solved": float(answer == truth), "right_goal": float(_goal(answer) == _goal(truth))}
            | {one: float(curves[key][step]) for one, curves in more.items()}
            for step, answer in enumerate(answers[key])
        ]
        with store.run(*key, variant) as run:
            told = scalars(run.truth)
        rows.append(
            Scored(
                *(entry.sample, entry.seed, entry.finished, entry.size),
                final=steps[-1],
                sigmas=[1 - step / len(steps) for step in range(len(steps))],
                steps=steps,
                answers={"answer": list(answers[key]), "goal": [_goal(one) for one in answers[key]]},
                truth=told,
            )
        )
    readings = READINGS if knows_right else tuple(Reading(one.name, one.label, None) for one in READINGS)
    table = ScoreTable("maze", variant, metrics, ("solved",), readings, tuple(rows))
    asked = {"task": "maze", "variant": variant, "decoder": None}
    Result(table.to_dataset(), provenance("scores", store, asked)).save(store.path, name, force=True)
    return table


def _goal(answer: str | None) -> str | None:
    return None if answer is None else answer.partition("-")[0]
