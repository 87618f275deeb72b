"""``cosinterp trace`` and ``cosinterp verify`` as commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from cosinterp.cli.command_line import resume_command
from stores import open_store
from tests.tiny import build

SIZE = ["--height", "32", "--width", "32", "--num-frames", "5", "--num-steps", "3"]
Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def model(tiny_folder: Callable[[str], Path]) -> Path:
    return tiny_folder("wan2.1-t2v")


def test_traces_a_dataset(run: Run, tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    for number, prompt in enumerate(["go to the red goal", "go to the blue goal", "solve it"]):
        folder = tmp_path / "mazes" / "maze-7x7" / f"{number:05}"
        folder.mkdir(parents=True)
        (folder / "prompt.txt").write_text(prompt)
        Image.new("RGB", (32, 32), (number * 40, 90, 200)).save(folder / "first_frame.png")
        (folder / "metadata.json").write_text(
            json.dumps({"height": 32, "width": 32, "num_frames": 5, "truth": {"path": [[0, 1], [1, 0]]}})
        )
    store = tmp_path / "store"
    result = run(
        *("trace", "--model", tiny_folder("wan2.2-i2v-a14b"), "--dataset", tmp_path / "mazes"),
        *("--seeds", "0-1", "--layers", "0-3", "--sites", "resid,self_attn", "--num-steps", "3"),
        *("--branches", "cond", "--save-steps", "0,2", "--batch", "2", "--limit", "2", "--store", store),
    )
    assert result.exit_code == 0, result.output
    opened = open_store(store)
    assert [(entry.sample, entry.seed) for entry in opened.runs()] == [
        *(("maze-7x7-00000", 0), ("maze-7x7-00000", 1), ("maze-7x7-00001", 0), ("maze-7x7-00001", 1))
    ]
    with opened.run("maze-7x7-00001", 1) as kept:
        assert kept.prompt == "go to the blue goal"
        assert kept.truth["path"].tolist() == [[0, 1], [1, 0]]
        assert kept.sites["resid"].steps == (0, 2)


def test_dry_run_says_the_size_and_makes_nothing(run: Run, model: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    flags = ["--model", model, "--prompt", "go", *SIZE, "--seeds", "0-1", "--store", store]
    result = run("trace", *flags, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "2 to make, 0 there already" in result.output
    assert "3x4x4 (frame, row, col)" in result.output
    assert not store.exists()


def test_resume(run: Run, model: Path, tmp_path: Path) -> None:
    flags = ["--model", model, "--prompt", "go", *SIZE, "--store", tmp_path / "store"]
    assert run("trace", *flags, "--seeds", "0").exit_code == 0
    again = run("trace", *flags, "--seeds", "0-1")
    assert again.exit_code == 2
    assert "--resume" in again.output
    assert run("trace", *flags, "--seeds", "0-1", "--resume").exit_code == 0
    assert len(open_store(tmp_path / "store").runs()) == 2


def test_a_refusal_by_the_store_is_one_line_too(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for store in (tmp_path / "file", tmp_path / "file" / "store"):
        result = run("trace", "--model", model, "--prompt", "go", *SIZE, "--store", store)
        assert result.exit_code == 2
        assert len(result.stderr.splitlines()) == 1
        assert result.stderr.startswith(f"error: {store}: ")


def test_the_command_to_go_on_can_be_typed() -> None:
    words = ["trace", "--store", "runs/a b"]
    assert resume_command(["/usr/bin/cosinterp", *words]) == "cosinterp trace --store 'runs/a b' --resume"
    assert (
        resume_command(["/lib/cosinterp/__main__.py", *words, "--resume"])
        == "python -m cosinterp trace --store 'runs/a b' --resume"
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model", "no-such-model", "--prompt", "go"], "unknown model no-such-model"),
        (["--model", "{tmp}", "--prompt", "go"], "not a diffusers pipeline folder"),
        (["--prompt-file", "{tmp}/empty.txt"], "the prompt file is empty"),
        (["--prompt-file", "{tmp}/none.txt"], "no such prompt file"),
        (["--prompt", "  "], "the prompt is empty"),
        ([], "nothing to generate from"),
        (["--prompt", "go", "--image", "{tmp}/empty.txt"], "cannot be read as an image"),
        (["--prompt", "go", "--image", "{tmp}/none.png"], "no such image"),
        (["--dataset", "{tmp}"], "no samples here"),
        (["--dataset", "{tmp}/none"], "no such dataset"),
        (["--dataset", "{tmp}", "--prompt", "go"], "leave out --prompt"),
        (["--prompt", "go", "--only", "maze-*"], "--only chooses among the samples of a dataset"),
        (["--prompt", "go", "--limit", "2"], "--limit chooses among the samples of a dataset"),
        (["--prompt", "go", "--layers", "0-40"], "this model has layers 0-3"),
        (["--prompt", "go", "--layers", "3-1"], "runs backwards"),
        (["--prompt", "go", "--save-steps", "3"], "this run has steps 0-2"),
        (["--prompt", "go", "--sites", "attention"], 'unknown site "attention"'),
        (["--prompt", "go", "--seeds", "x"], "seeds"),
        (["--prompt", "go", "--device", "tpu"], '"tpu" names no device'),
        (["--prompt", "go", "--dtype", "int4"], 'unknown dtype "int4"'),
        (["--prompt", "go", "--offload", "disk"], 'unknown offload "disk"'),
        (["--prompt", "go", "--offload", "model", "--device", "cpu"], "needs a GPU"),
        (["--prompt", "go", "--lora", "{tmp}/none.safetensors"], "no such LoRA"),
        (["--prompt", "go", "--pipeline", "NoPipeline"], "has no pipeline NoPipeline"),
        (["--prompt", "go", "--host-memory", "0"], "--host-memory"),
        (["--prompt", "go", "--host-memory", "nan"], "--host-memory has to be a number above 0, not nan"),
        (["--prompt", "go", "--guidance-scale", "nan"], "guidance_scale has to be a number, not nan"),
        (["--prompt", "go", "--revision", "main"], "leave out the revision main"),
        (["--prompt-file", "{tmp}"], "is a folder; a prompt file is a text"),
        (["--prompt", "go", "--image", "{tmp}"], "is a folder; name an image"),
        (["--dataset", "{tmp}/empty.txt"], "is no dataset; one is a folder, or a file .jsonl or .csv"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_bad_input_is_one_line_and_makes_nothing(
    flags: list[str], message: str, run: Run, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.txt").touch()
    flags = [flag.format(tmp=tmp_path) for flag in flags]
    if "--model" not in flags:
        flags += ["--model", str(model)]
    result = run("trace", *flags, *SIZE, "--store", tmp_path / "store")
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert not (tmp_path / "store").exists()


def test_verify_passes(run: Run, model: Path) -> None:
    result = run("verify", model, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["passed"]
    assert [check["name"] for check in report["checks"]] == [
        *("calls", "clean estimate", "token grid", "token places", "decoded video", "traced video"),
        *("captured tensors", "sublayer sites", "identity patch", "replay", "skipped blocks"),
        *("calls, no guidance", "branches", "captured tensors, no guidance"),
        *("calls, two in a batch", "captured tensors, two in a batch"),
    ]
    assert all(check["compares"] for check in report["checks"])
    assert {check["worst"] for check in report["checks"] if check["allowed"] == 0} == {0.0}


def test_verify_fails_a_model_that_is_not_understood(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cosinterp.models.families import wan

    monkeypatch.setattr(wan, "_FEED_FORWARD_GATE", 4)
    result = run("verify", build("wan2.1-t2v", tmp_path / "model"))
    assert result.exit_code == 1
    assert "FAIL sublayer sites" in result.output
    assert result.output.count("FAIL") == 1
