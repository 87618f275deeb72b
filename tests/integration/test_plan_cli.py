"""``cosinterp plan``, and the page that shows what it says of a study on 64 GPUs."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from tests.integration.large import a14b

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
HUB = "Wan-AI/Wan2.2-I2V-A14B-Diffusers"


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of this machine for what the page names: the model of that shape, and a first image."""
    folder = tmp_path_factory.mktemp("plan")
    Image.new("RGB", (832, 480)).save(folder / "first.png")
    return {HUB: str(a14b(folder / "a14b")), "first.png": str(folder / "first.png")}


def planned(words: list[str], stand_ins: dict[str, str]) -> Result:
    return CliRunner().invoke(app, ["plan", *(stand_ins.get(word, word) for word in words)])


def shown(page: str) -> Iterator[tuple[list[str], list[str]]]:
    """The commands that a page shows (the words after ``cosinterp plan``), each with the lines below it."""
    for block in re.findall(r"^    \$ cosinterp plan .*?(?=^\S)", page, re.MULTILINE | re.DOTALL):
        lines = [line[4:].rstrip() for line in block.splitlines() if line.strip()]
        last = next(number for number, line in enumerate(lines) if not line.endswith("\\"))
        command = " ".join(line.rstrip("\\") for line in lines[: last + 1])
        yield shlex.split(command)[3:], lines[last + 1 :]


COMMANDS = list(shown(PAGE.read_text(encoding="utf-8")))


def test_the_page_has_the_plan_and_three_aims() -> None:
    assert len(COMMANDS) == 4


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_the_page_shows_what_is_planned_today(number: int, stand_ins: dict[str, str]) -> None:
    words, lines = COMMANDS[number]
    result = planned(words, stand_ins)
    assert result.exit_code == 0, result.output
    assert [line.rstrip() for line in result.stdout.splitlines() if line.strip()] == lines


def test_what_is_recommended_is_what_is_planned() -> None:
    """Each ``cosinterp trace`` of the page has the flags of the plan below it, and none that there is not."""
    page = PAGE.read_text(encoding="utf-8").partition("### What to choose")[2]
    traces = re.findall(r"^    cosinterp trace ((?:.*\\\n)*.*)$", page, re.MULTILINE)
    assert len(traces) == len(COMMANDS) - 1
    own = {"--dataset", "--store", "--executor", "--resume"}
    fleet = {"--prompt", "--image", "--samples", "--gpus", "--node-disk", "--evaluation", "--more-seconds"}
    for text, (planning, _) in zip(traces, COMMANDS[1:], strict=True):
        words = shlex.split(text.replace("\\\n", " "))
        assert flags_of(words, own) == flags_of(planning, fleet)
        # Unknown flags are refused before help is shown.
        result = CliRunner().invoke(app, ["trace", *words, "--help"])
        assert result.exit_code == 0, result.output


def flags_of(words: list[str], without: set[str]) -> list[tuple[str, str]]:
    """The flags of a command, each with its value, in order of their names."""
    following = [*words[1:], "--"]
    pairs = [
        (word, "" if value.startswith("--") else value)
        for word, value in zip(words, following, strict=True)
        if word.startswith("--")
    ]
    return sorted(pair for pair in pairs if pair[0] not in without)


def test_figures_in_the_text_follow_from_the_plan(stand_ins: dict[str, str]) -> None:
    data = json.loads(planned([*COMMANDS[0][0], "--json"], stand_ins).stdout)
    full, project, mean = (data["kept"][f"{name} bf16"] for name in ("full", "project:64", "mean"))
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    run_seconds, node_rate = data["run_seconds"], project["node_bytes_per_second"] / 1e9
    gpu_hours = data["runs"] * run_seconds / 3600
    slabs = f"{len(data['steps'])} steps x {len(data['layers']['resid'])} layers x {len(data['branches'])}"
    figures = [
        f"{data['runs']:,} runs",
        f"{slabs} branches",
        f"make {full['node_bytes_per_second'] / 1e9:.0f} GB/s",
        f"takes the disks {full['wall_seconds'] / 86400:.0f} days",
        f"({full['wall_seconds'] / 86400 * 1.4 / 2:.0f} at 2.0 GB/s)",
        f"One file has {full['run_bytes'] / 1e12:.1f} TB",
        f"and {full['bytes'] / 1e15:.0f} PB have to go somewhere",
        f"nodes that make {node_rate:.2f} GB/s each are {node_rate * 8:.1f} GB/s",
        f"{node_rate:.2f} GB/s are {node_rate * 8:.1f} Gbit/s",
        f"8 x {run_seconds:.0f} s = {run_seconds * 8 / 3600:.2f} GPU hours of {gpu_hours:.0f}",
        f"so {full['lost_gpu_seconds'] / 3600:.1f} GPU hours are lost at most",
        f"and {full['wall_seconds'] / 3600:.0f} h see {full['wall_seconds'] / 86400:.0f} such days",
        f"takes {full['wall_seconds'] / project['wall_seconds']:.0f} times as long",
    ]
    assert [figure for figure in figures if figure not in text] == []
    # What latents and video take, below which a smaller reduction gains nothing.
    assert 0.9e9 < mean["run_bytes"] < 1e9


def test_an_own_choice_stands_alone_and_a_slow_disk_is_said(stand_ins: dict[str, str]) -> None:
    flags = ["--model", HUB, "--prompt", "go", "--image", "first.png", "--num-steps", "4", "--gpus", "2"]
    flags += ["--height", "480", "--width", "832", "--num-frames", "81", "--evaluation", "3"]
    result = planned([*flags, "--reduce", "norm", "--store-dtype", "fp16"], stand_ins)
    assert [line.split()[0] for line in result.stdout.splitlines() if line.startswith(" norm")] == ["norm"]
    assert " full" not in result.stdout
    slow = json.loads(
        planned([*flags, "--node-disk", "99", "--shared-disk", "0.001", "--json"], stand_ins).stdout
    )
    assert slow["kept"]["mean bf16"]["bottleneck"] == "shared disk"
    assert slow["fleet"]["nodes"] == 1
    assert max(map(len, planned([*flags, "--shared-disk", "9"], stand_ins).stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--evaluation", "0"], "--evaluation has to be more than 0 seconds"),
        (["--evaluation", "1", "--node-disk", "0"], "node disk has to be more than 0"),
        (["--evaluation", "1", "--samples", "9", "--dataset"], "--samples multiplies one sample"),
        (["--evaluation", "1", "--layers", "0-99"], "layers"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    flags: list[str], message: str, stand_ins: dict[str, str], tmp_path: Path
) -> None:
    samples = [{"name": name, "prompt": "go", "image": stand_ins["first.png"]} for name in "ab"]
    (tmp_path / "two.jsonl").write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    given = (
        [str(tmp_path / "two.jsonl")]
        if flags[-1] == "--dataset"
        else ["--prompt", "go", "--image", "first.png"]
    )
    result = planned(["--model", HUB, *flags, *given], stand_ins)
    assert result.exit_code == 2
    assert message in result.stderr
