"""What is told of a sweep, from results of which every number is known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr
from rich.text import Text

from cosinterp.cli.sweep_report import SweepReport
from tests.unit.probes.patched import full_grid


def swept(value: Any, errors: Any = lambda row: "") -> xr.Dataset:
    """A grid of one effect, x0_along, with the columns that a sweep adds."""
    made = full_grid("x0_along", value, pairs=2, steps=range(2), layers=range(2))
    count = made.sizes["patch"]
    made["error"] = ("patch", np.array([errors(made.isel(patch=index)) for index in range(count)]))
    made["blocks"] = ("patch", np.ones(count, dtype=np.int64))
    return made


def titles(report: SweepReport) -> list[str]:
    return [str(one) for one in report.tables() if isinstance(one, Text)]


def test_a_direction_of_which_nothing_is_known_leaves_the_other() -> None:
    failed = swept(
        lambda pair, step, layer, way, control: math.nan if way == "necessity" else layer + pair,
        lambda row: "not finite" if str(row["direction"].values) == "necessity" else "",
    )
    report = SweepReport(failed, "x0_along", "patch.nc")
    assert titles(report) == [
        "sufficiency: x0_along, resid, all tokens, cond",
        "sufficiency: strongest cells beside their controls",
        "necessity: x0_along is not known of any patch",
    ]
    assert "16 failed: not finite" in report.remarks()
    assert len(report.as_data()["cells"]) == 2 * 2 * 2 * 2
