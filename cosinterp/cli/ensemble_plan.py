"""What an ensemble would make, and what that costs, said before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.cli.console import out
from stores.files import free_space
from stores.selection import compact
from stores.units import count_text, size_text

if TYPE_CHECKING:
    from cosinterp.ensembles.planned import PlannedEnsemble


@dataclass(frozen=True)
class EnsembleOutlook:
    """A planned ensemble and the room there is for it: bytes of base runs, of its own, and those free."""

    planned: PlannedEnsemble
    folder: Path
    base_bytes: int
    own_bytes: int
    free: int

    @classmethod
    def of(cls, planned: PlannedEnsemble) -> EnsembleOutlook:
        """Look at the disk."""
        folder, free = free_space(planned.path)
        base_bytes = planned.base.bytes_of(planned.base_todo)
        return cls(planned, folder, base_bytes, planned.plan.bytes_of(planned.runs), free)

    @property
    def evaluations(self) -> int:
        """Of the denoiser, for all that is to be made."""
        planned = self.planned
        return len(planned.base_todo) * planned.evaluations_of_one + len(planned.todo) * planned.evaluations

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
        }


def print_outlook(outlook: EnsembleOutlook) -> None:
    """Print what an ensemble would make."""
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
    for name, value in lines.items():
        out().print(f"{name:<11} {value}", markup=False, soft_wrap=True)
    if planned.spec.select is not None and len(planned.todo):
        runs = count_text(len(planned.runs), "run")
        out().print(
            f"{'':<11} at most: which of {runs} are kept shows on the way", markup=False, soft_wrap=True
        )
