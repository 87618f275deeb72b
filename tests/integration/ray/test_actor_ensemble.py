"""Ensembles by one actor a GPU: what the batch in one process comes to, and what happens when one is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import cosinterp as ci
from cosinterp.cli import app
from cosinterp.ensembles.actors import ensemble as actor_ensemble
from cosinterp.ensembles.actors.driving import Driving
from cosinterp.ensembles.actors.ensemble import ActorEnsemble
from cosinterp.ensembles.actors.tasks import SampleEnsemble
from cosinterp.ensembles.actors.team import Team
from cosinterp.ensembles.planned import PlannedEnsemble, plan_ensemble
from cosinterp.ensembles.spec import Ensemble, Merge, Select
from cosinterp.errors import InterventionError, UserError
from cosinterp.executors.ray_executor import RayExecutor
from cosinterp.executors.ray_watcher import processes_of
from cosinterp.models.loading import prepare
from cosinterp.models.loading.prepared import Prepared
from cosinterp.organism.mazes import generate_maze
from cosinterp.organism.rendering import render_video
from cosinterp.organism.tasks import PROMPTS, truth
from cosinterp.planning.plan import model_settings
from cosinterp.samples import Sample
from cosinterp.tracing import HOST_MEMORY
from stores import Run, Store
from stores.store import create_store, open_store
from tests.tiny import sample_for

KIND = "wan2.2-i2v-a14b"
SETTINGS: dict[str, Any] = {"num_steps": 3, "guidance_scale": 3.0}
NAME = "sample-0"
SEEDS = "3-5"
RUNS = (3, 4, 5)


class Told:
    """What a progress was told: (seed, step), and seeds whose runs are finished."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []
        self.runs: list[int] = []

    def planned(self, plan: Any, todo: Sequence[tuple[str, int]]) -> None:
        self.todo = list(todo)

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        self.steps.extend((seed, step) for seed in seeds)

    def finished(self, sample: str, seed: int) -> None:
        self.runs.append(seed)


@pytest.fixture(scope="module")
def prepared(tiny_folder: Callable[[str], Path]) -> Prepared:
    torch.set_num_threads(1)
    return prepare(str(tiny_folder(KIND)), device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def model(prepared: Prepared) -> ci.Model:
    return prepared.load()


@pytest.fixture(scope="module")
def executor(two_nodes: Any) -> RayExecutor:
    """An actor takes one of the fake GPUs, and computes on the processor."""
    two_nodes.complete()
    return RayExecutor(two_nodes.address, device="cpu", gpus=1, cpus=0)


@pytest.fixture(scope="module")
def patience() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def team(
    two_nodes: Any, executor: RayExecutor, prepared: Prepared, patience: pytest.MonkeyPatch
) -> Iterator[Team]:
    """The same two actors for all tests, which end with their team."""
    assert prepared.recipe is not None
    wanted = model_settings(prepared.model)
    # Where all processors are busy, the second comes long after the first.
    patience.setattr("cosinterp.ensembles.actors.team._PATIENCE", 120.0)
    with executor:
        with Team(executor, prepared.recipe, wanted, 3, lambda text: None) as hired:
            hired.fill()
            assert len(hired.actors) == len(actors(two_nodes.folder)) == 2, "one a GPU"
            yield hired
            processes = actors(two_nodes.folder)
            assert len(processes) == 2
        _, left = psutil.wait_procs(processes, timeout=20)
        assert not left


def actors(folder: str) -> list[psutil.Process]:
    """The processes of actors of the Ray whose folder this is."""
    found = []
    for process in processes_of(folder):
        with suppress(psutil.NoSuchProcess):
            if any("SeedActor" in word for word in process.cmdline()[:1]):
                found.append(process)
    return found


def planned(prepared: Prepared, path: Path, sample: Sample | None = None, **asked: Any) -> PlannedEnsemble:
    sampling = asked.pop("sampling", SETTINGS)
    return plan_ensemble(
        prepared.model, sample or sample_for(KIND), store=path, seeds=SEEDS, sampling=sampling, **asked
    )


def made(team: Team, what: PlannedEnsemble, progress: Told | None = None) -> Store:
    """The ensemble itself."""
    create_store(what.path, what.plan.settings, exist_ok=True)
    with Driving(team) as driving:
        driving.run(
            [SampleEnsemble(what, one, HOST_MEMORY, progress, lambda text: None) for one in what.todo]
        )
    return open_store(what.path)


def check_same(store: Store, other: Store, variant: str, within: float = 1e-5) -> None:
    """All runs of a variant: all that they say of how they came about, and their numbers to rounding."""
    keys = [entry.key for entry in other.runs(variant=variant)]
    assert [entry.key for entry in store.runs(variant=variant)] == keys != []
    for key in keys:
        with store.run(*key) as run, other.run(*key) as there:
            assert _attrs(run) == _attrs(there)
            assert run.video is not None
            assert there.video is not None
            assert np.abs(run.video.astype(int) - there.video).max() <= 1
            for step in range(run.num_steps):
                assert _apart(run.noisy(step + 1), there.noisy(step + 1)) < within
                assert _apart(run.prediction(step), there.prediction(step)) < within


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max() / np.abs(other).max())


