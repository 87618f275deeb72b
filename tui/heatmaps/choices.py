"""What can be shown as a heatmap of a run: its own quantities, and the maps of its store's results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stores import open_store
from tui.browser.rows import Row
from tui.heatmaps.heatmap import Heatmap
from tui.heatmaps.of_results import ResultMap, complete, maps_of
from tui.heatmaps.of_run import Place, RunQuantity, measured

_HOLDS = {"probe": "probe accuracy, and more", "patch": "patch effect, and more"}
"""What is above all in results of a kind, as long as they have not been opened."""


@dataclass(frozen=True)
class OfRun:
    """A quantity of the run itself."""

    row: Row
    quantity: RunQuantity
    place: Place

    @property
    def name(self) -> str:
        """As it is chosen by."""
        return f"{self.quantity.name} ({self.place})"


@dataclass(frozen=True)
class OfResult:
    """A result that was not opened yet; chosen, it gives way to its maps."""

    row: Row
    path: Path
    kind: str

    @property
    def name(self) -> str:
        """As it is chosen by."""
        return f"{self.path.stem}: {_HOLDS.get(self.kind, self.kind or 'unknown')}"


@dataclass(frozen=True)
class MapOfResult:
    """A map of a result that has been opened."""

    result: OfResult
    map: ResultMap

    @property
    def name(self) -> str:
        """As it is chosen by."""
        return f"{self.result.path.stem}: {self.map.name}"


Choice = OfRun | OfResult | MapOfResult


def opened(choice: OfResult) -> list[MapOfResult]:
    """The maps of a result. Blocks. Raises UserError: it cannot be read."""
    row = choice.row
    found = maps_of(choice.path, row.sample, row.seed, row.variant)
    return [MapOfResult(choice, one) for one in found]


def made(choice: OfRun | MapOfResult, overtaken: Callable[[], bool]) -> Iterator[tuple[Heatmap, int, int]]:
    """A map, how many of its cells are read, and of how many; again and again while it is being read.

    Blocks. Ends early once ``overtaken`` says so.

    Raises:
        UserError: it cannot be read.
    """
    if isinstance(choice, MapOfResult):
        with complete(choice.result.path):
            heatmap = choice.map.make()
        yield heatmap, heatmap.values.size, heatmap.values.size
        return
    row = choice.row
    with open_store(row.store).run(row.sample, row.seed, row.variant) as run:
        for heatmap, done in measured(run, choice.place, choice.quantity):
            yield heatmap, done, heatmap.values.size
            if overtaken():
                return
