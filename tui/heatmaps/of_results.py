"""What results have on steps and layers.

A result of any kind gives a map for each of its numbers whose axes are a step and a layer, whatever it is
called; `NAME_low`, `NAME_high`, `NAME_n` and `NAME_samples` beside it are its interval and counts, as in all
results. Patches lie on an axis of their own, and are laid out in `of_patches`; similarity has a second step
or layer, of which the last is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stores.errors import StoreError
from tui.heatmaps.heatmap import Cells, Heatmap
from tui.heatmaps.of_patches import maps_of_patches, off_zero
from tui.heatmaps.result_map import ResultMap

if TYPE_CHECKING:
    import xarray

AXES = ("step", "layer")
PATCH = "patch"
ALPHA = 0.05
_PARTS = ("_low", "_high", "_n", "_samples", "_method")
_OF_PROBES = {"n", "samples", "unit", "outer", "level", "method", "seed", "draws"}
_ABOUT_ZERO = ("selectivity", "above")


def maps_of(path: Path, sample: str, seed: int, variant: str) -> list[ResultMap]:
    """The maps of the result in a file, the main one first; of a run's own numbers, those of this run.

    Raises:
        UserError: the file cannot be read, or lacks what results of its kind have.
    """
    # Imported here as it brings xarray, which the first picture should not wait for.
    from probes.results.files import open_result

    dataset = open_result(path)
    with complete(path):
        return list(maps_in(_of_this_run(dataset, sample, seed, variant)))


def maps_in(dataset: xarray.Dataset) -> Iterator[ResultMap]:
    """The maps of a result, the main one first, but for what has an axis of runs.

    Raises:
        LookupError: it lacks what results of its kind have.
    """
    if PATCH in dataset.dims:
        yield from maps_of_patches(dataset)
    elif "measure" in dataset.attrs and str(dataset.attrs["measure"]) in dataset:
        yield from [_of_similarity(dataset)] if _reduced_to_last(dataset) is not None else []
    else:
        yield from maps_of_probe(dataset)
        yield from _of_variables(dataset)


@contextmanager
def complete(path: Path | str) -> Iterator[None]:
    """A result of another version, or of somebody else's making, may lack what is looked for in it.

    Raises:
        StoreError: it does.
    """
    try:
        yield
    except (LookupError, AttributeError, TypeError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise StoreError(f"{path}: lacks what results of its kind have ({reason})") from error


def _of_similarity(dataset: xarray.Dataset) -> ResultMap:
    from probes.similarity.words import counts_text, measure_of, measure_text, place_text

    def make() -> Heatmap:
        name = measure_of(dataset)
        last = _reduced_to_last(dataset)
        assert last is not None
        cut, to = last
        return Heatmap(
            title=f"{measure_text(dataset)} {to} ({place_text(dataset)})",
            **_laid_out(cut, name, "low", "high"),
            note=counts_text(dataset),
        )

    return ResultMap(str(dataset.attrs["measure"]), make)


def _reduced_to_last(dataset: xarray.Dataset) -> tuple[xarray.Dataset, str] | None:
    """A similarity with its second step and layer at their last, and what it then is in words."""
    from probes.similarity.words import compared_text, is_square

    kept = dataset
    if is_square(dataset):
        last = {dim: dataset[dim].values[-1] for dim in ("other_step", "other_layer") if dim in dataset.dims}
        kept = dataset.sel(last)
        told = " and ".join(f"{dim.removeprefix('other_')} {label}" for dim, label in last.items())
        to = f"with {told}"
    else:
        to = compared_text(dataset)
    return (kept, to) if set(kept[str(dataset.attrs["measure"])].dims) == set(AXES) else None


def maps_of_probe(dataset: xarray.Dataset) -> Iterator[ResultMap]:
    """A probe's score, whose interval and test have names of their own."""
    if not {"score", "low", "high", "p", "metric"} <= {*dataset.variables, *dataset.attrs}:
        return
    if set(dataset["score"].dims) != set(AXES):
        return
    from probes.kinds.probe import how, metric_name, what_was_probed

    def make() -> Heatmap:
        p = dataset["p"].transpose(*AXES).values
        shape = p.shape
        return Heatmap(
            title=f"{metric_name(dataset)}: {what_was_probed(dataset)}",
            **_laid_out(dataset, "score", "low", "high"),
            n=np.full(shape, int(dataset.attrs["n"])),
            samples=np.full(shape, int(dataset.attrs["samples"])),
            counted=(unit := str(dataset.attrs["unit"]), f"{unit}s"),
            marked=p < ALPHA if np.isfinite(p).any() else None,
            mark=f"family-wise p < {ALPHA}",
            note=how(dataset),
            measure=metric_name(dataset),
        )

    yield ResultMap("score", make)


