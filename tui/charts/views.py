"""What a result can be looked at by in the terminal, and the numbers of one of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from tui.charts.chart import Chart
from tui.charts.view import Made
from tui.heatmaps.heatmap import Heatmap
from tui.heatmaps.of_results import complete

if TYPE_CHECKING:
    import xarray

    from probes.results.result import Result

_HOMES = {
    "ablation": "patches",
    "attribution": "patches:of_attribution",
    "convergence": "convergence",
    "ensemble": "ensemble",
    "experiment": "experiment",
    "maps": "maps",
    "noise": "noise",
    "patch": "patches",
    "probe": "probe",
    "scores": "scores",
    "similarity": "similarity",
    "steering": "patches",
    "transfer": "transfer",
}
"""The module of `tui.charts.of_results` for each kind, as "module:function" if that is not called views."""


@dataclass(frozen=True)
class View:
    """One way to look at a result.

    Attributes:
        name: as it is chosen by, such as "score by step and layer".
        result: the result.
        make: makes its numbers; may take seconds, where intervals are drawn. `made` calls it.
    """

    name: str
    result: Result
    make: Callable[[], Heatmap | Chart]


def views_of(result: Result) -> list[View]:
    """The native views of a result, the main one first; none for what has only pictures. Blocks.

    Raises:
        StoreError: it lacks what its kind tells of.
    """
    with complete(_called(result)):
        return [View(one.name, result, one.make) for one in _views(result.kind, result.dataset)]


def made(view: View) -> Heatmap | Chart:
    """The numbers of a view. Blocks.

    Raises:
        StoreError: the result lacks what its kind tells of.
    """
    with complete(_called(view.result)):
        return view.make()


def _views(kind: str, dataset: xarray.Dataset) -> Iterator[Made]:
    module, _, function = _HOMES.get(kind, "anything").partition(":")
    home = import_module(f"tui.charts.of_results.{module}")
    yield from getattr(home, function or "views")(dataset)


def _called(result: Result) -> str:
    return str(result.path or result.name or "this result")
