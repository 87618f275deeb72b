"""What a command line would do, as it is told while it is typed: the same as the command itself says."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusers
import pytest
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from cosinterp.rehearsal import Rehearsal
from cosinterp.rehearsal.carrying_out import carried_out
from tests.unit.probes.probing.planted_stores import plant

pytestmark = pytest.mark.timeout(300)
SIZE = ("--height", "32", "--width", "32", "--num-frames", "5", "--num-steps", "3")
MEASURING = ("trace", "experiment")


# What answers may open no socket, start no process, and write, make, rename or remove nothing.
WATCHED = """
import os, sys
server = os.getpid()
def watch(event, of):
    if os.getpid() == server:
        return
    writes = event == "open" and of[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and of[0] != os.devnull
    makes = event == "os.mkdir" and not os.path.isdir(of[0])
    if writes or makes or event.startswith(("socket.", "subprocess.", "os.rename", "os.remove", "shutil.")):
        raise RuntimeError(f"{event}: {of}")
sys.dont_write_bytecode = True
sys.addaudithook(watch)
from cosinterp.rehearsal.serving import serve
serve()
"""


@pytest.fixture(scope="module")
def rehearsal() -> Iterator[Rehearsal]:
    made = Rehearsal((sys.executable, "-P", "-c", WATCHED))
    yield made
    made.close()


def invoke(*words: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, list(words), catch_exceptions=False)


@pytest.fixture(scope="module")
def places(
    tmp_path_factory: pytest.TempPathFactory, tiny_folder: Callable[[str], Path], narrow_maze_wan: Path
) -> dict[str, str]:
    """What stands for names in braces: models, a dataset, a store of two samples, one to be probed."""
    folder = tmp_path_factory.mktemp("rehearsed")
    model, store, mazes = tiny_folder("wan2.1-t2v"), folder / "store", folder / "mazes"
    for name in ("red", "blue"):
        made = invoke(
            *("trace", "--model", str(model), "--store", str(store), "--prompt", name, "--name", name, *SIZE)
        )
        assert made.exit_code == 0, made.output
    assert invoke("mazes", "--out", str(mazes), "--count", "1").exit_code == 0
    probed = plant(folder / "probed").path
    return {
        "model": str(model),
        "mazes": str(mazes),
        "maze_wan": str(narrow_maze_wan),
        "store": str(store),
        "probed": str(probed),
        "out": str(folder / "out"),
    }


TRACE = "trace --model {model} --prompt go --height 32 --width 32 --num-frames 5 --num-steps 3"
ENSEMBLE = TRACE.replace("trace", "ensemble", 1) + " --store {out}"
NOISE = TRACE.replace("trace", "noise", 1) + " --store {out}"
PATCH = "patch {store} --donor red --recipient blue --horizon 0"
PROBE = "probe {probed} --target truth:mark"
EXPERIMENT = "experiment chain-of-steps --model {maze_wan} --dataset {mazes} --store {out} --preset smoke"

GOOD = {
    f"{TRACE} --store {{out}} --seeds 0-3 --reduce norm": ("runs", 4),
    f"{ENSEMBLE} --seeds 0-2 --detach": ("runs", 4),
    f"{NOISE} --at step --steps 0,2 --seeds 0-1": ("runs", 6),
    f"{PATCH} --layers 0-1 --steps 0 --controls none --job-name x --detach": ("rows", 4),
    "ablate {store} --kind zero --layers 1 --steps 0 --controls none": ("rows", 2),
    f"{PROBE} --steps 1-2 --layers 1 --no-baselines": ("rows", 2),
    EXPERIMENT: ("runs", 2),
    "attribute {store} --donor red --recipient blue --steps 0 --layers 0-1 --confirm 1": ("rows", 2),
    "decode {store} --all --steps 0,-1": ("runs", None),
}
BAD = {
    f"{TRACE} --store {{out}} --layers 40": "--layers",
    f"{TRACE} --store {{out}} --device cuda:77": "--device",
    f"{TRACE} --store {{out}} --save-steps 9": "--save-steps",
    f"{TRACE} --store {{out}} --sites nothing": "--sites",
    f"{ENSEMBLE} --chunk many": "--chunk",
    f"{ENSEMBLE} --seeds 3-": "--seeds",
    f"{NOISE} --energy -1": "--energy",
    f"{PATCH} --layers 99": "--layers",
    f"{PATCH} --effect nothing": "--effect",
    f"{PROBE} --target nothing": "--target",
    f"{PROBE} --transfer-steps 1": "--transfer-steps",
    f"{EXPERIMENT} --set count=3": "--set",
    f"{EXPERIMENT} --set dreams=1": "--set",
    "experiment dreams --model {maze_wan} --dataset {mazes} --store {out}": "NAME",
    "probe {out} --target goal": "STORE",
    "attribute {store} --donor red --recipient blue --layers 99": "--layers",
    "decode {store}": "--sample",
    "decode {store} --sample green": "--sample",
}


def words_of(line: str, places: dict[str, str]) -> list[str]:
    return [word.format(**places) for word in line.split()]


def own_words(words: list[str]) -> list[str]:
    """What one would type oneself to be told the same."""
    launch = {"--detach", "--job-name", "x"}
    quick = ["--no-measure"] if words[0] in MEASURING else []
    return [*(word for word in words if word not in launch), "--dry-run", "--json", *quick]


def but_free_space(data: dict[str, Any]) -> dict[str, Any]:
    lines = [line for line in data["lines"] if not line.endswith("are free")]
    return {name: value for name, value in data.items() if name != "free_bytes"} | {"lines": lines}


@pytest.mark.parametrize("line", GOOD)
def test_what_a_command_would_do_is_what_its_dry_run_says(
    line: str, places: dict[str, str], rehearsal: Rehearsal
) -> None:
    words = words_of(line, places)
    answer, said = rehearsal.ask(words), invoke(*own_words(words))
    assert answer is not None
    assert (answer.ok, answer.message, answer.bug, said.exit_code) == (True, "", "", 0), said.output
    assert answer.plan is not None
    assert but_free_space(answer.plan.data) == but_free_space(json.loads(said.stdout))
    what, number = GOOD[line]
    assert getattr(answer.plan, what) == number
    # What is printed without --json says the same.
    plain = invoke(*(word for word in own_words(words) if word != "--json")).stdout.splitlines()
    told = [one for one in answer.plan.lines if not one.endswith("are free")]
    assert set(told) <= set(plain)
    assert not Path(places["out"]).exists()


@pytest.mark.parametrize("line", BAD)
def test_what_it_would_refuse_is_told_in_its_own_words(
    line: str, places: dict[str, str], rehearsal: Rehearsal
) -> None:
    words = words_of(line, places)
    answer, said = rehearsal.ask(words), invoke(*own_words(words))
    assert answer is not None
    assert said.exit_code == 2
    errors = said.stderr[said.stderr.index("error: ") :]
    assert f"error: {answer.message}\n" == errors
    assert (answer.ok, answer.flag, answer.plan, answer.bug) == (False, BAD[line], None, "")


def test_what_is_there_already_is_said_beside_the_plan(
    places: dict[str, str], rehearsal: Rehearsal, tmp_path: Path
) -> None:
    again = ["trace", "--model", places["model"], "--store", places["store"], "--prompt", "red", *SIZE]
    answer = rehearsal.ask([*again, "--name", "red", "--seeds", "0-1"])
    assert answer is not None
    assert answer.plan is not None
    assert (answer.ok, answer.flag, answer.plan.runs) == (False, "--resume", 1)
    assert "already has 1 of these 2 runs" in answer.message
    resumed = rehearsal.ask([*again, "--name", "red", "--seeds", "0-1", "--resume"])
    assert resumed is not None
    assert (resumed.ok, resumed.message) == (True, "")
    # The dry run itself says it too, and is none the worse for it.
    said = invoke(*again, "--name", "red", "--seeds", "0-1", "--dry-run")
    assert (said.exit_code, f"refused     {answer.message}" in said.stdout) == (0, True)


def test_a_result_that_is_there_is_said_beside_the_plan_too(
    places: dict[str, str], rehearsal: Rehearsal
) -> None:
    results = Path(places["probed"]) / "results"
    results.mkdir(exist_ok=True)
    (results / "taken.nc").touch()
    words = words_of(f"{PROBE} --steps 1 --layers 1 --name taken", places)
    answer, forced = rehearsal.ask(words), rehearsal.ask([*words, "--force"])
    assert answer is not None
    assert forced is not None
    assert answer.message == f"{results / 'taken.nc'} exists; give --force to replace it, or another --name"
    assert (answer.ok, answer.flag, forced.ok) == (False, "--name", True)
    assert answer.plan is not None
    assert forced.plan is not None
    assert answer.plan.rows == forced.plan.rows


def test_an_experiment_is_timed_unless_nothing_may_be_measured(places: dict[str, str]) -> None:
    words = words_of(EXPERIMENT, places)
    timed = json.loads(invoke(*words, "--dry-run", "--json").stdout)["takes"]
    untimed = json.loads(invoke(*words, "--dry-run", "--json", "--no-measure").stdout)["takes"]
    assert timed["seconds"] > 0
    assert untimed["seconds"] is None
    assert "has to be timed" in untimed["seconds_from"]
    own = ("seconds", "seconds_from")
    assert {name: timed[name] for name in timed if name not in own} == {
        name: untimed[name] for name in untimed if name not in own
    }
    assert not Path(places["out"]).exists()


def test_what_would_have_to_be_fetched_or_read_first_is_not_known(
    places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [])
    fetched = [*words_of(f"{TRACE} --store {{out}}", places), "--model", "nobody/nothing"]
    answer = carried_out(fetched, online=True)
    assert (answer.ok, answer.plan, answer.message) == (True, None, "")
    assert answer.remarks == ("the model is fetched first, and what it takes is known then",)
    offline = carried_out(fetched, online=False)
    assert (offline.ok, offline.flag) == (False, "--model")

    def __init__(self: Any, tokenizer: Any, *args: Any, **settings: Any) -> None:
        assert tokenizer.pad_token

    __init__.__wrapped__ = diffusers.WanPipeline.__init__  # type: ignore[attr-defined]
    monkeypatch.setattr(diffusers.WanPipeline, "__init__", __init__)
    unread = carried_out(words_of(f"{TRACE} --store {{out}}", places))
    assert (unread.ok, unread.plan) == (True, None)
    assert unread.remarks == ("its weights have to be read before anything is known of it",)
