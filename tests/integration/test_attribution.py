"""Attribution on the bundled model: it ranks patches nearly as patching does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import cosinterp as ci
from cosinterp.attribution import attribution_rows, attributions, rank_correlation, strongest
from cosinterp.models.model import Model
from cosinterp.organism.dataset import write_mazes
from cosinterp.patching.grid import Grid
from cosinterp.patching.pairs import find_pairs
from cosinterp.patching.sweep import Sweep, SweepOptions


@pytest.fixture(scope="module")
def model() -> Model:
    return ci.load("maze-wan", device="cpu")


def test_the_first_step_of_a_maze(model: Model, tmp_path: Path) -> None:
    """From the red goal to the blue one, where first-order estimates are too low, and in the right order."""
    write_mazes(tmp_path / "mazes", count=1, goals="both")
    samples = ci.load_dataset(tmp_path / "mazes")
    store = ci.trace(
        model,
        samples,
        store=tmp_path / "store",
        seeds="0",
        layers="0",
        reduce="mean",
        num_steps=2,
        save_video=False,
    )
    pairs = find_pairs(store, store, donor="maze-7x7-red-*", recipient="maze-7x7-blue-*")
    grid = Grid("0", "all", tokens=["all", "blue_goal"])
    made = list(attribution_rows(model, pairs, grid, points=0))
    sweep = Sweep(model, [trial for trial, _ in made], SweepOptions(horizon=0, videos=False))
    rows = [row for _, row in sweep.rows()]
    patched = xr.Dataset({name: ("patch", [row[name] for row in rows]) for name in rows[0]})
    found = attributions(made)
    assert set(found.error.values) == {""}
    assert float(rank_correlation(found, patched).attribution.squeeze()) > 0.75
    whole = patched.isel(patch=patched.tokens.values == "all").x0_along
    (best,) = strongest(made, 1)
    assert best.labels["layer"] == model.num_layers
    assert best.labels["tokens"] == "all"
    assert float(whole.max()) == pytest.approx(1, abs=1e-3)
    assert float(np.abs(found.attribution).max()) < 1
