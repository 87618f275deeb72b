"""A trace that is spread over workers makes what one process makes, whatever happens to them."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import cosinterp as ci
from cosinterp.cli import app
from cosinterp.errors import ModelError, SampleError, TraceError, UserError
from cosinterp.executors import local
from cosinterp.executors.failures import TasksFailed
from cosinterp.executors.traces import TraceTask, TraceWork, _of_largest
from cosinterp.interventions.changes import NO_CHANGES
from cosinterp.planning.batches import batches
from cosinterp.planning.plan import TracePlan, make_plan
from cosinterp.samples import Sample
from cosinterp.samples.images import ImageFile
from tests.integration.executing import Counted, Inline, assert_equal

KIND = "wan2.2-i2v-a14b"
ASKED: dict[str, Any] = {
    "seeds": "0-4",
    "num_steps": 3,
    "layers": "1,3",
    "sites": "resid,self_attn",
    "batch": 2,
}
NAMES = [f"{name} seed {seeds}" for name in ("red", "blue") for seeds in ("0-1", "2-3", "4")]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for name, color in {"red": (200, 20, 40), "blue": (20, 40, 200)}.items():
        Image.new("RGB", (32, 32), color).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def samples(images: Path) -> list[Sample]:
    return [sample_of(images / f"{name}.png") for name in ("red", "blue")]


def sample_of(image: Path) -> Sample:
    name = image.stem
    held: Any = ImageFile.check(image)
    return Sample(name, f"go to the {name} goal", image=held, height=32, width=32, num_frames=5)


@pytest.fixture
def prepared(tiny_folder: Callable[[str], Path]) -> Any:
    torch.set_num_threads(1)
    return ci.prepare(tiny_folder(KIND), device="cpu", dtype="fp32")


@pytest.fixture(scope="module")
def one_process(
    tiny_folder: Callable[[str], Path], images: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Counted]:
    """The store that one process makes, and what it told."""
    torch.set_num_threads(1)
    progress = Counted()
    path = tmp_path_factory.mktemp("one") / "store"
    samples = [sample_of(images / f"{name}.png") for name in ("red", "blue")]
    ci.trace(ci.load(tiny_folder(KIND), device="cpu"), samples, store=path, progress=progress, **ASKED)
    return path, progress


def test_the_store_and_what_is_told_are_those_of_one_process(
    prepared: Any, samples: list[Sample], one_process: tuple[Path, Counted], tmp_path: Path
) -> None:
    path, there = one_process
    progress, executor = Counted(), Inline()
    store = ci.trace(
        prepared, samples, store=tmp_path / "store", progress=progress, devices=executor, **ASKED
    )
    assert_equal(path, store)
    assert progress.told == there.told
    assert executor.opened == 1


def test_what_dead_workers_left_is_made_by_others_and_told_once(
    prepared: Any, samples: list[Sample], one_process: tuple[Path, Counted], tmp_path: Path
) -> None:
    path, there = one_process
    # In the middle of the steps; after one of its two runs is told; and when both are there.
    executor = Inline(dies_after={NAMES[0]: 2, NAMES[1]: 4, NAMES[3]: 5})
    progress = Counted()
    store = ci.trace(
        prepared, samples, store=tmp_path / "store", progress=progress, devices=executor, **ASKED
    )
    assert executor.dies_after == {}
    assert executor.opened == 4
    assert_equal(path, store)
    assert progress.told == there.told
    assert leftovers(tmp_path / "store") == []


def test_the_others_are_made_when_a_task_fails_and_resume_makes_the_rest(
    prepared: Any, samples: list[Sample], one_process: tuple[Path, Counted], tmp_path: Path
) -> None:
    trace = partial(ci.trace, prepared, samples, store=tmp_path / "store", **ASKED)
    error = SampleError("no such truth")
    with pytest.raises(TasksFailed) as raised:
        trace(devices=Inline(goes_wrong={NAMES[1]: error, NAMES[4]: error}))
    assert str(raised.value).splitlines() == [
        "4 of 10 runs were not made; the others are kept:",
        f"  {NAMES[1]}, {NAMES[4]}: no such truth",
    ]
    assert raised.value.exit_code == 2
    assert len(ci.open(tmp_path / "store").runs()) == 6
    with pytest.raises(TraceError, match="use --resume"):
        trace(devices=Inline())
    progress = Counted()
    store = trace(devices=Inline(), resume=True, progress=progress)
    assert progress.todo == [[("red", 2), ("red", 3), ("blue", 2), ("blue", 3)]]
    assert_equal(one_process[0], store)


def test_a_failed_disk_is_told_of_what_was_under_way_and_the_next_task_begins_anew(
    prepared: Any, samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stores.writer import RunWriter

    finish = RunWriter.finish

    def refusing(writer: RunWriter) -> None:
        if (writer.sample, writer.seed) == ("red", 2):
            raise OSError(28, "No space left on device", "red/2.h5")
        finish(writer)

    monkeypatch.setattr(RunWriter, "finish", refusing)
    with pytest.raises(TasksFailed, match="red seed 2-3: No space left on device: red/2.h5") as raised:
        ci.trace(prepared, samples, store=tmp_path / "store", devices=Inline(), **ASKED)
    assert raised.value.exit_code == 2
    assert len(ci.open(tmp_path / "store").runs()) in (8, 9)
    assert leftovers(tmp_path / "store") == []


def test_a_first_image_that_has_changed_is_refused_when_it_is_sent(
    prepared: Any, images: Path, tmp_path: Path
) -> None:
    image = tmp_path / "red.png"
    image.write_bytes((images / "red.png").read_bytes())
    samples = [sample_of(image), sample_of(images / "blue.png")]

    class Changing(Counted):
        def planned(self, *_: Any) -> None:
            Image.new("RGB", (32, 32), (1, 2, 3)).save(image)

    with pytest.raises(UserError, match="has changed since the dataset was read"):
        ci.trace(
            *(prepared, samples),
            **{**ASKED, "seeds": "0"},
            store=tmp_path / "store",
            devices=Inline(),
            progress=Changing(),
        )
    assert [entry.sample for entry in ci.open(tmp_path / "store").runs()] == ["blue"]


def test_what_travels_is_small_and_needs_no_image_file(prepared: Any, tmp_path: Path) -> None:
    """However many samples there are, a worker is sent one at a time."""
    paths = []
    for number in range(40):
        path = tmp_path / f"{number:02}.png"
        Image.new("RGB", (32, 32), (number, 0, 0)).save(path)
        paths.append(path)
    plan = plan_of(prepared, [replace(sample_of(path), truth={"path": [[1] * 50] * 50}) for path in paths])
    work = TraceWork(prepared.recipe, _of_largest(plan, plan.runs()), Path("/store"), None, NO_CHANGES, 1)
    assert len(pickle.dumps(work)) < 16_000
    tasks = [pickle.dumps(TraceTask(batch)) for batch in batches(plan, plan.runs())]
    assert len(tasks) == 40
    assert max(map(len, tasks)) < 32 * 32 * 3 + 8_000
    for path in paths:
        path.unlink()
    arrived = pickle.loads(tasks[7]).batch.planned.sample
    assert (arrived.name, arrived.image.getpixel((0, 0))) == ("07", (7, 0, 0))


def test_another_model_at_the_workers_is_refused(
    prepared: Any, samples: list[Sample], tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    recipe = replace(prepared.recipe, name=str(tiny_folder("wan2.1-t2v")))
    other = replace(prepared, recipe=recipe)
    with pytest.raises(ModelError, match="is another model here than where this was planned"):
        ci.trace(other, samples, store=tmp_path / "store", devices=Inline(), **ASKED)


def test_a_model_that_is_loaded_is_not_loaded_once_more(
    tiny_model: Callable[..., Any], samples: list[Sample], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"is loaded already; give its name, or what cosinterp.prepare"):
        ci.trace(tiny_model(KIND), samples, store=tmp_path / "store", devices="cpu,cpu", **ASKED)
    assert not (tmp_path / "store").exists()


def test_a_trace_follows_another_store_in_workers_too(
    prepared: Any,
    samples: list[Sample],
    one_process: tuple[Path, Counted],
    tiny_folder: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    asked = {**ASKED, "seeds": "0-1", "follow": ci.open(one_process[0])}
    untrained = {"device": "cpu", "untrained": 0}
    here = ci.trace(ci.load(tiny_folder(KIND), **untrained), samples[:1], store=tmp_path / "here", **asked)
    there = ci.trace(
        ci.prepare(tiny_folder(KIND), **untrained),
        samples[:1],
        store=tmp_path / "there",
        devices=Inline(),
        **asked,
    )
    assert_equal(here, there)


class Killing(Counted):
    """Kills a worker at the first step, and is interrupted when some runs are finished."""

    def __init__(self) -> None:
        super().__init__()
        self.killed: list[int] = []

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        super().step(sample, seeds, step, num_steps)
        if not self.killed:
            worker = next(
                one for one in psutil.Process().children() if "cosinterp worker" in str(one.cmdline())
            )
            os.kill(worker.pid, signal.SIGKILL)
            self.killed.append(worker.pid)

    def finished(self, sample: str, seed: int) -> None:
        super().finished(sample, seed)
        if len(self.runs) == 4:
            raise KeyboardInterrupt


def test_processes_that_are_killed_and_interrupted_leave_what_resume_completes(
    prepared: Any,
    samples: list[Sample],
    one_process: tuple[Path, Counted],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trace = partial(ci.trace, prepared, samples, store=tmp_path / "store", **ASKED)
    progress = Killing()
    with pytest.raises(KeyboardInterrupt):
        trace(devices="cpu,cpu", progress=progress)
    assert "the worker is gone: killed by SIGKILL" in capsys.readouterr().err
    assert not any("cosinterp worker" in str(one.cmdline()) for one in psutil.Process().children())
    assert leftovers(tmp_path / "store") == []
    there = ci.open(tmp_path / "store")
    assert {(entry.sample, entry.seed) for entry in there.runs()} >= set(progress.runs)
    assert_equal(one_process[0], trace(devices=Inline(), resume=True))


@pytest.mark.gpu
def test_on_gpus_the_bits_are_those_of_one_process(
    tiny_folder: Callable[[str], Path], samples: list[Sample], tmp_path: Path
) -> None:
    folder, last = tiny_folder(KIND), min(torch.cuda.device_count(), 2) - 1
    here = ci.trace(ci.load(folder, device="cuda:0"), samples, store=tmp_path / "here", **ASKED)
    there = ci.trace(str(folder), samples, store=tmp_path / "there", devices=f"cuda:0-{last}", **ASKED)
    assert_equal(here, there)


def leftovers(store: Path) -> list[str]:
    """Unfinished files of a store."""
    return [str(path) for path in store.rglob("*") if ".partial" in path.name]


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> Inline:
    """What takes the place of processes."""
    executor = Inline()
    monkeypatch.setattr(local, "LocalExecutor", lambda devices, say: executor)
    return executor


WORDS = [
    *("trace", "--prompt", "go", "--name", "goal", "--height", 32, "--width", 32, "--num-frames", 5),
    *("--seeds", "0-3", "--num-steps", 2, "--layers", "1", "--device", "cpu,cpu"),
]


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_says_what_failed_and_how_to_go_on(
    inline: Inline, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    words = [*WORDS, "--model", tiny_folder("wan2.1-t2v"), "--store", tmp_path / "store"]
    inline.goes_wrong["goal seed 1"] = LookupError("ours")
    failed = run(*words)
    assert failed.exit_code == 1
    assert "error: 1 of 4 runs was not made; the others are kept:" in failed.output
    assert "LookupError: ours" in failed.output
    assert "To make what is lacking:" in failed.output
    assert failed.output.rstrip().endswith("--resume")
    inline.goes_wrong["goal seed 1"] = UserError("yours")
    again = run(*words, "--resume")
    assert again.exit_code == 2
    assert "  goal seed 1: yours" in again.output
    inline.goes_wrong.clear()
    assert run(*words, "--resume").exit_code == 0
    assert len(ci.open(tmp_path / "store").runs()) == 4
    # All there: nobody is asked to do anything.
    opened = inline.opened
    assert run(*words, "--resume").exit_code == 0
    assert inline.opened == opened


def test_a_command_for_one_device_refuses_several(tiny_folder: Callable[[str], Path]) -> None:
    refused = run("verify", tiny_folder("wan2.1-t2v"), "--device", "cpu,cpu")
    assert refused.exit_code == 2
    assert "error: --device cpu,cpu: this takes one device, and these are 2" in refused.output


def test_an_executor_that_there_is_not_is_refused(tmp_path: Path) -> None:
    refused = run(*WORDS, "--model", "maze-wan", "--store", tmp_path / "s", "--executor", "slurm")
    assert refused.exit_code == 2
    assert "error: --executor slurm: there are local and ray" in refused.output


def test_a_work_knows_the_memory_of_its_largest_run(prepared: Any, samples: list[Sample]) -> None:
    plan = plan_of(prepared, [samples[0], replace(samples[1], num_frames=9)])
    largest = _of_largest(plan, plan.runs()).samples
    assert [one.sample.name for one in largest] == ["blue"]
    assert largest[0].sample.has_image is False
    # Of those that are made.
    assert [one.sample.name for one in _of_largest(plan, [("red", 0)]).samples] == ["red"]


def plan_of(prepared: Any, samples: list[Sample]) -> TracePlan:
    return make_plan(
        prepared.model,
        samples,
        seeds="0",
        layers="all",
        sites="resid",
        save_steps="all",
        branches="all",
        dtype="auto",
        batch=1,
        save_video=True,
        host_memory=2**30,
        sampling={"num_steps": 2},
    )