def _attrs(run: Run) -> dict[str, Any]:
    """What a run says of itself, but for when it was made and in which chunks."""
    told = {name: value for name, value in run.attrs.items() if name != "finished"}
    if "intervention" in told:
        told["intervention"] = {**told["intervention"], "chunk": None}
    return told


@pytest.mark.parametrize(
    ("what", "how", "then"),
    [
        ("latent", "mean", "one"),
        ("latent", "medoid", "all"),
        ("x0", "mean", "all"),
        ("x0", "norm-mean", "one"),
        ("prediction", "mean", "one"),
        ("prediction", "median", "all"),
    ],
)
def test_two_actors_make_what_the_batch_makes(what, how, then, team, prepared, model, tmp_path):
    """Three seeds on two actors; UniPC, which remembers."""
    asked: dict[str, Any] = {"merge": what, "steps": "0-1", "how": how, "then": then, "base": False}
    progress = Told()
    store = made(team, planned(prepared, tmp_path / "apart", **asked), progress)
    batch = ci.ensemble(model, sample_for(KIND), store=tmp_path / "batch", seeds=SEEDS, **SETTINGS, **asked)
    check_same(store, batch, "ensemble")
    runs = [3] if then == "one" else list(RUNS)
    assert sorted(progress.runs) == runs
    # Who stops makes no further step.
    expected = [(seed, step) for seed in RUNS for step in range(3 if seed in runs else 2)]
    assert sorted(progress.steps) == expected


def test_seeds_are_selected_of_all_actors(team, prepared, model, tmp_path):
    """By agreement, after a merge; the best of all goes on, and the costs are those of the batch."""
    asked: dict[str, Any] = {
        "merge": Ensemble(merges=(Merge(what="x0", steps=(0,)),), select=Select(step=1, keep=2), then="all"),
        "base": False,
    }
    store = made(team, planned(prepared, tmp_path / "apart", **asked))
    batch = ci.ensemble(model, sample_for(KIND), store=tmp_path / "batch", seeds=SEEDS, **SETTINGS, **asked)
    assert len(batch.runs(variant="ensemble")) == 2
    with batch.run(*batch.runs(variant="ensemble")[0].key) as run:
        scores = run.attrs["intervention"]["selected"]["scores"]
    for entry in store.runs(variant="ensemble"):
        with store.run(*entry.key) as run, batch.run(*entry.key) as there:
            own, told = run.attrs["intervention"], there.attrs["intervention"]
            assert own["selected"]["kept"] == told["selected"]["kept"]
            assert own["selected"]["scores"] == pytest.approx(scores, rel=1e-5)
            assert own["evaluations"] == told["evaluations"]
            assert _apart(run.noisy(3), there.noisy(3)) < 1e-5


def test_base_runs_are_made_by_the_actors_too_bit_for_bit(
    team, executor, prepared, model, tmp_path, monkeypatch
):
    """All that `cosinterp.ensemble` makes, by the actors that are there."""
    monkeypatch.setattr(actor_ensemble, "Team", lambda *asked: nullcontext(team))
    progress = Told()
    asked: dict[str, Any] = {"seeds": SEEDS, "batch": 2, **SETTINGS}
    sample, path = sample_for(KIND), tmp_path / "apart"
    store = ci.ensemble(prepared, sample, store=path, devices=executor, progress=progress, **asked)
    batch = ci.ensemble(model, sample, store=tmp_path / "batch", **asked)
    check_same(store, batch, "base", within=1e-9)
    check_same(store, batch, "ensemble")
    assert sorted(progress.runs) == sorted([*RUNS, 3])
    # Three runs, and an ensemble of which one seed goes on.
    assert len(progress.steps) == 3 * 3 + 3 + 2
    assert [entry.key for entry in store.runs()] == [entry.key for entry in batch.runs()]


def failing(video: np.ndarray, truth: Any) -> float:
    raise ZeroDivisionError("a fault of the user's scorer")


