"""A study by probes: what is asked of a store, checked before anything is computed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from probes.probing.baselines import Baseline, baselines, saw_the_same, untrained_features
from probes.probing.chosen import choose
from probes.probing.features import Features, check_memory
from probes.probing.folds import deal
from probes.probing.grid import GridScores, Progress, count_cells, probe_grid
from probes.probing.labels import LabelKind
from probes.probing.permutation import exchange
from probes.probing.plan import Model, Plan
from probes.probing.rows import Pool, RowChoice, Rows, lay_rows
from probes.probing.targets import Outcomes, read_target
from stores import Store, open_store, selection
from stores.chosen_runs import SampleNames
from stores.errors import SelectionError
from stores.filters import Seeds
from stores.layout import BASE

MEMORY = 4 * 2**30
OVERHEAD = 3.0
"""What fitting takes beside the features of a cell, in multiples of them.

Measured: 2.4, of 327,680 rows of 192 channels."""


@dataclass(frozen=True)
class Asked:
    """What a study is to find out.

    Attributes:
        target: what is predicted; see `targets`.
        site, reduction, branch, steps, layers: which activations; see `chosen.choose`.
        samples, seeds, variant: of which runs.
        labels, among, pool, frames, max_tokens: which rows; see `RowChoice`. ``among`` is a target's text.
        model: "auto" is logistic for classes and ridge for numbers.
        plan: how probes are fitted and judged; its model is the one above.
        baselines: whether to compute them beside.
        untrained: a store of the untrained model's activations along the same runs.
        jobs: processes.
        memory: bytes that features and fits may take in all processes together.
    """

    target: str
    site: str = "resid"
    reduction: str | None = None
    branch: str | None = None
    steps: selection.Selection = "all"
    layers: selection.Selection = "all"
    samples: SampleNames = None
    seeds: Seeds = None
    variant: str = BASE
    labels: LabelKind = "auto"
    among: str | None = None
    pool: Pool = "mean"
    frames: selection.Selection = "all"
    max_tokens: int | None = None
    model: Model | Literal["auto"] = "auto"
    plan: Plan = field(default_factory=Plan)
    baselines: bool = True
    untrained: Path | str | None = None
    jobs: int = 1
    memory: int = MEMORY

    def as_dict(self) -> dict[str, Any]:
        """Plain values, with which the same numbers come out again."""
        found = asdict(self) | {"plan": self.plan.as_dict()}
        for name in ("jobs", "memory"):
            del found[name]
        return {
            name: str(value) if isinstance(value, (Path, slice)) else value for name, value in found.items()
        }


@dataclass(frozen=True, eq=False)
class Study:
    """What is going to be computed.

    Attributes:
        asked: what for.
        features: of all cells.
        plan: complete.
        baselines: those without layers.
        untrained: the features of the untrained model, if it is given.
        together: layers of a step that are read at once.
        notes: what the reader should know.
    """

    asked: Asked
    features: Features
    plan: Plan
    baselines: tuple[Baseline, ...]
    untrained: Features | None
    together: int
    notes: tuple[str, ...]

    @property
    def rows(self) -> Rows:
        """The rows of all cells."""
        return self.features.rows

    @property
    def cells(self) -> int:
        """How many cells are computed, with those of baselines."""
        return count_cells(self.features, self.baselines, self.untrained)

    @property
    def memory(self) -> int:
        """Bytes that it takes at most, by estimate."""
        one = self.features.bytes_of_cell()
        return int(one * (self.together + OVERHEAD)) * self.asked.jobs

    def run(self, progress: Progress | None = None) -> GridScores:
        """Computes it. Raises SelectionError or StoreError: see `exchange` and `probe_grid`."""
        if self.plan.permutations:
            # What cannot be permuted is known before anything is read.
            exchange(self.rows.problem, 1, self.plan.seed)
        return probe_grid(
            self.features,
            self.plan,
            self.baselines,
            self.untrained,
            together=self.together,
            jobs=self.asked.jobs,
            progress=progress,
        )


def prepare(store: Store, asked: Asked, outcomes: Outcomes | None = None) -> Study:
    """Finds runs, labels, folds and baselines.

    Args:
        store: where the activations lie.
        asked: what for.
        outcomes: how runs ended, by name; see `targets.Outcomes`.

    Raises:
        SelectionError: something that is asked for is not there, or cannot be probed.
        StoreError: a run is damaged or holds no such site.
    """
    if asked.jobs < 1:
        raise SelectionError(f"jobs: at least 1, not {asked.jobs}")
    chosen = choose(
        store,
        site=asked.site,
        reduction=asked.reduction,
        branch=asked.branch,
        steps=asked.steps,
        layers=asked.layers,
        samples=asked.samples,
        seeds=asked.seeds,
        variant=asked.variant,
    )
    choice = RowChoice(
        kind=asked.labels,
        among=None if asked.among is None else read_target(asked.among, chosen, outcomes),
        pool=asked.pool,
        frames=asked.frames,
        max_tokens=asked.max_tokens,
        seed=asked.plan.seed,
    )
    rows = lay_rows(chosen, read_target(asked.target, chosen, outcomes), choice)
    kind = rows.problem.kind
    model: Model = ("ridge" if kind == "number" else "logistic") if asked.model == "auto" else asked.model
    if kind == "number" and model == "logistic":
        raise SelectionError(
            f'target "{asked.target}": a logistic probe tells classes apart, and these are numbers; choose '
            "--model ridge, or --labels classes"
        )
    plan = replace(asked.plan, model=model)
    # Too few samples are known of before anything is read.
    deal(rows.problem, plan)
    features = Features(store, chosen, rows)
    together = check_memory(features, len(chosen.layers), asked.jobs, asked.memory, OVERHEAD)
    found, notes = baselines(chosen, rows) if asked.baselines else ([], [])
    untrained = (
        None if asked.untrained is None else untrained_features(open_store(asked.untrained), chosen, rows)
    )
    if untrained is not None and not saw_the_same(untrained, chosen):
        notes.append(
            f"the untrained model of {untrained.store.path} was shown other latents than these runs had; "
            f"trace it with --follow {store.path} to compare what both make of the same"
        )
    return Study(
        asked, features, plan, tuple(found), untrained, together, (*chosen.notes, *rows.notes, *notes)
    )
