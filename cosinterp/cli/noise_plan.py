"""What a sweep of noise would make, said before it is made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.cli.takes import print_lines, said
from cosinterp.planning.gpu_memory import memory_of_plan
from cosinterp.planning.pace import seconds_of
from cosinterp.planning.takes import Takes
from stores.files import free_space
from stores.layout import BASE
from stores.selection import compact
from stores.units import count_text, size_text

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from cosinterp.noising.noise import NoisePlan


@dataclass(frozen=True)
class NoiseOutlook:
    """A sweep, the runs of each variant that are to be made, and the room there is for them.

    ``takes``: what it takes, as every dry run says it.
    """

    plan: NoisePlan
    store: Path
    todo: dict[str, list[tuple[str, int]]]
    free: int
    takes: Takes

    @classmethod
    def of(cls, plan: NoisePlan, store: Path, model: Model, refused: str | None) -> NoiseOutlook:
        """Look at the store and its disk.

        Args:
            plan: of the sweep.
            store: its folder.
            model: that makes the runs; may be a skeleton.
            refused: why they would not be made as things are; None: they would.
        """
        todo = plan.to_make(store, resume=True)
        runs = [run for of_variant in todo.values() for run in of_variant]
        trace = plan.trace
        of_one = trace.num_steps * len(trace.run_branches)
        base = len(todo.get(BASE, ()))
        takes = Takes(
            what=f"{count_text(len(runs) - base, 'noised run')}, {count_text(base, 'base run')}",
            runs=len(runs),
            bytes=trace.bytes_of(runs),
            seconds=seconds_of(store, model, lambda pace: _evaluations(plan, todo) / of_one),
            gpu_memory=memory_of_plan(model, trace),
            device=str(model.device),
            refused=refused,
        )
        return cls(plan, store, todo, free_space(store)[1], takes)

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
        return _evaluations(self.plan, self.todo)

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
            **said(self.takes, lines_of(self)),
        }


def _evaluations(plan: NoisePlan, todo: dict[str, list[tuple[str, int]]]) -> int:
    starts = {place.variant: plan.first_computed(place) for place in plan.places.every}
    steps = sum(len(runs) * (plan.trace.num_steps - starts.get(name, 0)) for name, runs in todo.items())
    return steps * len(plan.trace.run_branches)


def print_outlook(outlook: NoiseOutlook) -> None:
    """Print what a sweep would make."""
    print_lines([*lines_of(outlook), *outlook.takes.lines()])


def lines_of(outlook: NoiseOutlook) -> list[tuple[str, str]]:
    """What a sweep would make: names and texts."""
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
    return list(lines.items())
