"""All experiments on a quick maze-wan, with the preset that shows that they run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosinterp.errors import StoreError, TraceError
from cosinterp.experiments import NAMES, reproducing
from cosinterp.experiments.costs import Cost, Rates
from cosinterp.experiments.models import Load, bundled, once
from cosinterp.experiments.reproducing import Reproduced, plan, reproduce
from cosinterp.models.model import Model
from probes.claims import Findings, Verdict, judge
from probes.results.listing import results
from probes.results.result import Result
from stores import open_store

pytestmark = pytest.mark.timeout(900)
BROKEN_OFF = "layer-maps"


class Watched:
    """What a reproduction told; it is broken off when an experiment of a name begins."""

    def __init__(self, break_off_at: str | None = None) -> None:
        self.break_off_at = break_off_at
        self.names: list[str] = []
        self.done = Cost()
        self.total = 0.0

    def planned(self, total: float) -> None:
        self.total = total

    def began(self, name: str, seconds: float) -> None:
        if name == self.break_off_at:
            raise KeyboardInterrupt
        self.names.append(name)

    def finished(self, name: str) -> None:
        pass

    def doing(self, what: str) -> None:
        pass

    def did(self, cost: Cost) -> None:
        self.done += cost


@pytest.fixture(scope="module")
def load(narrow_maze_wan: Path) -> Load:
    return once(lambda name: bundled(str(narrow_maze_wan) if name == "maze-wan" else name))


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory, load: Load) -> tuple[Path, Reproduced, Watched]:
    """Broken off at the third experiment, and gone on with."""
    out = tmp_path_factory.mktemp("reproduced") / "all"
    broken, watched = Watched(BROKEN_OFF), Watched()
    with pytest.MonkeyPatch.context() as patched:
        # The command's own tests time the machine.
        patched.setattr(reproducing, "measure_rates", lambda model, sample: Rates(1.0, 1.0))
        with pytest.raises(KeyboardInterrupt):
            reproduce(out, preset="smoke", load=load, progress=broken)
        assert broken.names == list(NAMES[: NAMES.index(BROKEN_OFF)])
        made = reproduce(out, preset="smoke", resume=True, load=load, progress=watched)
    assert 0 < watched.total < broken.total
    return out, made, watched


def test_every_experiment_has_a_result_that_is_too_small_to_judge(
    reproduced: tuple[Path, Reproduced, Watched],
) -> None:
    out, made, _ = reproduced
    found = {
        entry.name: entry
        for store in (out / "stores").iterdir()
        for entry in results(open_store(store)).entries
        if entry.kind == "experiment"
    }
    assert not made.failures
    # Its model may not be there.
    assert {f"experiment-{name}" for name in NAMES} - {"experiment-working-memory"} <= set(found)
    assert made.report.counts[Verdict.REPRODUCED] == made.report.counts[Verdict.NOT_REPRODUCED] == 0
    for entry in found.values():
        findings = Findings.from_dataset(Result.open(entry.path).dataset)
        assert {judge(one).verdict for one in findings.claims} == {Verdict.NOT_TESTABLE}
        # A probe needs a sample for each fold.
        measured = [one for one in findings.claims if one.estimate is not None]
        assert measured or findings.experiment == "layer-maps"


def test_what_was_done_before_it_was_broken_off_is_not_done_again(
    reproduced: tuple[Path, Reproduced, Watched], load: Load
) -> None:
    out, _, watched = reproduced
    assert watched.names == list(NAMES)
    again = plan(out, preset="smoke", resume=True, load=load)
    assert all(part.result is not None or part.lacking is not None for part in again.parts)
    assert again.seconds == 0


def test_the_page_shows_all_experiments_with_their_commands(
    reproduced: tuple[Path, Reproduced, Watched],
) -> None:
    _, made, _ = reproduced
    text = made.report.path.read_text(encoding="utf-8")
    for name in NAMES:
        assert f'id="experiment-{name}"' in text
        assert f"cosinterp experiment {name} --model" in text
    assert "too few samples: 1, and 10 are needed" in text


def test_base_runs_are_made_once(reproduced: tuple[Path, Reproduced, Watched]) -> None:
    out, _, _ = reproduced
    store = open_store(out / "stores" / "mazes")
    assert len(store.runs(variant="base")) == 2
    assert {"ensemble-hidden-middle", "ensemble-latent"} < {entry.variant for entry in store.runs()}


def test_a_folder_with_a_reproduction_is_gone_on_with_only_if_that_is_said(
    reproduced: tuple[Path, Reproduced, Watched], load: Load
) -> None:
    out, _, _ = reproduced
    with pytest.raises(StoreError, match="--resume"):
        plan(out, preset="smoke", load=load)
    with pytest.raises(StoreError, match='preset "smoke"'):
        plan(out, preset="small", resume=True, load=load)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, load: Load) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StoreError, match="not empty"):
        plan(tmp_path, preset="smoke", load=load)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_model_that_cannot_be_had_is_said_before_anything_is_run(tmp_path: Path) -> None:
    def refuse(name: str) -> Model:
        raise TraceError("no memory for this model")

    out = tmp_path / "out"
    with pytest.raises(TraceError, match="no memory"):
        plan(out, preset="smoke", only=["frames"], load=refuse)
    assert json.loads((out / "reproduction.json").read_text()) == {"preset": "smoke"}
