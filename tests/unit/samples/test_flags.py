"""One sample from flags."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosinterp.errors import SampleError
from cosinterp.samples import sample_from_flags
from tests.unit.samples.making import write_sample


def test_samples_from_flags_are_named_after_what_they_are_made_from(tmp_path: Path) -> None:
    image = write_sample(tmp_path / "red" / "00000") / "first_frame.png"
    long = "go to the red goal, " * 20
    names = {
        sample_from_flags("go").name,
        sample_from_flags("go", image=image).name,
        sample_from_flags("go!").name,
        sample_from_flags(long + "a").name,
        sample_from_flags(long + "b").name,
    }
    assert len(names) == 5
    assert all(len(name) <= 128 for name in names)
    assert sample_from_flags("go", name="maze-3").name == "maze-3"


def test_a_prompt_file_is_stripped(tmp_path: Path) -> None:
    path = tmp_path / "prompt.txt"
    path.write_text("\n go to the red goal. \n")
    assert sample_from_flags(prompt_file=path).prompt == "go to the red goal."


def test_one_prompt_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match="either a prompt or a prompt file"):
        sample_from_flags()
    with pytest.raises(SampleError, match="either a prompt or a prompt file"):
        sample_from_flags("go", prompt_file=tmp_path / "prompt.txt")


def test_a_prompt_that_no_file_can_hold_is_refused() -> None:
    with pytest.raises(SampleError, match=r"the prompt holds half of a character \(U\+DCFF\)"):
        sample_from_flags("go \udcff")


def test_a_whole_character_outside_the_basic_plane_is_text() -> None:
    assert sample_from_flags("go \U0001f600").prompt == "go \U0001f600"
