"""`cosinterp scenes` and the dataset folder that it writes."""

from __future__ import annotations

import imageio.v2 as imageio
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cosinterp.cli import app
from cosinterp.errors import SampleError, UserError
from cosinterp.organism.scenes.dataset import write_scenes
from cosinterp.organism.scenes.rendering import colour
from cosinterp.organism.scenes.tasks import PROMPTS, TASKS, generate_scene
from cosinterp.samples import load_dataset
from cosinterp.scorers import task_of


def run(*words):
    return CliRunner().invoke(app, ["scenes", *map(str, words)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("scenes")
    for task in TASKS:
        result = run("--out", out, "--task", task, "--count", 2, "--seed", 4)
        assert result.exit_code == 0, result.output
        assert "2 samples" in result.stdout
    return out


def test_the_samples_read_back_are_the_scenes(folder):
    samples = load_dataset(folder)
    assert [sample.name for sample in samples] == [
        f"{task}-0000{number}" for task in sorted(TASKS) for number in (4, 5)
    ]
    for sample in samples:
        scene = generate_scene(str(sample.truth["task"]), int(sample.name[-5:]))
        video = colour(scene.cells())
        assert sample.prompt == PROMPTS[scene.kind][0]
        assert (np.asarray(sample.image) == video[0]).all()
        assert (sample.height, sample.width, sample.num_frames) == (64, 64, 9)
        assert set(sample.truth) == set(scene.truth())
        for name, value in scene.truth().items():
            assert np.array_equal(sample.truth[name], value)


def test_the_true_video_and_picture_on_disk_are_right_answers(folder):
    for sample in load_dataset(folder):
        place = folder / str(sample.truth["task"]) / sample.name[-5:]
        video = np.stack(imageio.mimread(place / "ground_truth.mp4"))
        task = task_of(sample.truth)
        assert all(value == 1 for value in task.score(video, sample.truth).values())
        final = np.asarray(Image.open(place / "final_frame.png"))
        assert np.array_equal(task.final_frame(sample.truth), final)


def test_writing_again_leaves_what_is_there_alone(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert run("--out", folder, "--count", 2, "--seed", 4).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    result = run("--out", folder, "--count", 2, "--seed", 4, "--paraphrase", 1)
    assert result.exit_code == 2
    assert "holds another sample" in result.stderr


def test_pairs_lie_side_by_side_under_the_same_number(tmp_path):
    for task in TASKS:
        assert run("--out", tmp_path, "--task", task, "--count", 2, "--pairs").exit_code == 0
    samples = {sample.name: sample for sample in load_dataset(tmp_path)}
    kinds = ("permanence-own", "permanence-colour", "permanence-course", "grounding-own", "grounding-named")
    assert set(samples) == {f"{kind}-0000{number}" for kind in kinds for number in (0, 1)}
    for number in (0, 1):
        own, named = (samples[f"grounding-{which}-0000{number}"] for which in ("own", "named"))
        assert (np.asarray(own.image) == np.asarray(named.image)).all()
        assert own.prompt.replace(own.truth["named"], named.truth["named"]) == named.prompt
        own, other = (samples[f"permanence-{which}-0000{number}"] for which in ("own", "colour"))
        assert own.prompt == other.prompt
        assert own.truth["colour"] != other.truth["colour"]


def test_training_scenes_are_kept_apart_by_name(tmp_path):
    assert run("--out", tmp_path, "--count", 1, "--train").exit_code == 0
    [sample] = load_dataset(tmp_path)
    assert sample.name == "permanence-train-00000"
    assert sample.metadata["split"] == "train"


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--paraphrase", 5], "paraphrases 0-4"), (["--count", 0], "--count"), (["--task", "maze"], "--task")],
)
def test_bad_flags_are_said_in_one_line_and_write_nothing(tmp_path, words, said):
    result = run("--out", tmp_path / "out", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_bad_arguments_raise(tmp_path):
    for wrong in ({"task": "maze", "count": 1}, {"task": "grounding", "count": 0}):
        with pytest.raises(UserError):
            write_scenes(tmp_path, **wrong)
    (tmp_path / "grounding" / "00000").mkdir(parents=True)
    with pytest.raises(SampleError, match="holds another sample"):
        write_scenes(tmp_path, task="grounding", count=1)
