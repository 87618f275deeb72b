"""What an ensemble would make, and what that costs, said before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.cli.takes import print_lines, said
from cosinterp.planning.gpu_memory import memory_of_plan
from cosinterp.planning.pace import seconds_of
from cosinterp.planning.takes import Estimate, Takes
from stores.files import free_space
from stores.selection import compact
from stores.units import count_text, size_text

if TYPE_CHECKING:
    from cosinterp.ensembles.planned import PlannedEnsemble
    from cosinterp.models.model import Model


@dataclass(frozen=True)
class EnsembleOutlook:
    """A planned ensemble and the room there is for it: bytes of base runs, of its own, and those free.

    ``takes``: what it takes, as every dry run says it.
    """

    planned: PlannedEnsemble
    folder: Path
    base_bytes: int
    own_bytes: int
    free: int
    takes: Takes

    @classmethod
    def of(
        cls, planned: PlannedEnsemble, model: Model, workers: int | None, refused: str | None
    ) -> EnsembleOutlook:
        """Look at the disk.

        Args:
            planned: the ensemble.
            model: that makes it; may be a skeleton.
            workers: that share the work; None: not known.
            refused: why it would not be made as things are; None: it would.
        """
        folder, free = free_space(planned.path)
        base_bytes = planned.base.bytes_of(planned.base_todo)
        own_bytes = planned.plan.bytes_of(planned.runs)
        base, own = len(planned.base_todo), len(planned.runs)
        most = "at most " if planned.spec.select is not None else ""
        takes = Takes(
            what=f"{most}{count_text(own, 'run')} of {planned.variant}, {count_text(base, 'base run')}",
            runs=base + own,
            bytes=base_bytes + own_bytes,
            seconds=_seconds(planned, model, workers),
            gpu_memory=memory_of_plan(model, planned.plan, _rows(planned)),
            device=str(model.device),
            refused=refused,
        )
        return cls(planned, folder, base_bytes, own_bytes, free, takes)

    @property
    def evaluations(self) -> int:
        """Of the denoiser, for all that is to be made."""
        return _evaluations(self.planned)

    def as_data(self) -> dict[str, Any]:
        """The plan as JSON takes it."""
        planned = self.planned
        return {
            "store": str(planned.path),
            "variant": planned.variant,
            "ensemble": planned.spec.model_dump(mode="json", exclude_none=True),
            "words": str(planned.spec),
            "seeds": list(planned.plan.seeds),
            "num_steps": planned.plan.num_steps,
            "samples": {"to_make": len(planned.todo), "of": len(planned.plan.samples)},
            "base_runs": {"to_make": len(planned.base_todo)},
            "evaluations": {
                "a_sample": planned.evaluations,
                "one_seed": planned.evaluations_of_one,
                "all": self.evaluations,
            },
            "bytes": {
                "base": self.base_bytes,
                "ensembles": self.own_bytes,
                "all": self.base_bytes + self.own_bytes,
            },
            "folder": str(self.folder),
            "free_bytes": self.free,
            **said(self.takes, lines_of(self)),
        }


def _evaluations(planned: PlannedEnsemble) -> int:
    return len(planned.base_todo) * planned.evaluations_of_one + len(planned.todo) * planned.evaluations


def _seconds(planned: PlannedEnsemble, model: Model, workers: int | None) -> Estimate[float]:
    if workers != 1:
        return Estimate(None, "of ensembles over several devices nothing was measured")
    return seconds_of(planned.path, model, lambda pace: _evaluations(planned) / planned.evaluations_of_one)


def _rows(planned: PlannedEnsemble) -> int:
    """Seeds that go through the model together in any case: of "auto", one."""
    chunk = planned.chunk if isinstance(planned.chunk, int) else 1
    return max(planned.base.batch if planned.base_todo else 1, min(chunk, len(planned.plan.seeds)))


def print_outlook(outlook: EnsembleOutlook) -> None:
    """Print what an ensemble would make."""
    print_lines([*lines_of(outlook), *outlook.takes.lines()])


def lines_of(outlook: EnsembleOutlook) -> list[tuple[str, str]]:
    """What an ensemble would make: names and texts."""
    planned = outlook.planned
    seeds = planned.plan.seeds
    named = f"seed{'' if len(seeds) == 1 else 's'} {compact(seeds)}"
    one, own = planned.evaluations_of_one, planned.evaluations
    there = len(planned.plan.samples) - len(planned.todo)
    base = len(planned.base_todo)
    size = size_text(outlook.base_bytes + outlook.own_bytes)
    of_base = f" ({size_text(outlook.base_bytes)} of base runs)" if base else ""
    lines = {
        "store": str(planned.path),
        "ensemble": f"{planned.spec}; of {named}",
        "variant": planned.variant,
        "samples": f"{len(planned.todo)} to make, {there} there already",
        "base runs": f"{base} to make",
        "cost": f"{own} evaluations of the denoiser a sample, {own / one:.2f} times one seed's {one}",
        "in all": f"{outlook.evaluations} evaluations"
        + (f", of which base runs take {base * one}" if base else ""),
        "needs": f"{size}{of_base}; {size_text(outlook.free)} are free",
    }
    if planned.spec.select is not None and len(planned.todo):
        runs = count_text(len(planned.runs), "run")
        lines["needs"] += f"; at most: which of {runs} are kept shows on the way"
    return list(lines.items())
