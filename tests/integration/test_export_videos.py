"""From a benchmark's folder to videos that its evaluators take: ``trace``, then ``export-videos``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from stores import open_store
from tests.unit.samples.making import KEY_DOOR, MAZE, write_bench

SIZE = ("--height", "32", "--width", "32", "--num-frames", "5", "--num-steps", "2")
KEPT = ("--layers", "0", "--save-steps", "0", "--reduce", "mean")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_bench(tmp_path_factory.mktemp("data") / "VBVR-Bench")
    for number, path in enumerate(sorted(root.glob("*/*/*/first_frame.png"))):
        Image.new("RGB", (32, 32), (60 * number, 90, 200)).save(path)
    return root


@pytest.fixture(scope="module")
def traced(bench: Path, tiny_folder: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two stores of the same runs: one with the videos, one without."""
    folder = tmp_path_factory.mktemp("stores")
    for name, video in (("with", "--video"), ("without", "--no-video")):
        result = run(
            *("trace", "--model", tiny_folder("wan2.2-i2v-a14b"), "--dataset", bench, "--only", "*-0000?"),
            *("--seeds", "0-1", *SIZE, *KEPT, video, "--store", folder / name),
        )
        assert result.exit_code == 0, result.output
    return folder


def found_by_evaluators(folder: Path, truth: Path) -> dict[tuple[str, int], Path]:
    """The videos of one model as VBVR-Bench's run_evaluation.py finds them, by task and index."""
    found = {}
    for split in ("In-Domain_50", "Out-of-Domain_50"):
        for task in (folder / split).iterdir():
            for video in task.iterdir():
                if re.fullmatch(r"\d{5}\.mp4", video.name):
                    index = int(video.stem)
                    assert (truth / split / task.name / f"{index:05d}" / "ground_truth.mp4").is_file()
                    found[task.name, index] = video
    return found


def read(path: Path) -> np.ndarray:
    return np.stack(imageio.mimread(path))  # type: ignore[arg-type]


@pytest.mark.parametrize("stored", ["with", "without"])
def test_a_benchmark_goes_through_to_its_evaluators(
    bench: Path, traced: Path, tmp_path: Path, stored: str
) -> None:
    out = tmp_path / "videos"
    result = run("export-videos", traced / stored, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"{out}/seed-0: 4 videos; 16 frames a second",
        f"{out}/seed-1: 4 videos; 16 frames a second",
    ]
    made = open_store(traced / "with")
    for seed in (0, 1):
        videos = found_by_evaluators(out / f"seed-{seed}", bench)
        assert set(videos) == {(task, index) for task in (KEY_DOOR, MAZE) for index in (0, 1)}
        for (task, index), path in videos.items():
            split = "In-Domain_50" if task == KEY_DOOR else "Out-of-Domain_50"
            with made.run(f"{split}-{task}-{index:05d}", seed) as generated:
                assert generated.video is not None
                off = np.abs(read(path).astype(int) - generated.video).mean()
                others = np.abs(255 - read(path).astype(int) - generated.video).mean()
                assert off < 0.5 * others

    again = run("export-videos", traced / stored, "--out", out)
    assert again.exit_code == 0
    assert again.stdout.splitlines()[0] == f"{out}/seed-0: 0 videos; 4 there already; 16 frames a second"


def test_videos_of_both_stores_are_the_same_bytes(traced: Path, tmp_path: Path) -> None:
    for stored in ("with", "without"):
        assert run("export-videos", traced / stored, "--out", tmp_path / stored, "--seeds", 1).exit_code == 0
    paths = [path.relative_to(tmp_path / "with") for path in (tmp_path / "with").rglob("*.mp4")]
    assert len(paths) == 4
    for path in paths:
        assert (tmp_path / "with" / path).read_bytes() == (tmp_path / "without" / path).read_bytes()


