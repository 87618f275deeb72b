"""A comparison of ensembles in the terminal: all approaches in a table, above what the result says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cosinterp.cli import analysis_options
from cosinterp.cli.console import out
from cosinterp.cli.plain import table
from probes.ensembles.comparing import SINGLE
from probes.ensembles.paired import GAIN, NO_GAIN, NOT_TOLD
from probes.estimated import estimate_at
from probes.groups import ALL

if TYPE_CHECKING:
    import xarray
    from rich.table import Table

    from probes.results.result import Result
    from probes.statistics import Estimate

_SHORT = {GAIN: "a gain", NO_GAIN: "no gain", NOT_TOLD: "not told apart"}


def report(
    result: Result, store: Path, name: str, *, force: bool, plot: Path | None, as_json: bool
) -> Result:
    """As `analysis_options.report`, with a table before the sentences."""
    if not as_json:
        out().print(approach_table(result.dataset))
    return analysis_options.report(result, store, name, force=force, plot=plot, as_json=as_json)


def approach_table(dataset: xarray.Dataset) -> Table:
    """Each approach: its value, its cost, what it gains over a single seed, and whether at equal cost."""
    label, samples = dataset.attrs["label"], dataset.sizes["sample"]
    level = estimate_at(dataset, "value", group=ALL, approach=SINGLE).level
    made = table(
        f"{label}, means over {samples} samples with {level:.0%} intervals; cost in evaluations",
        *("", label, "cost", f"from {SINGLE}", "at equal cost"),
    )
    for column in made.columns:
        column.no_wrap = True
    verdicts = dict(zip(dataset["variant"].values.tolist(), dataset["verdict"].values.tolist(), strict=True))
    for approach in dataset["approach"].values.tolist():
        value = estimate_at(dataset, "value", group=ALL, approach=approach)
        change = estimate_at(dataset, "difference", group=ALL, approach=approach)
        made.add_row(
            approach,
            _told(value),
            f"{float(dataset['cost'].sel(approach=approach)):g}",
            "" if approach == SINGLE else _told(change, "+"),
            _SHORT[verdicts[approach]] if approach in verdicts else "",
        )
    return made


def _told(one: Estimate, sign: str = "") -> str:
    return f"{one.value:{sign}.2f} [{one.low:{sign}.2f}, {one.high:{sign}.2f}]"
