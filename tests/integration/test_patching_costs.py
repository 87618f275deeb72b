"""Where a sweep takes activations and trajectories from, and how many blocks it evaluates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosinterp.interventions.intervention import (
    Replace,
)
from cosinterp.patching.grid import Grid
from tests.integration.sweeping import (
    DOUBLED,
    JOINED,
    NUM_STEPS,
    WAN,
    Bench,
    bench_of,
    cells,
    check_nothing_happened,
    swept,
)


def test_donors_read_from_a_store_are_those_that_are_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the store has some of what is asked for: a layer of a site, a site, a branch."""
    own = bench_of(WAN, tmp_path / "store", layers="1,3", save_steps="0-1", branches="cond")
    trials = [
        own.trial(own.replacing("red", site=site, layers=layers, steps=(step,), branches=branches))
        for site, layers, step, branches in (
            ("resid", (1,), 1, ("cond",)),
            ("resid", (2,), 1, ("cond",)),
            ("resid", (1, 3), 0, ("cond",)),
            ("resid", (1,), 0, None),
            ("resid", (1,), 2, ("cond",)),
            ("mlp", (1,), 1, ("cond",)),
            ("resid", (3,), 1, ("cond",)),
        )
    ]
    by_way = {
        way: [one.clean for one in swept(own, trials, monkeypatch, horizon=0, donors=way).outcomes]
        for way in ("auto", "replay")
    }
    for auto, replayed in zip(*by_way.values(), strict=True):
        assert np.array_equal(auto, replayed)
    stored = [trials[index] for index in (0, 2, 6)]
    for index, read in zip(
        (0, 2, 6), swept(own, stored, monkeypatch, horizon=0, donors="store").outcomes, strict=True
    ):
        assert np.array_equal(read.clean, by_way["replay"][index])


@pytest.mark.parametrize("rows", [1, 2])
def test_a_store_of_another_machine_is_played_here(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its numbers may differ by rounding: they are not compared with those of here."""
    own = bench_of(WAN, tmp_path / "store", layers="1-2", save_steps="all")
    elsewhere(own, monkeypatch)
    trials = cells(own, steps="0-1", layers="1-2", window=2)
    trials += cells(own, steps="1", layers="2", sites="mlp")
    found = swept(own, trials, rows=rows)
    check_nothing_happened(found.rows, None)
    whole = NUM_STEPS * own.num_layers * len(own.branches) * rows
    # The run and the donor that it is compared with, from noise.
    assert found.blocks_of_anchors >= 2 * whole


def elsewhere(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a store's runs say that they were made on another machine, and be so: a little off."""
    from stores.reader import Run

    made, latent = Run.__init__, Run._latent

    def opened(run: Any, path: Path) -> None:
        made(run, path)
        run.attrs["device"] = "cpu (elsewhere)"

    monkeypatch.setattr(Run, "__init__", opened)
    monkeypatch.setattr(Run, "_latent", lambda *args: latent(*args) * np.float32(1 + 1e-6))


def test_a_store_whose_numbers_are_not_made_again_is_played_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with another number of threads, which no attribute tells."""
    from stores.reader import Run

    own = bench_of(WAN, tmp_path / "store", layers="1-2", save_steps="all")
    latent, read = Run._latent, Run.read
    monkeypatch.setattr(Run, "_latent", lambda *args: latent(*args) * np.float32(1 + 1e-6))
    monkeypatch.setattr(Run, "read", lambda *args, **kwargs: read(*args, **kwargs) * np.float32(1 + 1e-6))
    trials = cells(own, steps="0-1", layers="1-2", window=2) + cells(own, steps="1", layers="1", sites="mlp")
    found = swept(own, trials)
    check_nothing_happened(found.rows, None)


@contextmanager
def counted(bench: Bench) -> Iterator[list[int]]:
    """Rows that a module inside each block is called with."""
    rows: list[int] = []
    hook = bench.row.hooks["self_attn.raw"]
    handles = [
        block.get_submodule(hook.module).register_forward_hook(
            lambda _, __, output: rows.append(hook.take(output).shape[0])
        )
        for expert in bench.row.experts
        for path in hook.blocks
        for block in getattr(bench.model.pipeline, expert).get_submodule(path)
    ]
    try:
        yield rows
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("horizon", [None, 0, 1])
@pytest.mark.parametrize("name", [WAN, DOUBLED, JOINED])
def test_block_evaluations_are_those_that_are_made(
    name: str, horizon: int | None, rows: int, bench_named: Callable[[str], Bench]
) -> None:
    own = bench_named(name)
    grid = Grid(steps="1-2", branches=("all", "cond")).cells(own.model.anatomy, own.settings("blue"))
    trials = [own.trial(cell.intervention(Replace(donor=own.ref("red")))) for cell in grid]
    with counted(own) as made:
        found = swept(own, trials, rows=rows, horizon=horizon)
    assert found.blocks == sum(made)


@pytest.mark.parametrize("horizon", [None, 0])
def test_a_grid_of_steps_and_layers_costs_what_arithmetic_says(
    horizon: int | None, bench_named: Callable[[str], Bench]
) -> None:
    """A patch after layer k runs the other blocks of its step, then all of each later one."""
    own = bench_named(WAN)
    layers, branches = own.num_layers, len(own.branches)
    grid = Grid().cells(own.model.anatomy, own.settings("blue"))
    trials = [own.trial(cell.intervention(Replace(donor=own.ref("red"))), **cell.labels) for cell in grid]
    # What a player has not seen yet of a denoiser's output is computed once.
    swept(own, trials[:1], horizon=horizon)
    found = swept(own, trials, horizon=horizon)
    first_answers = {}
    for row in found.rows:
        later = NUM_STEPS - 1 - int(row["steps"]) if horizon is None else 0
        first_answers[row["steps"], row["layer"]] = row["blocks"] - branches * (
            layers - row["layer"] + later * layers
        )
    assert set(first_answers.values()) == {0}
    # The unchanged run and the donor, a step at a time; one more call tells the form of what is answered.
    steps = 2 * NUM_STEPS * layers * branches
    assert steps <= found.blocks_of_anchors <= steps + 2 * layers
