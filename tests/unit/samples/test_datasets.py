"""Which reader takes a dataset, and which of its samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosinterp.errors import SampleError
from cosinterp.samples import load_dataset, sample_names
from tests.unit.samples.making import KEY_DOOR, MAZE, write_bench, write_lines, write_sample


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    return write_bench(tmp_path / "bench")


@pytest.mark.parametrize(
    ("only", "limit", "taken"),
    [
        (None, None, [0, 1, 2, 3]),
        (None, 3, [0, 1, 2]),
        (None, 9, [0, 1, 2, 3]),
        ("In-Domain_50-*", None, [0, 1]),
        ("*-00001", None, [1, 3]),
        ("*-00001", 1, [1]),
        (["*maze*-00001", "*key_door*-0000?"], None, [0, 1, 3]),
        (f"In-Domain_50-{KEY_DOOR}-00000", None, [0]),
    ],
)
def test_samples_are_chosen_by_pattern_and_number(
    bench: Path, only: str | list[str] | None, limit: int | None, taken: list[int]
) -> None:
    names = list(sample_names(bench))
    chosen = load_dataset(bench, only=only, limit=limit)
    assert [sample.name for sample in chosen] == [names[number] for number in taken]


@pytest.mark.parametrize("limit", [1, 2, None])
def test_a_pattern_that_matches_nothing_is_noticed_whatever_the_limit(bench: Path, limit: int | None) -> None:
    with pytest.raises(SampleError, match='no sample is called "typo"'):
        load_dataset(bench, only=["*-00000", "typo"], limit=limit)
    both = load_dataset(bench, only=["In-*", "Out-*"], limit=1)
    assert [sample.name for sample in both] == [f"In-Domain_50-{KEY_DOOR}-00000"]


@pytest.mark.parametrize("limit", [0, -1, 1.5])
@pytest.mark.parametrize("only", [None, "*"])
def test_a_limit_below_one_is_refused(bench: Path, only: str | None, limit: Any) -> None:
    with pytest.raises(SampleError, match=f"the limit has to be a whole number above 0, not {limit}"):
        load_dataset(bench, only=only, limit=limit)


def test_what_is_not_chosen_is_not_read(bench: Path) -> None:
    broken = bench / "Out-of-Domain_50" / MAZE / "00001" / "first_frame.png"
    broken.write_bytes(b"no image")
    assert len(load_dataset(bench, only="*-00000")) == 2
    assert len(load_dataset(bench, limit=3)) == 3
    with pytest.raises(SampleError, match="first_frame.png: cannot be read"):
        load_dataset(bench)


@pytest.mark.parametrize("only", ["maze", ["In-Domain_50-*", "maze"]])
def test_a_pattern_that_matches_nothing_says_what_there_is(bench: Path, only: str | list[str]) -> None:
    with pytest.raises(SampleError) as caught:
        load_dataset(bench, only=only)
    there = f"In-Domain_50-{KEY_DOOR}-00000, In-Domain_50-{KEY_DOOR}-00001, Out-of-Domain_50-{MAZE}-00000"
    assert str(caught.value).startswith(f'{bench}: no sample is called "maze"; there are {there}')


def test_two_samples_of_one_name_are_refused(tmp_path: Path) -> None:
    table = write_lines(tmp_path / "a.jsonl", *[{"prompt": "go", "name": "maze-3"}] * 2)
    with pytest.raises(
        SampleError, match=r"a\.jsonl:2 and .*a\.jsonl:1 would both be called maze-3; rename one"
    ):
        load_dataset(table)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "none: no such dataset"),
        ("prompts.txt", r"prompts\.txt: is no dataset; one is a folder, or a file \.jsonl or \.csv"),
        ("folder", r"folder: no samples here; a sample is a folder with prompt\.txt in it"),
        ("empty.JSONL", r"empty\.JSONL: no samples here; a sample is a line"),
    ],
)
def test_what_is_no_dataset_is_said(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "prompts.txt").touch()
    (tmp_path / "empty.JSONL").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(SampleError, match=message):
        load_dataset(tmp_path / name)


def test_finding_names_reads_nothing(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "red" / "00000")
    (folder / "first_frame.png").write_bytes(b"no image")
    (folder / "metadata.json").write_text("{")
    assert list(sample_names(tmp_path)) == ["red-00000"]
