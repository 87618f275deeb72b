"""What an experiment would do, said before it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.planning.gpu_memory import gpu_memory
from cosinterp.planning.takes import Estimate, Takes
from stores.layout import BASE, STORE_FILE
from stores.selection import parse_seeds
from stores.units import count_text

if TYPE_CHECKING:
    from cosinterp.experiments.costs import Cost, Rates
    from cosinterp.experiments.experiment import Experiment
    from cosinterp.experiments.settings import Settings
    from cosinterp.models.model import Model
    from cosinterp.samples import Sample


@dataclass(frozen=True)
class ExperimentOutlook:
    """An experiment, its settings, all the work that it is, and what that takes."""

    name: str
    title: str
    settings: Settings
    work: Cost
    takes: Takes

    @classmethod
    def of(
        cls,
        asked: Experiment,
        settings: Settings,
        model: Model,
        samples: Sequence[Sample],
        store: Path,
        rates: Rates | None,
        refused: str | None,
    ) -> ExperimentOutlook:
        """Look at the store.

        Args:
            asked, settings: the experiment.
            model: that it is made with; may be a skeleton.
            samples: that it is about.
            store: folder of the base runs.
            rates: how fast this machine is; None: not measured.
            refused: why it would not be made as things are; None: it would.
        """
        work = asked.cost(settings, model.num_layers)
        base = _base_runs(settings, samples, store) if asked.shares_base else 0
        sampling = model.sampling(samples[0], {"num_steps": settings.num_steps})
        if rates is None:
            seconds = Estimate[float](None, "a short run has to be timed for that")
        else:
            seconds = Estimate(rates.seconds(work), "a short run was timed; less what the store has")
        takes = Takes(
            what=f"{count_text(base, 'base run')}, and what the experiment makes of them",
            runs=base,
            seconds=seconds,
            gpu_memory=gpu_memory(
                model,
                [model.anatomy.geometry.grid(model.size(sampling))],
                rows=settings.batch,
                branches=len(model.anatomy.guidance.computed(sampling)),
            ),
            device=str(model.device),
            refused=refused,
        )
        return cls(asked.name, asked.title, settings, work, takes)

    def as_data(self) -> dict[str, Any]:
        """As JSON takes it; ``work`` counts what the store has already too."""
        return {
            "experiment": self.name,
            "settings": self.settings.model_dump(mode="json"),
            "work": asdict(self.work),
        }

    def lines(self) -> list[tuple[str, str]]:
        """What is printed: names and texts."""
        work = self.work
        of = f"{work.steps:,.0f} denoising steps, {work.decodes:,.0f} videos decoded and scored"
        return [
            ("experiment", f"{self.name}: {self.title}"),
            ("base runs", f"{self.takes.runs} to make"),
            ("work", f"about {of}, {work.seconds:,.0f} s of analyses"),
        ]


def _base_runs(settings: Settings, samples: Sequence[Sample], store: Path) -> int:
    """How many base runs a store lacks."""
    from stores import open_store

    names = [sample.name for sample in samples]
    if not (store / STORE_FILE).exists():
        return settings.base_runs
    there = open_store(store).runs(variant=BASE)
    wanted = {(name, seed) for name in names for seed in parse_seeds(settings.seeds)}
    return len(wanted - {(entry.sample, entry.seed) for entry in there})