def _of_this_run(dataset: xarray.Dataset, sample: str, seed: int, variant: str) -> xarray.Dataset:
    """Without the axis of runs: this run's entry of it, or, where there is none, without what has it."""
    if "run" not in dataset.dims:
        return dataset
    here = np.ones(dataset.sizes["run"], bool)
    for name, wanted in (("sample", sample), ("seed", seed), ("variant", variant)):
        if name in dataset.variables and dataset[name].dims == ("run",):
            here &= dataset[name].values == wanted
    found = np.flatnonzero(here)
    return dataset.isel(run=int(found[0])) if len(found) == 1 else dataset.drop_dims("run")


def _of_variables(dataset: xarray.Dataset) -> Iterator[ResultMap]:
    names = [str(name) for name in dataset.data_vars]
    for name in names:
        variable = dataset[name]
        others = [str(dim) for dim in variable.dims if dim not in AXES]
        if not set(AXES) <= set(variable.dims) or variable.dtype.kind not in "fiu" or len(others) > 1:
            continue
        if not np.isfinite(variable.values).any():
            # What was not asked for, as the code lengths of a probe, is there and not known.
            continue
        if name in ("low", "high") or (name == "score" and "low" in names) or name.endswith(_PARTS):
            continue
        # Of one more axis, such as the baselines of a probe, there is a map an entry where it has names.
        if not others:
            yield ResultMap(name, _Variable(dataset, name))
        elif others[0] in dataset.coords and dataset[others[0]].dtype.kind == "U":
            for label in dataset[others[0]].values.tolist():
                yield ResultMap(f"{name}, {label}", _Variable(dataset.sel({others[0]: label}), name, label))


@dataclass(frozen=True)
class _Variable:
    """Makes the map of one variable; ``of`` names its entry along one more axis."""

    dataset: xarray.Dataset
    name: str
    of: str = ""

    def __call__(self) -> Heatmap:
        dataset, name = self.dataset, self.name
        stem = name.removesuffix("_mean")
        laid_out = _laid_out(dataset, name, *self._ends())
        is_about_zero = name.startswith(_ABOUT_ZERO)
        marked = None
        if is_about_zero and "low" in laid_out:
            marked = off_zero(laid_out["low"], laid_out["high"])
        return Heatmap(
            title=self._title(),
            **laid_out,
            n=_part(dataset, f"{stem}_n"),
            samples=_part(dataset, f"{stem}_samples"),
            marked=marked,
            mark="its interval does not hold 0",
            centre=0.0 if is_about_zero else None,
            note=self._note(),
            measure=self._title(),
        )

    def _note(self) -> str:
        """Of how much it is, with which intervals and which seed, where the result says so."""
        told, attrs = self.dataset[self.name].attrs, self.dataset.attrs
        if isinstance(told.get("estimate"), str):
            return told["estimate"]
        if set(attrs) >= _OF_PROBES:
            from probes.kinds.probe import how

            return how(self.dataset)
        if "level" in told and "seed" in told:
            return f"{float(told['level']):.0%} intervals; seed {int(told['seed'])}"
        return ""

    def _ends(self) -> tuple[str, str]:
        """The names of its interval, which is that of the mean where there is a mean beside it."""
        stem = self.name.removesuffix("_mean")
        of_mean = stem == self.name and f"{stem}_mean" in self.dataset
        return ("", "") if of_mean else (f"{stem}_low", f"{stem}_high")

    def _title(self) -> str:
        return f"{self._words()}, {self.of}" if self.of else self._words()

    def _words(self) -> str:
        stem = self.name.removesuffix("_mean")
        if stem != self.name and stem in self.dataset:
            return f"{self.dataset[stem].attrs.get('long_name') or stem}, mean over runs"
        return str(self.dataset[self.name].attrs.get("long_name") or self.name.replace("_", " "))


def _laid_out(dataset: xarray.Dataset, name: str, low: str, high: str) -> dict[str, Any]:
    """Labels, values and interval as `Heatmap` takes them."""
    made: dict[str, Any] = {
        "columns": tuple(map(str, dataset["step"].values.tolist())),
        "rows": tuple(map(str, dataset["layer"].values.tolist())),
        "values": _array(dataset, name),
    }
    if {low, high} <= set(map(str, dataset.data_vars)):
        made |= {"low": _array(dataset, low), "high": _array(dataset, high)}
    return made


def _array(dataset: xarray.Dataset, name: str) -> Cells:
    return dataset[name].transpose(*AXES).values.astype(np.float64)


def _part(dataset: xarray.Dataset, name: str) -> NDArray[np.int64] | None:
    if name not in dataset or set(dataset[name].dims) != set(AXES):
        return None
    return dataset[name].transpose(*AXES).values.astype(np.int64)