def test_what_is_the_users_to_mend_is_said_as_in_one_process(team, prepared, tmp_path):
    """The actor that fails releases the other, and both make the next ensemble."""
    what = planned(prepared, tmp_path / "s", select=f"{__name__}:failing", select_step=0, base=False)
    with pytest.raises(UserError, match="ZeroDivisionError: a fault of the user's scorer"):
        made(team, what)
    assert len(team.actors) == 2
    assert open_store(what.path).runs() == []
    assert [file for file in what.path.rglob("*") if file.name.endswith(".partial")] == []
    made(team, planned(prepared, tmp_path / "s", base=False))


def test_hidden_states_are_refused(executor, prepared, tmp_path):
    assert prepared.recipe is not None
    what = planned(prepared, tmp_path / "s", merge="hidden", layers="1", base=False)
    with pytest.raises(
        InterventionError, match="hidden states are not merged over several GPUs.*--executor local"
    ):
        ActorEnsemble(executor, prepared.recipe, what)
    assert not what.path.exists()


def test_the_command_refuses_them_before_it_looks_for_a_ray(tiny_folder, tmp_path):
    words = ["ensemble", "--model", str(tiny_folder(KIND)), "--store", str(tmp_path / "s"), "--device", "cpu"]
    image = tmp_path / "image.png"
    first = sample_for(KIND).image
    assert first is not None
    first.save(image)
    asked = [
        "--prompt",
        "a",
        "--image",
        str(image),
        "--merge",
        "hidden",
        "--layers",
        "1",
        "--executor",
        "ray",
    ]
    said = CliRunner().invoke(app, [*words, *asked])
    assert said.exit_code == 2, said.output
    assert "hidden states are not merged over several GPUs" in " ".join(said.output.split())
    assert not (tmp_path / "s").exists()


def test_the_bundled_model_in_actors_is_the_batch(team, tmp_path):
    """As it is, with its scheduler; the same actors load it in place of the other model."""
    bundled = prepare("maze-wan", device="cpu", dtype="fp32")
    wanted = model_settings(bundled.model)
    loading = [actor.handle.load.remote(bundled.recipe, wanted, "cpu") for actor in team.actors]
    assert [outcome.error for outcome in team.ray.get(loading)] == [None, None]
    maze = generate_maze(93, 7)
    sample = Sample(
        "maze", PROMPTS["red"][0], Image.fromarray(render_video(maze, "red")[0]), truth(maze, "red")
    )
    sampling = {"num_steps": 3, "num_frames": 5, "guidance_scale": 1.0}
    for what in ("latent", "x0"):
        asked: dict[str, Any] = {"merge": what, "steps": "0-1", "base": False, "variant": what}
        store = made(team, planned(bundled, tmp_path / "apart", sample, sampling=sampling, **asked))
        batch = ci.ensemble(
            bundled.load(), sample, store=tmp_path / "batch", seeds=SEEDS, **sampling, **asked
        )
        check_same(store, batch, what)
    recipe = team._recipe
    again = [actor.handle.load.remote(recipe, team._wanted, "cpu") for actor in team.actors]
    assert [outcome.error for outcome in team.ray.get(again)] == [None, None]


def dying(video: np.ndarray, truth: Any) -> float:
    """A scorer in the actor that decides, which is killed, once, while the other one waits."""
    marker = Path(str(truth["marker"]))
    if marker.exists():
        marker.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    # Of seeds that are as good, the smaller ones go on.
    return 0.0


def test_a_sample_whose_actor_is_killed_is_made_again(team, prepared, model, tmp_path):
    """By a new one and the one that is left, which does not wait for ever; each step is told once."""
    marker = tmp_path / "marker"
    marker.touch()
    sample = replace(sample_for(KIND), truth={"marker": str(marker)})
    asked: dict[str, Any] = {
        "merge": Ensemble(
            merges=(Merge(what="x0", steps=(0, 1)),),
            select=Select(step=1, by=f"{__name__}:dying", keep=2),
            then="all",
        ),
        "base": False,
    }
    before = list(team.actors)
    progress = Told()
    store = made(team, planned(prepared, tmp_path / "apart", sample, **asked), progress)
    assert not marker.exists()
    assert before[0] not in team.actors
    assert before[1] in team.actors
    assert len(team.actors) == 2
    batch = ci.ensemble(model, sample, store=tmp_path / "batch", seeds=SEEDS, **SETTINGS, **asked)
    kept = [3, 4]
    assert [entry.seed for entry in batch.runs(variant="ensemble")] == kept
    assert sorted(progress.runs) == kept
    assert sorted(progress.steps) == [
        (seed, step) for seed in RUNS for step in range(3 if seed in kept else 2)
    ]
    for seed in kept:
        with store.run(NAME, seed, "ensemble") as run, batch.run(NAME, seed, "ensemble") as there:
            assert _apart(run.noisy(3), there.noisy(3)) < 1e-5
