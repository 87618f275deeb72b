"""`cosinterp decode`: pictures and videos of planted clean estimates, and of a tiny Wan's."""

import shutil

import diffusers
import imageio.v2 as imageio
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cosinterp import decoding
from cosinterp.cli import app
from cosinterp.decoding import clean_videos, decode_run, final_video, model_of
from cosinterp.errors import ModelError, SelectionError, UserError
from cosinterp.media_places import media_folder
from cosinterp.models.loading import load
from cosinterp.tracing import trace
from probes.figures.pictures import enlarge
from tests.planted import CellDecoder, maze_estimate, maze_truth, plant
from tests.tiny import sample_for
from tests.unit.probes.figures.test_pictures import where

KIND = "wan2.2-i2v-a14b"


@pytest.fixture
def store(tmp_path):
    runs = {
        (f"maze-{maze}", seed): np.stack([maze_estimate(maze, share=share) for share in (0.0, 0.5, 1.0)])
        for maze in range(2)
        for seed in (0, 3)
    }
    return plant(tmp_path / "store", runs, {f"maze-{maze}": maze_truth(maze) for maze in range(2)})


@pytest.fixture
def decoder(monkeypatch):
    made = CellDecoder()
    monkeypatch.setattr(decoding, "model_of", lambda *_, **__: made)
    return made


def invoke(*arguments):
    return CliRunner().invoke(app, ["decode", *(str(argument) for argument in arguments)])


def test_the_picture_holds_the_clean_estimate_of_each_step_and_the_true_final_frame(store, tmp_path):
    with store.run("maze-0", 0) as run:
        media = decode_run(CellDecoder(), run, tmp_path / "media", videos=False)
    picture = Image.open(media.picture)
    decoder = CellDecoder()
    rows = []
    for share in (0.0, 0.5, 1.0):
        last = enlarge(decoder.decode(maze_estimate(0, share=share))[-1], 112)
        rows.append(where(picture, last))
    # Frame 0 of every row shows no path, so the first place of each is what tells the rows apart.
    assert rows[0][0][0] < rows[1][0][0] < rows[2][0][0]
    # The last estimate is right, so it is the true final frame as well, which stands to its right.
    (row, column), (truth_row, truth_column) = rows[2]
    assert truth_row == row
    assert truth_column > column
    assert media.videos == {}


def test_videos_and_animation_have_every_frame_and_step(store, tmp_path):
    with store.run("maze-1", 3) as run:
        media = decode_run(CellDecoder(), run, str(tmp_path / "media"))
    assert media.folder == tmp_path / "media"
    assert sorted(media.videos) == [0, 1, 2]
    frames = np.stack(imageio.mimread(media.videos[2]))  # type: ignore[arg-type]
    truth = enlarge(CellDecoder().decode(maze_estimate(1)), 384)
    assert frames.shape == truth.shape
    assert np.abs(frames.astype(int) - truth.astype(int)).mean() < 4
    with Image.open(media.animation) as animation:
        assert getattr(animation, "n_frames") == 3  # noqa: B009
    assert sorted(path.name for path in media.folder.iterdir()) == sorted(
        [decoding.PICTURE, decoding.ANIMATION, "step-00.mp4", "step-01.mp4", "step-02.mp4"]
    )


