"""The kind "probe": what can be read off activations by a linear probe, by step and layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from probes.kinds import Kind
from stores.selection import compact
from stores.units import count_text

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

ALPHA = 0.05
METRICS = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy", "roc_auc": "ROC AUC", "r2": "R²"}
NO_ROOM = "p-values of {least:.3g} at best: at least {enough} permutations are needed to fall below {alpha}"


def summary(dataset: xarray.Dataset) -> list[str]:
    """What was probed; where it is decodable, above what, and how selectively; and the best cell."""
    lines = [what_was_probed(dataset), *_decodable(dataset), *_best(dataset)]
    if "above" in dataset:
        lines += _above(dataset)
    lines.append(how(dataset))
    return lines + [f"note: {note}" for note in dataset.attrs["notes"].splitlines()]


def table(dataset: xarray.Dataset) -> pandas.DataFrame:
    """A row a cell: ``step``, ``layer``, ``metric``, ``value``, ``low``, ``high``, ``n``, ``samples``,
    the other scores, control, selectivity, p, q, code, and each baseline with what is above it."""
    import pandas as pd

    columns = {"value": dataset["score"], "low": dataset["low"], "high": dataset["high"]}
    skipped = {"score", "low", "high"}
    plain = {
        str(name): one
        for name, one in dataset.data_vars.items()
        if one.dims == ("step", "layer") and name not in skipped
    }
    columns |= plain | {"strength": dataset["strength"].median("fold")}
    for baseline in dataset["baseline"].values.tolist() if "baseline" in dataset.coords else ():
        here = dataset.sel(baseline=baseline)
        columns |= {
            f"baseline_{baseline}{end}": here[f"baseline_score{end}"] for end in ("", "_low", "_high")
        }
        columns |= {f"above_{baseline}{end}": here[f"above{end}"] for end in ("", "_low", "_high")}
    steps, layers = np.meshgrid(dataset["step"].values, dataset["layer"].values, indexing="ij")
    made = pd.DataFrame({"step": steps.reshape(-1), "layer": layers.reshape(-1)})
    made["metric"] = dataset.attrs["metric"]
    for name, one in columns.items():
        made[name] = one.transpose("step", "layer").values.reshape(-1)
        if name == "high":
            made["n"], made["samples"] = int(dataset.attrs["n"]), int(dataset.attrs["samples"])
    return made


def figures(dataset: xarray.Dataset) -> Mapping[str, Callable[[], Figure]]:
    """The score by step and layer, its curves beside the baselines, selectivity, and compression."""
    # Drawing libraries load slowly, and a summary needs none.
    from probes.probing import plots

    found: dict[str, Callable[[], Figure]] = {"score": partial(plots.score_map, dataset)}
    found["by-layer"] = partial(plots.curves, dataset, "layer")
    found["by-step"] = partial(plots.curves, dataset, "step")
    if np.isfinite(dataset["selectivity"].values).any():
        found["selectivity"] = partial(plots.selectivity_map, dataset)
    if np.isfinite(dataset["compression_over_prior"].values).any():
        found["compression"] = partial(plots.compression_map, dataset)
    return found


def metric_name(dataset: xarray.Dataset) -> str:
    """The main score in words."""
    return METRICS.get(dataset.attrs["metric"], str(dataset.attrs["metric"]))


def what_was_probed(dataset: xarray.Dataset) -> str:
    """Target, rows, site and score, in a sentence."""
    told = dataset.attrs
    target = f"target {told['target']}" + (f" among {told['among']}" if told["among"] else "")
    if "share" in dataset:
        shares = zip(dataset["class"].values.tolist(), dataset["share"].values.tolist(), strict=True)
        target += " (" + ", ".join(f"{name} {share:.1%}" for name, share in shares) + ")"
    rows = (
        count_text(int(told["runs"]), "run")
        if told["unit"] == "run"
        else f"{int(told['rows']):,} {told['unit']}s of {count_text(int(told['runs']), 'run')}"
    )
    model = "logistic" if told["model"] == "logistic" else "ridge"
    parts = f" on {told['components']} principal components" if told["components"] else ""
    return (
        f"{target}: {rows} of {count_text(int(told['samples']), 'sample')}; site {told['site']}, branch "
        f"{told['branch']}; {model} probe{parts}; {metric_name(dataset)}, chance {told['chance']:.2f}"
    )


def how(dataset: xarray.Dataset) -> str:
    """How scores and intervals were made, and from which seed."""
    told = dataset.attrs
    drawn = f", {told['draws']} draws" if "bootstrap" in told["method"] else ""
    return (
        f"{_counted(dataset)}, {told['outer']} folds by sample; {told['level']:.0%} interval: "
        f"{told['method']}; seed {told['seed']}{drawn}"
    )


def what_was_coded(dataset: xarray.Dataset) -> str:
    """What a code length is of; there is one, of one order of samples, so it has no interval."""
    return f"{_counted(dataset)}, sent in an order drawn by seed {dataset.attrs['seed']}; no interval"


def cells_text(found: NDArray[np.bool_], steps: Sequence[int], layers: Sequence[int]) -> str:
    """Which (step, layer) these are, steps with the same layers together: ``steps 0-3: layers 4-8``."""
    of_layers: dict[str, list[int]] = {}
    for step, row in zip(steps, found, strict=True):
        here = [layer for layer, one in zip(layers, row, strict=True) if one]
        if here:
            of_layers.setdefault(compact(here), []).append(step)
    return "; ".join(
        f"step{'s' if len(at) > 1 else ''} {compact(at)}: layer{'' if text.isdigit() else 's'} {text}"
        for text, at in of_layers.items()
    )


def best_cell(dataset: xarray.Dataset) -> tuple[int, int]:
    """The (step, layer) of the highest score."""
    row, column = np.unravel_index(int(np.nanargmax(dataset["score"].values)), dataset["score"].shape)
    return int(dataset["step"].values[row]), int(dataset["layer"].values[column])


def interval(here: xarray.Dataset, name: str, low: str, high: str) -> str:
    """A number with its interval, or a word where there is none."""
    value, ends = float(here[name]), (float(here[low]), float(here[high]))
    known = np.isfinite(ends).all()
    return f"{value:.3f} " + (f"[{ends[0]:.3f}, {ends[1]:.3f}]" if known else "(no interval)")


def _counted(dataset: xarray.Dataset) -> str:
    told = dataset.attrs
    return f"n = {int(told['n']):,} {told['unit']}s of {count_text(int(told['samples']), 'sample')}"


def _decodable(dataset: xarray.Dataset) -> list[str]:
    permutations, p = int(dataset.attrs["permutations"]), dataset["p"].values
    if not np.isfinite(p).all():
        return ["not tested: no permutations were asked for"]
    how_tested = f"family-wise p < {ALPHA}, max-statistic of {permutations} permutations by sample"
    least = 1 / (1 + permutations)
    if least >= ALPHA:
        return ["not decided: " + NO_ROOM.format(least=least, enough=int(1 / ALPHA), alpha=ALPHA)]
    found = p < ALPHA
    steps, layers = dataset["step"].values.tolist(), dataset["layer"].values.tolist()
    explored = int((dataset["q"].values < ALPHA).sum())
    exploring = f"Benjamini-Hochberg q < {ALPHA}, for exploring, at {explored}"
    if not found.any():
        cells = count_text(found.size, "cell")
        return [f"decodable at none of {cells} ({how_tested}; least p {p.min():.3f}); {exploring}"]
    first = int(np.flatnonzero(found.any(axis=1))[0])
    layer = layers[int(np.flatnonzero(found[first])[0])]
    where = f"first at step {steps[first]}, layer {layer}"
    line = (
        f"decodable at {found.sum()} of {count_text(found.size, 'cell')} ({how_tested}; {exploring}): {where}"
    )
    return [line] if found.all() else [line, f"decodable at {cells_text(found, steps, layers)}"]


def _best(dataset: xarray.Dataset) -> list[str]:
    step, layer = best_cell(dataset)
    here = dataset.sel(step=step, layer=layer)
    p = float(here["p"])
    text = f"best at step {step}, layer {layer}: {interval(here, 'score', 'low', 'high')}"
    text += f", p = {p:.3g}" if np.isfinite(p) else ""
    if np.isfinite(float(here["selectivity"])):
        text += (
            f"; control task {interval(here, 'control', 'control_low', 'control_high')}, "
            f"selectivity {interval(here, 'selectivity', 'selectivity_low', 'selectivity_high')}"
        )
    if np.isfinite(float(here["compression"])):
        text += (
            f"; labels compressed {float(here['compression']):.2f} times, "
            f"{float(here['compression_over_prior']):.2f} times beyond {_without_features(dataset)} alone"
        )
    if dataset["score"].size > 1:
        text += f" (the best of {dataset['score'].size}, so somewhat flattered)"
    return [text]


def _without_features(dataset: xarray.Dataset) -> str:
    """What the code goes by that has no features."""
    return "their mean and variance" if dataset.attrs["kind"] == "number" else "class frequencies"


def _above(dataset: xarray.Dataset) -> list[str]:
    step, layer = best_cell(dataset)
    here = dataset.sel(step=step, layer=layer)
    ends = ("baseline_score", "baseline_score_low", "baseline_score_high")
    told = [
        f"{name} {interval(here.sel(baseline=name), *ends)}" for name in dataset["baseline"].values.tolist()
    ]
    lines = [f"baselines there: {', '.join(told)}"]
    above = dataset["above_low"].values > 0
    steps, layers = dataset["step"].values.tolist(), dataset["layer"].values.tolist()
    for name, cells in zip(dataset["baseline"].values.tolist(), above, strict=True):
        there = (
            "nowhere"
            if not cells.any()
            else "everywhere"
            if cells.all()
            else cells_text(cells, steps, layers)
        )
        lines.append(f"above {name} (interval of the difference above 0, each cell by itself): {there}")
    return lines


KIND = Kind("Linear probes by step and layer", summary, table, figures)
