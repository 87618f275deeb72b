"""What a field may go on with, and what is said of a plan."""

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import xarray
from rich.console import Console
from rich.style import Style

import cosinterp.devices
from cosinterp.devices import Gpu, NvmlMissing
from cosinterp.jobs.state import State
from cosinterp.organism.dataset import write_mazes
from cosinterp.rehearsal import Answer, Plan
from tests.tui.store_factory import make_result, make_store
from tui.jobs.watch import JobsSeen
from tui.launch.completing import Completion, completions
from tui.launch.forms import form_of
from tui.launch.plan_text import Outlook, Stage, numbers, page, queue_text
from tui.launch.words import entries

COMMANDS = entries()


def offered(command: str, name: str, text: str = "", **values: Any) -> list[str]:
    return [one.text for one in found(command, name, text, **values)]


def found(command: str, name: str, text: str = "", **values: Any) -> list[Completion]:
    form = form_of(command, COMMANDS[command])
    [parameter] = [one for one in form.parameters if one.name == name]
    return completions(form, parameter, values, text)


def test_what_a_store_has_is_offered_and_the_last_of_a_list_completed(tmp_path: Path) -> None:
    store = make_store(tmp_path / "a", [("maze-0", 0), ("maze-1", 4), ("maze-1", 5)])
    other = make_store(tmp_path / "b", [("scene-0", 9)])
    make_result(store, "scores-maze", xarray.Dataset({"x": ("step", [1.0])}), "scores")
    here = {"store": str(store)}
    assert offered("patch", "recipient", "maze", **here) == ["maze-0", "maze-1"]
    assert offered("probe", "samples", "maze-0,ma", **here) == ["maze-0,maze-0", "maze-0,maze-1"]
    assert offered("patch", "seeds", "", **here) == ["0,4-5", "0", "4", "5"]
    assert offered("probe", "layers", "", **here) == ["all", "0-2", "0", "1", "2"]
    assert offered("probe", "steps", "0", **here) == ["0-1"]
    assert offered("probe", "site", "", **here)[0] == "resid"
    assert offered("score", "variant", "", **here) == ["base"]
    assert offered("convergence", "scores", "", **here) == ["scores-maze"]
    # Of donors: of their own store, where there is one.
    assert offered("patch", "donor", "", **here) == ["maze-0", "maze-1"]
    assert offered("patch", "donor", "", **here, donor_store=str(other)) == ["scene-0"]
    # No store, or none yet.
    assert offered("patch", "donor", "", store=str(tmp_path / "none")) == []
    assert offered("patch", "donor", "") == []


def test_what_the_command_line_completes_is_offered(tmp_path: Path) -> None:
    write_mazes(tmp_path / "mazes", count=2, rooms=5)
    assert offered("trace", "model", "maze") == ["maze-wan"]
    assert offered("trace", "sites", "resid,self") == ["resid,self_attn", "resid,self_attn.raw"]
    dataset = {"dataset": str(tmp_path / "mazes")}
    assert offered("trace", "only", "", **dataset) == ["maze-5x5-00000", "maze-5x5-00001"]
    assert offered("patch", "direction", "") == ["both", "sufficiency", "necessity"]
    assert offered("patch", "direction", "s") == ["sufficiency"]
    assert offered("experiment", "which", "self") == ["self-correction"]
    assert offered("trace", "layers", "all") == []


def test_files_and_folders_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_store(tmp_path / "store-a", [])
    (tmp_path / "some").mkdir()
    (tmp_path / "stuff.jsonl").touch()
    (tmp_path / ".hidden").mkdir()
    monkeypatch.chdir(tmp_path)
    assert found("trace", "dataset", "s") == [
        Completion("some/", "folder"),
        Completion("store-a/", "store"),
        Completion("stuff.jsonl"),
    ]
    assert offered("trace", "dataset") == ["some/", "store-a/", "stuff.jsonl"]
    assert offered("trace", "dataset", f"{tmp_path}/.h") == [f"{tmp_path}/.hidden/"]
    # A store is a folder.
    assert offered("trace", "store", "st") == ["store-a/"]
    assert offered("trace", "dataset", "none/") == []
    monkeypatch.setenv("HOME", str(tmp_path))
    assert offered("trace", "dataset", "~/so") == ["~/some/"]


def test_the_gpus_are_offered_with_what_is_free_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def gpu(free: int | None) -> Gpu:
        return Gpu(0, "GPU-0", "NVIDIA H200", 140 * 2**30, 0, free, 0, 30, ())

    seen = {"cuda:0": gpu(130 * 2**30), "cuda:1": gpu(None)}
    monkeypatch.setattr(cosinterp.devices, "visible_gpus", lambda: seen)
    assert found("trace", "device")[:5] == [
        Completion("cpu", "no GPU"),
        Completion("cuda:0", "NVIDIA H200, 130 GiB free"),
        Completion("cuda:1", "NVIDIA H200"),
        Completion("free", "the GPU with the most free memory"),
        Completion("free:2", "2 GPUs"),
    ]

    def none() -> dict[str, Gpu]:
        raise NvmlMissing("no driver")

    monkeypatch.setattr(cosinterp.devices, "visible_gpus", none)
    assert "cpu" in offered("trace", "device", "c")


def test_help_is_as_it_reads() -> None:
    replay = {one.name: one for one in form_of("replay", COMMANDS["replay"]).parameters}
    assert '{"layers": [4]' in replay["intervention"].help


@pytest.mark.parametrize(
    ("plan", "said", "warns"),
    [
        (Plan((), bytes=10**10, seconds=3600.0, runs=1), "1 run, 10.0 GB, about 60 min", False),
        (Plan((), bytes=10**10 + 1), "10.0 GB", True),
        (Plan((), seconds=3601.0, rows=8), "8 rows, about 60 min", True),
        (Plan((), gpu_memory=3 * 10**9, device="cuda"), "3.0 GB of GPU memory", False),
        (Plan((), gpu_memory=3 * 10**9, device="cpu"), "", False),
        (Plan((), gpu_memory=0), "", False),
    ],
)
def test_a_plan_in_figures_and_what_is_much(plan: Plan, said: str, warns: bool) -> None:
    assert numbers(plan) == said
    outlook = Outlook(Stage.PLANNED, "checked", Answer(True, plan=plan))
    assert outlook.short == (said or "checked")
    assert bool(outlook.warning) is warns


def test_what_is_wrapped_of_a_plan_stays_in_its_column() -> None:
    unasked = "writing  not measured: --no-measure"
    lines = ("12 runs at 9 layers", "time   not known: it shows", unasked, "runs   8")
    shown = page(Outlook(Stage.PLANNED, "checked", Answer(True, plan=Plan(lines))), None, Style(), Style())
    console = Console(width=20, file=StringIO())
    console.print(shown)
    assert isinstance(console.file, StringIO)
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == [
        "12 runs at 9 layers",
        "time  not known: it",
        "      shows",
        "runs  8",
    ]


def test_the_queue_in_a_word() -> None:
    def seen(*states: str) -> JobsSeen:
        living = tuple(SimpleNamespace(state=State(one)) for one in states)
        return cast("JobsSeen", SimpleNamespace(living=living))

    assert queue_text(seen()) == "queue: empty"
    assert queue_text(seen("running", "queued", "queued", "cancelling")) == "queue: 2 running, 2 waiting"
