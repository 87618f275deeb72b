"""What patches did, by step and layer, beside the control that is patched at random places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stores.errors import SelectionError
from tui.heatmaps.heatmap import Cells, Heatmap
from tui.heatmaps.result_map import ResultMap

if TYPE_CHECKING:
    import xarray

CONTROL = "random"


def maps_of_patches(dataset: xarray.Dataset) -> Iterator[ResultMap]:
    """A map for each effect, place and direction of a patching result, the main effect first."""
    from probes import sweeps
    from probes.effects import PLAIN

    directions = list(dict.fromkeys(dataset["direction"].values.tolist()))
    for effect in sweeps.known_effects(dataset):
        places = sweeps.places_of(dataset)
        for place, name in zip(places, sweeps.place_names(places), strict=True):
            for direction in directions:
                has_all = (dataset["direction"] == direction) & (dataset["control"] == PLAIN)
                if bool(has_all.any()):
                    told = f"{effect}, {direction}" + (f", {name}" if name else "")
                    yield ResultMap(told, PatchMap(dataset, effect, direction, place))


@dataclass(frozen=True)
class PatchMap:
    """Makes the map of one effect of patches in one direction at one place."""

    dataset: xarray.Dataset
    effect: str
    direction: str
    place: dict[str, Any]

    def __call__(self) -> Heatmap:
        """The map. Raises SelectionError: the result has no such patches."""
        from probes import effects, sweeps
        from probes.patches import in_words

        place = dict(self.place)
        chosen = self.dataset
        if sweeps.SCALE in place:
            chosen = chosen.isel(patch=np.flatnonzero(chosen[sweeps.SCALE].values == place.pop(sweeps.SCALE)))
        cells = effects.grid(chosen, self.effect, self.direction, **place)
        marked, mark = self._marked(chosen, cells, place)
        control, beside = self._control(chosen, cells, place)
        title = f"{in_words(chosen, self.effect)}; {self.direction}, {sweeps.place_text(self.place)}"
        return Heatmap(
            title=title,
            **_numbers(cells),
            marked=marked,
            mark=mark,
            centre=0.0 if float(np.nanmin(cells["value"].values)) < 0 else None,
            note=sweeps.counted(cells.stack(cell=("steps", "layer"))),
            measure=self.effect,
            beside=None if beside is None else Heatmap(title=f"{title}, {control}", **_numbers(beside)),
            beside_name=control,
        )

    def _control(
        self, chosen: xarray.Dataset, cells: xarray.Dataset, place: Mapping[str, Any]
    ) -> tuple[str, xarray.Dataset | None]:
        """What the control, random or else the first there is, did in the same cells; its name in words."""
        from probes import effects
        from probes.patches import choose
        from probes.sweep_curves import shown_control

        name = shown_control(choose(chosen, direction=self.direction, **place))
        if name is None:
            return "", None
        try:
            found = effects.grid(chosen, self.effect, self.direction, name, **place)
        except SelectionError:
            # It was made, but nothing is known of it.
            return "", None
        counts = {"value": np.nan, "low": np.nan, "high": np.nan, "n": 0, "samples": 0}
        same = found[list(counts)].reindex(steps=cells["steps"], layer=cells["layer"], fill_value=counts)
        return f"control {name}", same

    def _marked(
        self, chosen: xarray.Dataset, cells: xarray.Dataset, place: Mapping[str, Any]
    ) -> tuple[NDArray[np.bool_] | None, str]:
        """Which cells do more or less than the control random, pair by pair; without it, than nothing."""
        from probes import effects
        from probes.patches import choose

        here = choose(chosen, direction=self.direction, **place)
        if CONTROL not in here["control"].values:
            return off_zero(cells["low"].values, cells["high"].values), "its interval does not hold 0"
        labels = ("first_step", "last_step", "layer")
        try:
            over = effects.over_control(here, self.effect, CONTROL, labels)
        except SelectionError:
            # Nothing is known of the control: there is nothing to hold the cells against.
            return None, ""
        apart = over.isel(cell=np.flatnonzero(off_zero(over["low"].values, over["high"].values)))
        found = set(zip(*(apart[name].values.tolist() for name in labels), strict=True))
        spans = zip(cells["first_step"].values.tolist(), cells["last_step"].values.tolist(), strict=True)
        layers = cells["layer"].values.tolist()
        marked = [[(*span, layer) in found for layer in layers] for span in spans]
        return np.array(marked), f"differs from the control {CONTROL}, pair by pair"


def _numbers(cells: xarray.Dataset) -> dict[str, Any]:
    """Labels and arrays of a grid of cells, as `Heatmap` takes them."""
    return {
        "columns": tuple(map(str, cells["steps"].values.tolist())),
        "rows": tuple(map(str, cells["layer"].values.tolist())),
        "values": cells["value"].values,
        "low": cells["low"].values,
        "high": cells["high"].values,
        "n": cells["n"].values,
        "samples": cells["samples"].values,
        "counted": ("patch", "patches"),
    }


def off_zero(low: Cells, high: Cells) -> NDArray[np.bool_]:
    """Where intervals do not hold 0; unknown ones are taken to."""
    return (low > 0) | (high < 0)
