"""A sweep that is stopped, wherever that is, goes on as if it had not been."""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import xarray

import cosinterp as ci
from cosinterp.errors import UserError
from cosinterp.patching.patch import patch
from cosinterp.patching.sweep import Row
from probes.results.files import open_result, provenance_of
from stores import Store, open_store
from tests.integration.sweeping import PROMPTS
from tests.tiny import sample_for

KIND = "wan2.1-t2v"
ASKED: dict[str, Any] = {
    "donor": "red",
    "recipient": "blue",
    "sites": ["resid", "mlp"],
    "layers": "2",
    "steps": "0-1",
    "tokens": ["all", "frames:0"],
    "controls": "all",
    "horizon": 0,
    "videos": False,
}


@pytest.fixture(scope="module")
def model(tiny_folder: Callable[[str], Path]) -> Any:
    return ci.load(tiny_folder(KIND), device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def store(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Store:
    samples = [_sample(name) for name in PROMPTS]
    path = tmp_path_factory.mktemp("stopped") / "store"
    return ci.trace(
        model,
        samples,
        store=path,
        seeds=[3, 4],
        num_steps=2,
        guidance_scale=3.0,
        layers="1",
        save_video=False,
    )


def _sample(name: str) -> Any:
    return replace(sample_for(KIND, prompt=PROMPTS[name]), name=name)


@dataclass
class Watching:
    """Notes what a sweep says of its progress, and stops it after so many rows."""

    stop_after: int | None = None
    how: Callable[[], None] = lambda: None
    total: int = 0
    done: int = 0
    rows: list[Row] = field(default_factory=list)

    def planned(self, total: int, done: int) -> None:
        self.total, self.done = total, done

    def row(self, row: Row) -> None:
        self.rows.append(row)
        if len(self.rows) == self.stop_after:
            self.how()


def interrupt() -> None:
    raise KeyboardInterrupt


def same_result(first: Path, second: Path) -> None:
    """All is the same but when it was made, and how often anchors were."""
    results: list[xarray.Dataset] = [open_result(path) for path in (first, second)]
    told = [provenance_of(result) for result in results]
    for provenance in told:
        del provenance["created"]
    assert told[0] == told[1]
    for result in results:
        result.attrs.clear()
    xarray.testing.assert_identical(*results)


@pytest.fixture(scope="module", params=[1, 3], ids=lambda batch: f"batch {batch}")
def whole(request: pytest.FixtureRequest, model: Any, store: Store) -> tuple[int, Path, xarray.Dataset]:
    """An uninterrupted sweep: its batch, its file."""
    batch = request.param
    made = patch(model, store, **ASKED, batch=batch, name=f"whole-{batch}")
    return batch, Path(made.attrs["result"]), made


def test_an_interrupted_sweep_goes_on_as_if_it_had_not_been(
    whole: tuple[int, Path, xarray.Dataset], model: Any, store: Store
) -> None:
    batch, expected, made = whole
    count = made.sizes["patch"]
    # Stopped twice, somewhere.
    first, second = sorted(random.Random(batch).sample(range(1, count), 2))
    name = f"stopped-{batch}"
    log = store.path / "results" / f"{name}.rows.jsonl"
    how: dict[str, Any] = {**ASKED, "batch": batch, "name": name}
    with pytest.raises(KeyboardInterrupt):
        patch(model, store, **how, progress=Watching(first, interrupt))
    assert len(log.read_text().splitlines()) == first + 1
    with pytest.raises(
        UserError, match="an earlier sweep stopped before its end; go on with it with --resume"
    ):
        patch(model, store, **how)
    watching = Watching(second - first, interrupt)
    with pytest.raises(KeyboardInterrupt):
        patch(model, store, **how, resume=True, progress=watching)
    assert (watching.total, watching.done) == (count, first)
    last = Watching()
    again = patch(model, store, **how, resume=True, progress=last)
    # What is missing, and nothing else.
    assert (last.done, len(last.rows)) == (second, count - second)
    assert not log.exists()
    same_result(Path(again.attrs["result"]), expected)
    assert again.blocks_of_anchors >= made.blocks_of_anchors


def killed_after(rows: int, sweep: Callable[[Watching], object]) -> int:
    """How a process of its own ends that sweeps, and is killed when it has made so many rows."""
    pid = os.fork()
    if pid == 0:
        try:
            sweep(Watching(rows, lambda: os.kill(os.getpid(), signal.SIGKILL)))
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("whole", [1], indirect=True)
def test_a_killed_sweep_goes_on_as_if_it_had_not_been(
    whole: tuple[int, Path, xarray.Dataset], model: Any, store: Store
) -> None:
    """Killed in its own process; the last line that it wrote is cut off besides."""
    rows = random.Random(7).randrange(5, 20)
    code = killed_after(rows, lambda stop: patch(model, store, **ASKED, name="killed", progress=stop))
    assert code == -signal.SIGKILL
    log = store.path / "results" / "killed.rows.jsonl"
    written = log.read_bytes()
    assert written.count(b"\n") == rows + 1
    log.write_bytes(written[:-40])
    watching = Watching()
    again = patch(model, store, **ASKED, name="killed", resume=True, progress=watching)
    assert watching.done == rows - 1
    same_result(Path(again.attrs["result"]), whole[1])


SHORT: dict[str, Any] = {**ASKED, "sites": "resid", "tokens": "all", "layers": "3", "controls": "none"}


@pytest.fixture
def stopped(model: Any, store: Store, tmp_path: Path) -> str:
    """The name of a sweep that was stopped."""
    name = tmp_path.name.replace("_", "-").strip("-")
    with pytest.raises(KeyboardInterrupt):
        patch(model, store, **SHORT, name=name, progress=Watching(1, interrupt))
    return name


@pytest.mark.parametrize(
    "other",
    [
        {"layers": "2"},
        {"steps": "1"},
        {"seeds": "3"},
        {"horizon": 1},
        {"videos": True},
        {"controls": "all"},
        {"directions": "necessity"},
        {"donors": "replay"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_sweep_does_not_go_on_with_it(
    other: dict[str, Any], stopped: str, model: Any, store: Store
) -> None:
    log = store.path / "results" / f"{stopped}.rows.jsonl"
    before = log.read_bytes()
    with pytest.raises(UserError, match="is of another sweep; give this one another --name, or remove"):
        patch(model, store, **{**SHORT, **other}, name=stopped, resume=True)
    assert log.read_bytes() == before


def test_a_result_is_not_made_again(model: Any, store: Store) -> None:
    patch(model, store, **SHORT, name="finished")
    file = store.path / "results" / "finished.nc"
    before = file.read_bytes()
    for resume in (False, True):
        with pytest.raises(UserError, match="finished.nc is there; give this sweep another --name"):
            patch(model, store, **SHORT, name="finished", resume=resume)
    assert file.read_bytes() == before


def test_there_need_be_nothing_to_go_on_with(model: Any, store: Store) -> None:
    watching = Watching()
    made = patch(model, store, **SHORT, name="new", resume=True, progress=watching)
    assert watching.done == 0
    assert len(watching.rows) == watching.total == made.sizes["patch"]


def test_each_row_is_on_the_disk_when_it_is_told_of(model: Any, store: Store) -> None:
    log = store.path / "results" / "told.rows.jsonl"
    seen: list[int] = []

    class Reading(Watching):
        def row(self, row: Row) -> None:
            super().row(row)
            lines = [json.loads(line) for line in log.read_text().splitlines()]
            assert lines[-1]["interventions"] == row["interventions"]
            seen.append(len(lines) - 1)

    patch(model, store, **SHORT, name="told", progress=Reading())
    assert seen == list(range(1, len(seen) + 1))


def test_a_result_says_what_was_done(model: Any, store: Store) -> None:
    made = patch(model, store, **SHORT, name="saying", command="cosinterp patch ...")
    found = open_result(store.path / "results" / "saying.nc")
    provenance = provenance_of(found)
    assert provenance["command"] == "cosinterp patch ..."
    assert provenance["asked"]["horizon"] == 0
    assert provenance["asked"]["grid"]["layers"] == "3"
    assert found.sizes["patch"] == made.sizes["patch"]
    told = json.loads(found.interventions.values[0])
    assert told[0]["what"]["kind"] == "replace"
    assert open_store(store.path).path == store.path
