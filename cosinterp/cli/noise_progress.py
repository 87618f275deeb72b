"""How a sweep of noise goes, drawn on standard error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.text import Text

from cosinterp.cli.console import err
from cosinterp.cli.counting import unit_bar
from cosinterp.planning.plan import TracePlan
from stores.selection import compact
from stores.units import count_text


class NoiseProgress:
    """A bar over the steps of all runs of all variants; a line for each variant that is begun.

    Args:
        todo: the (sample name, seed) runs of each variant that are to be made.
        num_steps: of a run.
    """

    def __init__(self, todo: Mapping[str, Sequence[tuple[str, int]]], num_steps: int) -> None:
        self.made = 0
        self._todo = todo
        self._variant = ""
        self._begun = 0
        self._bar = unit_bar("steps")
        runs = sum(len(of_variant) for of_variant in todo.values())
        self._task = self._bar.add_task("noise", total=runs * num_steps, what="noise")

    def variant(self, name: str) -> None:
        """Say which variant comes, and how many there are."""
        self._variant = name
        self._begun += 1
        runs = count_text(len(self._todo.get(name, ())), "run")
        line = f"{self._begun}/{len(self._todo)} {name}, {runs}"
        # As a Text: a style of the whole print would colour the bar below it, too.
        err().print(Text(line, "dim"), soft_wrap=True)

    def planned(self, plan: TracePlan, todo: Sequence[tuple[str, int]]) -> None:
        """All of it was said by `variant`."""

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        """Move the bar."""
        several = compact(seeds)
        self._bar.update(
            self._task,
            advance=len(seeds),
            description=f"{self._variant} {sample} seed {several}",
            what=f"making {self._variant}",
            sample=sample,
            seeds=several,
        )

    def finished(self, sample: str, seed: int) -> None:
        """Count the run."""
        self.made += 1

    def __enter__(self) -> NoiseProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
