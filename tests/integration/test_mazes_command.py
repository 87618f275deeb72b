"""`cosinterp mazes` and the dataset folder that it writes."""

import imageio.v2 as imageio
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cosinterp.cli import app
from cosinterp.errors import SampleError, UserError
from cosinterp.organism.dataset import write_mazes
from cosinterp.organism.mazes import generate_maze
from cosinterp.organism.rendering import CELL_PX, PALETTE, PATH, render_video
from cosinterp.organism.scoring import score_video
from cosinterp.organism.tasks import PROMPTS, truth
from cosinterp.samples import load_dataset


def run(*words):
    return CliRunner().invoke(app, ["mazes", *map(str, words)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("mazes")
    result = run("--out", out, "--count", 3, "--rooms", 5, "--seed", 4)
    assert result.exit_code == 0, result.output
    assert "3 samples" in result.stdout
    return out


def test_a_sample_holds_the_five_files_and_is_named_after_its_maze(folder):
    assert sorted(path.name for path in folder.iterdir()) == ["maze-5x5"]
    assert sorted(path.name for path in (folder / "maze-5x5").iterdir()) == ["00004", "00005", "00006"]
    files = {path.name for path in (folder / "maze-5x5" / "00004").iterdir()}
    assert files == {
        "first_frame.png", "prompt.txt", "final_frame.png", "ground_truth.mp4", "metadata.json"
    }  # fmt: skip


def test_the_samples_read_back_are_the_mazes(folder):
    samples = load_dataset(folder)
    assert [sample.name for sample in samples] == [f"maze-5x5-0000{number}" for number in (4, 5, 6)]
    for number, sample in zip((4, 5, 6), samples, strict=True):
        maze = generate_maze(number, 5)
        goal = ("red", "blue")[number % 2]
        video = render_video(maze, goal)
        assert sample.prompt == PROMPTS[goal][0]
        assert (np.asarray(sample.image) == video[0]).all()
        assert (sample.height, sample.width, sample.num_frames) == (48, 48, len(video))
        assert score_video(video, sample.truth).solved
        for name, value in truth(maze, goal).items():
            assert np.array_equal(sample.truth[name], value)


def test_the_picture_and_the_video_end_with_the_true_path(folder):
    for sample in load_dataset(folder):
        place = folder / "maze-5x5" / sample.name[-5:]
        first, final = np.asarray(sample.image), np.asarray(Image.open(place / "final_frame.png"))
        changed = (first != final).any(axis=-1)
        assert (final[changed] == PALETTE[PATH]).all()
        assert changed.sum() == CELL_PX**2 * (sample.truth["path_order"] > 0).sum()
        video = np.stack(imageio.mimread(place / "ground_truth.mp4"))
        assert len(video) == sample.num_frames
        assert score_video(video, sample.truth).solved


def test_writing_again_leaves_what_is_there_alone(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert run("--out", folder, "--count", 3, "--rooms", 5, "--seed", 4).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_folder_that_holds_another_sample_is_refused(folder):
    result = run("--out", folder, "--count", 3, "--rooms", 5, "--seed", 4, "--paraphrase", 1)
    assert result.exit_code == 2
    assert "holds another sample" in result.stderr


def test_both_goals_make_pairs_that_differ_in_the_prompt_alone(tmp_path):
    assert run("--out", tmp_path, "--count", 2, "--goals", "both").exit_code == 0
    samples = {sample.name: sample for sample in load_dataset(tmp_path)}
    for number in (0, 1):
        red, blue = (samples[f"maze-7x7-{goal}-0000{number}"] for goal in ("red", "blue"))
        assert (np.asarray(red.image) == np.asarray(blue.image)).all()
        assert red.prompt.replace("red", "blue") == blue.prompt
        assert not np.array_equal(red.truth["path_order"], blue.truth["path_order"])


def test_training_mazes_are_kept_apart_by_name(tmp_path):
    assert run("--out", tmp_path, "--count", 1, "--train").exit_code == 0
    assert run("--out", tmp_path, "--count", 1).exit_code == 0
    held_out, seen = load_dataset(tmp_path)
    assert (held_out.name, seen.name) == ("maze-7x7-00000", "maze-7x7-train-00000")
    assert held_out.metadata["split"] == "test"
    assert seen.metadata["split"] == "train"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rooms", 4], "5 to 9 rooms"),
        (["--rooms", 10], "5 to 9 rooms"),
        (["--paraphrase", 5], "paraphrases 0-4"),
        (["--count", 0], "--count"),
        (["--goals", "green"], "--goals"),
    ],
)
def test_bad_flags_are_said_in_one_line_and_write_nothing(tmp_path, words, said):
    result = run("--out", tmp_path / "out", *words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not (tmp_path / "out").exists()


def test_bad_arguments_raise(tmp_path):
    for wrong in ({"count": 0}, {"count": 1, "goals": "green"}, {"count": 1, "seed": -1}):
        with pytest.raises(UserError):
            write_mazes(tmp_path, **wrong)
    (tmp_path / "maze-7x7" / "00000").mkdir(parents=True)
    with pytest.raises(SampleError, match="holds another sample"):
        write_mazes(tmp_path, count=1)
