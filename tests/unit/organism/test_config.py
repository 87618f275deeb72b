"""The training configuration: what ships is sound, and mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosinterp.errors import UserError
from cosinterp.organism.config import DEFAULT_CONFIG, load_config


def test_the_shipped_configuration_is_sound():
    config = load_config()
    assert config.transformer.num_layers == 8
    assert set(config.pool) == {5, 6, 7, 8, 9}
    assert [sorted(phase.shares) for phase in config.denoiser.curriculum] == [[12, 16], [12, 16, 20]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 0\n", "", "missing seed"),
        ("seed = 0\n", "seed = 0\nspeed = 1\n", "unknown speed"),
        ("seed = 0\n", "seed = -1\n", "seed has to be a whole number, 0 or more, not -1"),
        ("num_layers = 8", "layers = 8", r"\[transformer\]: missing num_layers, unknown layers"),
        ("num_layers = 8", "num_layers = 0", "num_layers has to be a whole number, 1 or more, not 0"),
        ("num_layers = 8", 'num_layers = "8"', "num_layers has to be a whole number, 1 or more, not '8'"),
        ("kl_weight = 1e-5", "kl_weight = true", "kl_weight has to be a number, 0 or more, not True"),
        ("num_frames = 9", "num_frames = 8", "num_frames has to be a multiple of 2 and 1 more, not 8"),
        ("clip_frames = 5", "clip_frames = 11", "clip_frames is more than num_frames"),
        ("7 = 50000", "", "the pool needs mazes of 7 rooms a side"),
        ("7 = 50000", "7 = 50000\n10 = 5", "5 to 9 rooms a side, not 10"),
        ("7 = 50000", "7 = 0", "pool has to be a whole number, 1 or more, not 0"),
        ("7 = 50000", "seven = 50000", "the keys of pool have to be sizes"),
        ("16 = 0.88", "16 = 0.80", "phase until 1 do not add up to 1"),
        ("20 = 0.06", "24 = 0.06", "asks for 24 cells a side, which no maze of the pool has"),
        ("until = 1.0, ", "", r"\[denoiser.curriculum 1\]: missing until"),
        ("[denoiser]", "[denoiser", "is no valid TOML"),
    ],
)
def test_a_mistake_is_named(tmp_path, old, new, message):
    text = DEFAULT_CONFIG.read_text()
    assert text.count(old) == 1
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message):
        load_config(path)


@pytest.mark.parametrize("content", [b"seed = \xff\n", b"pool = 3\n", b"[denoiser]\ncurriculum = 1\n"])
def test_what_is_no_configuration_is_refused(tmp_path, content):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(UserError, match="mine.toml|training configuration"):
        load_config(path)


def test_a_file_that_cannot_be_read_is_named():
    with pytest.raises(UserError, match="cannot read the training configuration nowhere.toml: No such file"):
        load_config(Path("nowhere.toml"))
