"""Stores of base runs and ensembles whose answers, scores and costs are planted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from probes.results.provenance import provenance
from probes.results.result import Result
from probes.scores import Metric, Reading, Scored, ScoreTable
from stores import Store, StoreSettings, create_store

SOLVED = Metric("solved", "solved", "solved", "share")
TIDY = Metric("tidy", "tidy path", "tidy", "share", blind=True)
IOU = Metric("iou", "IoU with the true path", "IoU", "mean")
RIGHT = "true"
STEPS = 12
Answers = Mapping[str, Mapping[int, str | None]]
"""What the runs answer, by sample and seed: "true", something else, or nothing."""


def plant(
    folder: Path,
    base: Answers,
    variants: Mapping[str, tuple[Answers, Sequence[int], int]],
    *,
    truths: Mapping[str, Mapping[str, float | str]] | None = None,
    tidy: Mapping[tuple[str, int], float] | None = None,
) -> Store:
    """A store in which base runs and variants answer so, and are scored.

    `variants` are what their runs answer, the seeds they are made of, and what they cost.
    """
    store = create_store(folder, StoreSettings(model={"name": "planted"}, capture={"sites": []}))
    _plant(store, "base", base, None, truths or {}, tidy or {})
    for name, (answers, seeds, cost) in variants.items():
        made = {
            "seeds": list(seeds),
            "evaluations": cost,
            "evaluations_of_one": STEPS,
            "words": f"{name} of {len(seeds)}",
        }
        _plant(store, name, answers, made, truths or {}, tidy or {})
    return store


def _plant(
    store: Store,
    variant: str,
    answers: Answers,
    made: Mapping[str, object] | None,
    truths: Mapping[str, Mapping[str, float | str]],
    tidy: Mapping[tuple[str, int], float],
) -> None:
    for sample, by_seed in answers.items():
        for seed in by_seed:
            with store.writer(sample, seed, variant) as writer:
                writer.set_attrs({} if made is None else {"intervention": dict(made)})
                writer.set_schedule([500.0], [0.5, 0.0])
                writer.set_condition("Go to the red goal.")
                writer.finish()
    rows = []
    for entry in store.runs(variant=variant):
        answer = answers[entry.sample][entry.seed]
        final = {
            "solved": float(answer == RIGHT),
            "tidy": tidy.get((entry.sample, entry.seed), float(answer is not None)),
            "iou": {RIGHT: 1.0, None: 0.2}.get(answer, 0.5),
        }
        rows.append(
            Scored(
                *(entry.sample, entry.seed, entry.finished, entry.size),
                final=final,
                sigmas=[0.5],
                steps=[final],
                answers={"answer": [answer]},
                truth=truths.get(entry.sample, {}),
            )
        )
    table = ScoreTable(
        *("maze", variant, (SOLVED, TIDY, IOU), ("solved",), (Reading("answer", "path", "solved"),)),
        runs=tuple(rows),
    )
    name = "scores-maze" if variant == "base" else f"scores-maze-{variant}"
    told = provenance("scores", store, {"task": "maze", "variant": variant, "decoder": None})
    Result(table.to_dataset(), told).save(store.path, name, force=True)