@pytest.mark.parametrize("together", [1, 2, 3, 7])
def test_decoding_several_steps_at_a_time_changes_nothing(store, monkeypatch, together):
    monkeypatch.setattr(decoding, "_BATCH_NUMBERS", together * maze_estimate(0).size)
    decoder = CellDecoder()
    with store.run("maze-0", 0) as run:
        found = list(clean_videos(decoder, run))
        assert decoder.calls == -(-3 // together)
        assert [step for step, _ in found] == [0, 1, 2]
        for step, video in found:
            assert (video == decoder.decode(run.clean_estimate(step))).all()
        assert [step for step, _ in clean_videos(decoder, run, [2, 0])] == [2, 0]


def test_a_failure_leaves_no_half_written_file_and_keeps_the_old_one(store, tmp_path, monkeypatch):
    folder = tmp_path / "media"
    with store.run("maze-0", 0) as run:
        before = decode_run(CellDecoder(), run, folder, videos=False).picture.read_bytes()

        def fail(self, path, **_):
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device", str(path))

        monkeypatch.setattr(Image.Image, "save", fail)
        with pytest.raises(OSError, match="No space"):
            decode_run(CellDecoder(), run, folder, videos=False, title="another")
    assert (folder / decoding.PICTURE).read_bytes() == before
    assert sorted(path.name for path in folder.iterdir()) == [decoding.ANIMATION, decoding.PICTURE]


def test_a_full_disk_names_the_file(store, tmp_path, monkeypatch):
    def fail(self, path, **_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with (
        store.run("maze-0", 0) as run,
        pytest.raises(UserError, match=r"steps\.png: cannot be written: No space left"),
    ):
        decode_run(CellDecoder(), run, tmp_path / "media", videos=False)


def test_one_run_goes_into_the_stores_media(store, decoder):
    result = invoke(store.path, "--sample", "maze-0", "--seed", 3)
    assert result.exit_code == 0, result.output
    picture = media_folder(store.path / "media", "maze-0", 3) / decoding.PICTURE
    assert result.stdout.strip() == str(picture)
    assert picture.is_file()
    assert not media_folder(store.path / "media", "maze-0", 0).exists()
    assert not store.verify()


def test_all_runs_into_another_folder_and_chosen_steps(store, decoder, tmp_path):
    result = invoke(store.path, "--all", "--out", tmp_path / "elsewhere", "--steps", "0,-1")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 4
    folder = media_folder(tmp_path / "elsewhere", "maze-1", 3)
    assert sorted(path.name for path in folder.glob("*.mp4")) == ["step-00.mp4", "step-02.mp4"]
    assert not (store.path / "media").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say which runs: --sample NAME, or --all"),
        (["--sample", "maze-7"], "has no sample 'maze-7'; it has maze-0, maze-1"),
        (["--sample", "maze-0", "--all"], "leave out --sample"),
        (["--all", "--seed", "1"], "there is no seed 1; this choice of runs has seeds 0,3"),
        (["--all", "--steps", "2-0"], "runs backwards"),
        (["--all", "--steps", "3"], "this run has steps 0-2"),
        (["--all", "--variant", "patched"], "no runs of variant patched"),
    ],
)
def test_bad_flags_get_one_line_and_nothing_is_written(store, decoder, arguments, message):
    result = invoke(store.path, *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (store.path / "media").exists()


def test_other_variants_have_folders_of_their_own(tmp_path):
    assert media_folder(tmp_path, "a", 0) == tmp_path / "a" / "0"
    assert media_folder(tmp_path, "a", 0, "patched") == tmp_path / "a" / "0.patched"


def test_a_store_that_names_no_model_or_a_lost_one_says_what_to_do(tmp_path):
    runs = {("maze-0", 0): maze_estimate(0)[None]}
    nameless = plant(tmp_path / "nameless", runs, model="")
    with pytest.raises(SelectionError, match="--model"):
        model_of(nameless)
    lost = plant(tmp_path / "lost", runs, model="no-such-model")
    with pytest.raises(ModelError, match="--model"):
        model_of(lost)


def test_a_model_that_has_changed_since_decodes_only_if_it_is_named(tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder(KIND), tmp_path / "model")
    store = trace(
        load(folder, device="cpu"), sample_for(KIND), store=tmp_path / "store", seeds="0", num_steps=2
    )
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    result = invoke(store.path, "--no-videos")
    assert result.exit_code == 2
    assert "has changed since it made" in " ".join(result.stderr.split())
    assert not (store.path / "media").exists()
    assert invoke(store.path, "--no-videos", "--model", folder).exit_code == 0


def test_what_a_given_pipeline_made_is_decoded_by_a_model_that_is_named(tiny_folder, tmp_path):
    folder = tiny_folder(KIND)
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder)
    store = trace(load(pipeline), sample_for(KIND), store=tmp_path / "store", seeds="0", num_steps=2)
    result = invoke(store.path, "--no-videos")
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert "was made by a pipeline that was given as an object" in said
    assert "has changed" not in said
    assert invoke(store.path, "--no-videos", "--model", folder).exit_code == 0


def test_a_model_with_another_vae_is_refused(store, tiny_folder):
    result = invoke(store.path, "--all", "--model", tiny_folder(KIND))
    assert result.exit_code == 2
    assert "its latents have 4 channels, the stored ones 1" in " ".join(result.stderr.split())


def test_a_tiny_wans_run_decodes_to_the_video_that_it_made(tiny_model, tiny_folder, tmp_path):
    model = tiny_model(KIND)
    store = trace(model, sample_for(KIND), store=tmp_path / "store", seeds="0", num_steps=2)
    with store.run("sample-0", 0) as run:
        made = final_video(model, run)
        assert (model.decode(run.noisy(run.num_steps)) == made).all()
        estimates = dict(clean_videos(model, run))
        assert sorted(estimates) == [0, 1]
        assert estimates[1].shape == made.shape
        alone = model.decode(run.clean_estimate(1)).astype(int)
        assert np.abs(estimates[1].astype(int) - alone).max() <= 1
    result = invoke(store.path)
    assert result.exit_code == 0, result.output
    with Image.open(result.stdout.strip()) as picture:
        assert picture.width > 500
