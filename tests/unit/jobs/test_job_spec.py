"""What a job is to do, as words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cosinterp.errors import JobError
from cosinterp.jobs.spec import JobSpec


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"model": "maze-wan", "num_steps": 12}, ["--model", "maze-wan", "--num-steps", "12"]),
        ({"resume": True, "video": False, "image": None}, ["--resume", "--no-video"]),
        ({"only": ["a*", "b*"], "lora": []}, ["--only", "a*", "--only", "b*"]),
        ({"layers": "-1", "seeds": -3}, ["--layers=-1", "--seeds=-3"]),
        ({"store": Path("a b"), "set": ("x=1",)}, ["--store", "a b", "--set", "x=1"]),
        ({"from_": "donor"}, ["--from", "donor"]),
    ],
)
def test_a_call_becomes_the_words_of_a_command(flags: dict[str, object], words: list[str]) -> None:
    assert JobSpec.of("trace", **flags).words == ("trace", *words)


def test_what_has_no_flag_comes_first() -> None:
    assert JobSpec.of("store", "verify", Path("x y"), json=True).words == ("store", "verify", "x y", "--json")


def test_a_spec_is_the_same_when_it_is_read(tmp_path: Path) -> None:
    # The last is how a name of a file arrives that is no UTF-8.
    words = ["mazes", "; rm -rf /", "a\nb", "✓", "", b"\xff".decode(errors="surrogateescape")]
    spec = JobSpec.of_words(words, name="mine")
    (tmp_path / "spec.json").write_bytes(spec.as_json())
    assert JobSpec.read(tmp_path / "spec.json") == spec


def test_the_environment_is_no_part_of_a_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    told = json.loads(JobSpec.of("mazes").as_json())
    assert set(told) == {"words", "cwd", "name", "created", "python", "version"}
    assert "hf_secret" not in str(told)


@pytest.mark.parametrize("words", [[], ["mazes", "a\0b"]])
def test_what_no_command_line_can_hold_is_refused(words: list[str]) -> None:
    with pytest.raises(JobError, match="no command line") as refused:
        JobSpec.of_words(words)
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(JobError, match="the folder that you are in is gone"):
        JobSpec.of_words(["mazes"])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"words": []}', '{"words": "mazes"}'])
def test_a_damaged_spec_is_said(text: str, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(text)
    with pytest.raises(JobError, match="this is no spec of a job"):
        JobSpec.read(tmp_path / "spec.json")


def test_a_spec_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="spec.json: No such file"):
        JobSpec.read(tmp_path / "spec.json")
