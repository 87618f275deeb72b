"""What any result may have, of a kind that is not known here, too: arrays on a step and a layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tui.charts.view import Made
from tui.heatmaps.of_results import maps_in

if TYPE_CHECKING:
    import xarray


def views(dataset: xarray.Dataset) -> Iterator[Made]:
    """A map for each array."""
    return (Made(one.name, one.make) for one in maps_in(dataset))