def test_a_script_reads_what_is_written(traced: Path, tmp_path: Path) -> None:
    name = f"In-Domain_50-{KEY_DOOR}-00001"
    flags = (
        "export-videos",
        traced / "without",
        "--out",
        tmp_path,
        "--samples",
        name,
        "--seeds",
        1,
        "--json",
    )
    dry = json.loads(run(*flags, "--dry-run").stdout)
    assert (dry["dry_run"], list(tmp_path.iterdir())) == (True, [])
    for present in (False, True):
        report = json.loads(run(*flags, "--fps", 8).stdout)
        [video] = report["videos"]
        assert video["path"] == str(tmp_path / "seed-1" / "In-Domain_50" / KEY_DOOR / "00001.mp4")
        assert (video["sample"], video["seed"], video["variant"]) == (name, 1, "base")
        assert (video["frame_rate"], video["placed"], video["present"]) == (8, True, present)
        assert Path(video["decoder"]).is_dir()
    with imageio.get_reader(video["path"]) as reader:
        assert reader.get_meta_data()["fps"] == 8


def test_a_sample_of_no_dataset_folder_is_remarked_on(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    trace = (
        "trace",
        "--model",
        tiny_folder("wan2.1-t2v"),
        "--prompt",
        "go",
        "--name",
        "go-red",
        *SIZE,
        *KEPT,
    )
    assert run(*trace, "--store", tmp_path / "store").exit_code == 0
    result = run("export-videos", tmp_path / "store", "--out", tmp_path / "videos")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "videos" / "seed-0" / "go-red.mp4").is_file()
    assert "1 sample of no dataset folder, such as go-red: evaluators do not find" in result.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seeds", "7"], "no run is selected"),
        (["--samples", "maze-9"], "no run is selected"),
        (["--samples", "a,"], "a name is empty"),
        (["--fps", "0"], "the frame rate has to be a number above 0, not 0.0"),
        (["--pixel-format", "gray"], 'unknown pixel format "gray"; use yuv420p or yuv444p'),
        (["--model", "no-such-model"], "unknown model no-such-model"),
    ],
)
def test_bad_flags_are_one_line_and_write_nothing(
    traced: Path, tmp_path: Path, flags: list[str], message: str
) -> None:
    result = run("export-videos", traced / "without", "--out", tmp_path / "videos", *flags)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert not (tmp_path / "videos").exists()


def test_a_video_of_something_else_stays(traced: Path, tmp_path: Path) -> None:
    mine = tmp_path / "seed-0" / "In-Domain_50" / KEY_DOOR / "00000.mp4"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    result = run("export-videos", traced / "with", "--out", tmp_path)
    assert result.exit_code == 2
    assert result.stderr.startswith(
        f"error: {mine}: this is of another run, or was made otherwise; replace it with"
    )
    assert mine.read_bytes() == b"mine"
    assert run("export-videos", traced / "with", "--out", tmp_path, "--force").exit_code == 0
    assert mine.read_bytes() != b"mine"


def test_a_jsonl_is_traced_like_a_folder(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (60, 90, 200)).save(tmp_path / "a.png")
    rows = [{"prompt": f"go {number}", "image": "a.png", "level": number} for number in range(3)]
    table = tmp_path / "prompts.jsonl"
    table.write_text(
        "".join(json.dumps({**row, "height": 32, "width": 32, "num_frames": 5}) + "\n" for row in rows)
    )
    result = run(
        *("trace", "--model", tiny_folder("wan2.2-i2v-a14b"), "--dataset", table, "--num-steps", 2, *KEPT),
        *("--only", "*-00001,*-00002", "--limit", 1, "--store", tmp_path / "store"),
    )
    assert result.exit_code == 0, result.output
    store = open_store(tmp_path / "store")
    assert [entry.sample for entry in store.runs()] == ["prompts-00001"]
    with store.run("prompts-00001", 0) as traced:
        assert (traced.prompt, traced.attrs["metadata"]) == ("go 1", {"level": 1})
        assert (traced.image == np.asarray(Image.open(tmp_path / "a.png"))).all()
    broken = run(
        *("trace", "--model", "none", "--dataset", table, "--only", "maze", "--store", tmp_path / "b")
    )
    assert broken.exit_code == 2
    assert (
        'prompts.jsonl: no sample is called "maze"; there are prompts-00000, prompts-00001' in broken.stderr
    )
