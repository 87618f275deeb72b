"""A sweep that is spread over workers has the rows of one process, and only the driver writes them down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import xarray
from typer.testing import CliRunner

import cosinterp as ci
from cosinterp.cli import app
from cosinterp.errors import UserError
from cosinterp.executors import local
from cosinterp.executors.failures import TasksFailed
from cosinterp.executors.sweeps import parts_of, rows_spread
from cosinterp.interventions.intervention import Intervention, RunRef, Zero
from cosinterp.patching.grid import Grid
from cosinterp.patching.own_measures import load_measure
from cosinterp.patching.pairs import find_pairs
from cosinterp.patching.patch import Study, patch_study
from cosinterp.patching.running import run_study
from cosinterp.patching.sweep import Row, SweepOptions
from cosinterp.patching.trial import Trial
from probes.results.files import open_result, provenance_of
from stores import Store
from tests.integration.executing import Inline
from tests.integration.sweeping import PROMPTS
from tests.tiny import sample_for

KIND = "wan2.1-t2v"


@pytest.fixture(scope="module")
def prepared(tiny_folder: Callable[[str], Path]) -> Any:
    torch.set_num_threads(1)
    return ci.prepare(tiny_folder(KIND), device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def store(prepared: Any, tmp_path_factory: pytest.TempPathFactory) -> Store:
    path = tmp_path_factory.mktemp("sweeps") / "store"
    samples = [replace(sample_for(KIND, prompt=text), name=name) for name, text in PROMPTS.items()]
    return ci.trace(
        prepared,
        samples,
        store=path,
        seeds=[3, 4],
        num_steps=2,
        layers="1",
        save_video=False,
        guidance_scale=3.0,
    )


@pytest.fixture(scope="module")
def study(prepared: Any, store: Store) -> Study:
    pairs = find_pairs(store, store, recipient="blue", donor="red")
    return patch_study(prepared.model, store, store, pairs, Grid("0-1", "1", ["resid"]), controls="all")


class Rows:
    """Takes in what a sweep says of its progress."""

    def __init__(self) -> None:
        self.total = self.done = 0
        self.rows: list[Row] = []

    def planned(self, total: int, done: int) -> None:
        self.total, self.done = total, done

    def row(self, row: Row) -> None:
        self.rows.append(row)


def spread(
    executor: Inline, prepared: Any, study: Study, options: SweepOptions, store: Store, name: str, **more: Any
) -> xarray.Dataset:
    make_rows = partial(rows_spread, executor, prepared.for_workers())
    return run_study(prepared.model, study, options, store=store.path, name=name, make_rows=make_rows, **more)


def same_result(first: Any, second: Any) -> None:
    """All is the same but when it was made, and how often workers had to know the same."""
    results = [open_result(Path(one.attrs["result"])) for one in (first, second)]
    told = [provenance_of(result) for result in results]
    for provenance in told:
        del provenance["created"]
    assert told[0] == told[1]
    for result in results:
        result.attrs.clear()
    xarray.testing.assert_identical(*results)


@pytest.mark.parametrize("batch", [1, 3])
def test_rows_are_those_of_one_process_whatever_happens_to_workers(
    prepared: Any, study: Study, store: Store, batch: int
) -> None:
    options = SweepOptions(horizon=0, rows=batch, videos=False)
    expected = run_study(prepared.load(), study, options, store=store.path, name=f"one-{batch}")
    # Four parts: of each of two pairs the patches of each step.
    dying, failing = "blue seed 3 and red seed 3, step 1", "blue seed 4 and red seed 4, step 0"
    executor = Inline(dies_after={dying: 3}, goes_wrong={failing: UserError("the disk is gone")})
    progress = Rows()
    with pytest.raises(TasksFailed, match=f"{failing}: the disk is gone") as raised:
        spread(executor, prepared, study, options, store, f"many-{batch}", progress=progress)
    assert raised.value.exit_code == 2
    assert executor.dies_after == {}
    assert len(progress.rows) == progress.total - len(study.trials) // 4
    last = Rows()
    made = spread(Inline(), prepared, study, options, store, f"many-{batch}", resume=True, progress=last)
    assert (last.done, len(last.rows)) == (len(progress.rows), last.total - len(progress.rows))
    same_result(made, expected)
    assert made.blocks_of_anchors >= expected.blocks_of_anchors


def test_the_command_spreads_over_devices(
    prepared: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Inline()
    monkeypatch.setattr(local, "LocalExecutor", lambda devices, say: executor)
    words = ["ablate", store.path, "--samples", "blue", "--seeds", "3", "--steps", "0", "--layers", "1-2"]
    flags = ["--kind", "zero", "--no-videos", "--device", "cpu,cpu", "--name", "spread", "--json"]
    result = CliRunner().invoke(app, [str(word) for word in (*words, *flags)])
    assert result.exit_code == 0, result.output
    assert executor.opened == 1
    assert (store.path / "results" / "spread.nc").exists()


def trials(runs: Sequence[str], steps: Sequence[int]) -> list[Trial]:
    refs = [RunRef(store="s", sample=run, seed=0) for run in runs]
    ablated = [Intervention(layers=(1,), steps=(step,), what=Zero()) for step in steps]
    return [Trial(ref, ref, (one,)) for ref in refs for one in ablated]


@pytest.mark.parametrize(
    ("runs", "steps", "at_least", "expected"),
    [
        # One a run, where there are enough runs.
        ("abcd", range(6), 4, ["0-5"] * 4),
        ("ab", range(6), 4, ["0-2", "3-5"] * 2),
        ("a", range(5), 4, ["0-1", "2-3", "4"]),
        # No step is split.
        ("a", [2], 4, ["2"]),
    ],
)
def test_a_sweep_is_dealt_out_by_runs_and_then_by_steps(
    runs: str, steps: Sequence[int], at_least: int, expected: list[str]
) -> None:
    made = trials(runs, steps)
    parts = parts_of(made, set(range(len(made))), at_least)
    assert [part.name.rpartition(" ")[2] for part in parts] == expected
    assert sorted(number for part in parts for number in part.numbers) == list(range(len(made)))


def test_only_what_is_lacking_is_dealt_out() -> None:
    made = trials("ab", range(3))
    assert [sorted(part.numbers) for part in parts_of(made, {1, 5}, 1)] == [[1], [5]]
    assert parts_of(made, set(), 4) == []


def test_a_measure_of_the_users_own_travels_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pickle

    (tmp_path / "own_measure_that_travels.py").write_text("def half(video, recipient, donor): return 0.5\n")
    monkeypatch.chdir(tmp_path)
    measure = pickle.loads(pickle.dumps(load_measure("own_measure_that_travels:half")))
    assert measure.name == "own_measure_that_travels:half"
