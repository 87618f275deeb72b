"""`cosinterp demo`: from mazes to pictures and scores, made small by a tiny model and few steps."""

import re

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from cosinterp.cli import app
from cosinterp.cli.half_blocks import shrunk, strip
from cosinterp.organism.rendering import PALETTE
from cosinterp.scorers import task_of
from stores import open_store

KIND = "wan2.2-i2v-a14b"


@pytest.fixture(scope="module")
def arguments(tiny_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    return out, [
        "demo", "--out", str(out), "--model", str(tiny_folder(KIND)), "--device", "cpu",
        "--rooms", "5", "--mazes", "2", "--seeds", "0-1", "--num-steps", "2",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def first(arguments):
    return CliRunner().invoke(app, arguments[1])


def test_it_ends_with_pictures_scores_and_the_next_commands(arguments, first):
    out, _ = arguments
    assert first.exit_code == 0, first.output
    found = re.search(r"^step by step +(.+)$", first.stdout, re.MULTILINE)
    assert found is not None
    with Image.open(found[1]) as picture:
        assert picture.width > 500
    text = " ".join(first.stdout.split())
    assert "clean estimate by step, mean and 95% interval" in text
    assert "n = 4 runs of 2 samples" in text
    assert "score-by-step.png" in text
    assert f"cosinterp decode {out / 'store'} --all" in text


def test_all_layers_and_the_truth_are_in_the_store(arguments, first):
    out, _ = arguments
    store = open_store(out / "store")
    assert len(store.runs()) == 4
    assert not store.verify()
    entry = store.runs()[0]
    with store.run(entry.sample, entry.seed) as run:
        assert run.num_steps == 2
        assert run.sites["resid"].layers == (0, 1, 2, 3)
        assert task_of(run.truth) is not None
        assert run.video is not None


def test_every_run_has_its_picture_and_one_has_videos(arguments, first):
    media = arguments[0] / "store" / "media"
    assert len(list(media.glob("*/*/steps.png"))) == 4
    assert len({path.parent for path in media.glob("*/*/*.mp4")}) == 1


def test_a_second_start_makes_nothing_again_and_says_the_same(arguments, first):
    out, words = arguments
    kept = [*out.glob("store/runs/*/*.h5"), *out.glob("store/media/*/*/*")]
    before = {path: path.stat().st_mtime_ns for path in kept}
    second = CliRunner().invoke(app, words)
    assert second.exit_code == 0, second.output
    assert second.stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in kept} == before


def test_other_settings_in_the_same_folder_are_refused(arguments, first):
    _, words = arguments
    result = CliRunner().invoke(app, [*words[:-1], "3"])
    assert result.exit_code == 2
    assert "num_steps" in result.stderr


def test_half_blocks_show_two_pixels_a_character():
    frame = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    console = Console(width=40, color_system="truecolor", force_terminal=True)
    lines = console.render_lines(strip([frame, frame], ["step 0", "step 1"], 4), pad=False)
    assert len(lines) == 3
    blocks = [segment for line in lines[1:] for segment in line if "▀" in segment.text]
    assert len(blocks) == 2 * 2 * 4
    style = blocks[0].style
    assert style is not None
    assert style.color is not None
    assert style.bgcolor is not None
    assert tuple(style.color.get_truecolor()) == tuple(frame[0, 0])
    assert tuple(style.bgcolor.get_truecolor()) == tuple(frame[1, 0])


def test_a_frame_is_shrunk_to_the_mean_of_its_pixels():
    cells = PALETTE[np.random.default_rng(0).integers(0, 6, (8, 8))]
    assert (shrunk(cells.repeat(4, 0).repeat(4, 1), 8) == cells).all()
    assert shrunk(np.zeros((480, 832, 3), np.uint8), 16).shape == (10, 16, 3)
