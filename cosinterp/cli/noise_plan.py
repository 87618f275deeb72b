"""What a sweep of noise would make, said before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.cli.console import out
from stores.files import free_space
from stores.layout import BASE
from stores.selection import compact
from stores.units import count_text, size_text

if TYPE_CHECKING:
    from cosinterp.noising.noise import NoisePlan


@dataclass(frozen=True)
class NoiseOutlook:
    """A sweep, the runs of each variant that are to be made, and the room there is for them."""

    plan: NoisePlan
    store: Path
    todo: dict[str, list[tuple[str, int]]]
    free: int

    @classmethod
    def of(cls, plan: NoisePlan, store: Path) -> NoiseOutlook:
        """Look at the store and its disk."""
        return cls(plan, store, plan.to_make(store, resume=True), free_space(store)[1])

    @property
    def runs(self) -> list[tuple[str, int]]:
        """All runs that are to be made."""
        return [run for runs in self.todo.values() for run in runs]

    @property
    def needed(self) -> int:
        """Bytes that they take."""
        return self.plan.trace.bytes_of(self.runs)

    @property
    def evaluations(self) -> int:
        """Of the denoiser: once for each run, branch and step that is computed."""
        trace = self.plan.trace
        starts = {place.variant: self.plan.first_computed(place) for place in self.plan.places.every}
        steps = sum(len(runs) * (trace.num_steps - starts.get(name, 0)) for name, runs in self.todo.items())
        return steps * len(trace.run_branches)

    def as_data(self) -> dict[str, Any]:
        """The plan as JSON takes it."""
        trace = self.plan.trace
        return {
            "store": str(self.store),
            "samples": [planned.sample.name for planned in trace.samples],
            "seeds": list(trace.seeds),
            "num_steps": trace.num_steps,
            "latent_frames": trace.samples[0].shape.latent[1],
            "variants": [
                {
                    "variant": place.variant,
                    "noise": place.model_dump(mode="json"),
                    "runs": len(self.todo.get(place.variant, ())),
                }
                for place in self.plan.places.every
            ],
            "base_runs": len(self.todo.get(BASE, ())),
            "runs": len(self.runs),
            "evaluations": self.evaluations,
            "bytes": self.needed,
            "free_bytes": self.free,
        }


def print_outlook(outlook: NoiseOutlook) -> None:
    """Print what a sweep would make."""
    plan, trace = outlook.plan, outlook.plan.trace
    places = plan.places
    parts = [f"{len(places.at_steps)} at a step"] if places.at_steps else []
    parts += [f"{len(places.in_frames)} in a latent frame"] if places.in_frames else []
    noise = places.every[0]
    how = f"energy {noise.energy:g}, mixed in" if noise.energy is not None else noise.how
    how += f" {noise.strength:g}" if noise.how != "replace" and noise.energy is None else ""
    base, there = (
        len(outlook.todo.get(BASE, ())),
        (len(places.every) + plan.base) * trace.num_runs - len(outlook.runs),
    )
    seeds = f"seed{'' if len(trace.seeds) == 1 else 's'} {compact(trace.seeds)}"
    lines = {
        "store": str(outlook.store),
        "noise": f"{how}; seed {noise.seed}",
        "variants": f"{len(places.every)}: {', '.join(parts)}; {places.every[0].variant} and so on",
        "runs": f"{len(outlook.runs)} to make ({base} of them base), {there} there already: "
        f"{count_text(len(trace.samples), 'sample')}, {seeds}",
        "cost": f"about {outlook.evaluations} evaluations of the denoiser",
        "needs": f"{size_text(outlook.needed)}; {size_text(outlook.free)} are free",
    }
    for name, value in lines.items():
        out().print(f"{name:<11} {value}", markup=False, soft_wrap=True)
