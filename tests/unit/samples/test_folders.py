"""Dataset folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cosinterp.errors import SampleError
from cosinterp.samples import Place, load_dataset
from tests.unit.samples.making import KEY_DOOR, MAZE, write_bench, write_sample


def test_a_dataset_is_read_in_order_with_truth_and_size(tmp_path: Path) -> None:
    truth = {"path": [[0, 1], [1, 1]], "goal": "red", "length": 3}
    write_sample(tmp_path / "red" / "00001", "second")
    write_sample(tmp_path / "red" / "00000", " first\n", {"truth": truth, "height": 64, "rooms": 7})
    write_sample(tmp_path / "blue" / "00000", image=False)
    samples = load_dataset(tmp_path)
    assert [sample.name for sample in samples] == ["blue-00000", "red-00000", "red-00001"]
    first = samples[1]
    assert (first.prompt, first.height, first.width) == ("first", 64, None)
    assert isinstance(first.truth["path"], np.ndarray)
    assert first.truth["path"].tolist() == truth["path"]
    assert (first.truth["goal"], first.truth["length"]) == ("red", 3)
    place = {"split": None, "task": "red", "index": "00000"}
    assert first.metadata == {"height": 64, "rooms": 7, "vbvr": place}
    assert first.image is not None
    assert (first.image.mode, first.image.size) == ("RGB", (6, 4))
    assert samples[0].image is None


def test_a_task_folder_and_a_single_sample_can_be_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_sample(tmp_path / "red" / "00000")
    monkeypatch.chdir(folder)
    for given in (tmp_path, tmp_path / "red", folder, Path(), Path("..")):
        assert [sample.name for sample in load_dataset(given)] == ["red-00000"]


def test_a_benchs_samples_are_called_the_same_however_much_of_it_is_given(tmp_path: Path) -> None:
    bench = write_bench(tmp_path / "VBVR-Bench")
    names = [f"In-Domain_50-{KEY_DOOR}-0000{number}" for number in range(2)]
    names += [f"Out-of-Domain_50-{MAZE}-0000{number}" for number in range(2)]
    assert [sample.name for sample in load_dataset(bench)] == names
    assert [sample.name for sample in load_dataset(tmp_path)] == names
    assert [sample.name for sample in load_dataset(bench / "In-Domain_50")] == names[:2]
    assert [sample.name for sample in load_dataset(bench / "In-Domain_50" / KEY_DOOR)] == names[:2]
    assert [sample.name for sample in load_dataset(bench / "In-Domain_50" / KEY_DOOR / "00001")] == names[1:2]


def test_the_place_and_the_true_files_are_remembered(tmp_path: Path) -> None:
    sample = load_dataset(write_bench(tmp_path))[3]
    folder = tmp_path / "Out-of-Domain_50" / MAZE / "00001"
    assert sample.metadata == {
        "vbvr": {
            "split": "Out-of-Domain_50",
            "task": MAZE,
            "index": "00001",
            "final_frame": str(folder / "final_frame.png"),
            "ground_truth": str(folder / "ground_truth.mp4"),
        }
    }
    place = Place.from_metadata(sample.metadata)
    assert place == Place("Out-of-Domain_50", MAZE, "00001")
    assert (place.path, place.name) == (f"Out-of-Domain_50/{MAZE}/00001", sample.name)


def test_what_lies_between_the_dataset_and_a_task_is_the_split(tmp_path: Path) -> None:
    write_sample(tmp_path / "train" / "red" / "00000")
    write_sample(tmp_path / "test" / "red" / "00000")
    write_sample(tmp_path / "test" / "rewritten" / "red" / "00000")
    assert {sample.name: sample.metadata["vbvr"]["split"] for sample in load_dataset(tmp_path)} == {
        "test-red-00000": "test",
        "test-rewritten-red-00000": "test/rewritten",
        "train-red-00000": "train",
    }


def test_of_two_splits_of_the_bench_around_a_sample_the_inner_one_counts(tmp_path: Path) -> None:
    outer = tmp_path / "In-Domain_50" / "copies"
    write_sample(outer / "Out-of-Domain_50" / MAZE / "00000")
    for given in (tmp_path, outer, outer / "Out-of-Domain_50"):
        [sample] = load_dataset(given)
        assert sample.name == f"Out-of-Domain_50-{MAZE}-00000"
        assert sample.metadata["vbvr"]["split"] == "Out-of-Domain_50"


def test_the_metadata_may_have_their_other_name(tmp_path: Path) -> None:
    write_sample(tmp_path / "red" / "00000", metadata={"id": 3, "width": 32}, file="question_metadata.json")
    [sample] = load_dataset(tmp_path)
    assert (sample.metadata["id"], sample.width) == (3, 32)


def test_a_prompt_beside_the_true_video_belongs_to_the_sample_above_it(tmp_path: Path) -> None:
    folder = tmp_path / "G-1_data-generator" / "moves_task" / "moves_00000007"
    write_sample(folder / "video", "move it", image=False)
    (folder / "video" / "ground_truth.mp4").write_bytes(b"not read")
    Image.new("RGB", (6, 4)).save(folder / "first_frame.png")
    (folder / "metadata.json").write_text(json.dumps({"task_id": "moves_00000007"}))
    [sample] = load_dataset(tmp_path)
    assert sample.name == "G-1_data-generator-moves_task-moves_00000007"
    assert (sample.prompt, sample.image_size, sample.metadata["task_id"]) == (
        "move it",
        (6, 4),
        "moves_00000007",
    )
    assert sample.metadata["vbvr"]["ground_truth"] == str(folder / "video" / "ground_truth.mp4")


def test_hidden_folders_and_endless_links_are_passed_over(tmp_path: Path) -> None:
    write_sample(tmp_path / "red" / "00000")
    write_sample(tmp_path / ".cache" / "red" / "00000")
    (tmp_path / "red" / "empty").mkdir()
    (tmp_path / "red" / "empty" / "around").symlink_to(tmp_path / "red" / "empty")
    assert [sample.name for sample in load_dataset(tmp_path)] == ["red-00000"]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ([1], "has to hold a JSON object"),
        ({"truth": [1]}, "truth has to be a JSON object"),
        ({"truth": {"walls": [[1, 2], [3]]}}, "'walls' has rows of different lengths"),
        ({"truth": {"walls": ["a"]}}, "'walls' holds something that is no number"),
        ({"truth": {"walls": None}}, "'walls' has to be a number, a text or nested lists"),
        (
            {"truth": {"goals/red": 1}},
            "'goals/red' cannot be a name; a name is a text without slashes, and not \"",
        ),
        ({"truth": {"goal": "\udc00"}}, r"truth 'goal' holds half of a character \(U\+DC00\)"),
        ({"truth": {"goal": "red\0"}}, "truth 'goal' holds a NUL character"),
        ({"truth": {"\ud83d": 1}}, "holds half of a character"),
        ({"truth": {"length": 2**64}}, "'length' has to be a number, a text or nested lists"),
        ({"height": "tall"}, "height has to be a whole number above 0, not 'tall'"),
        ({"num_frames": 0}, "num_frames has to be a whole number above 0"),
        ({"width": True}, "width has to be a whole number above 0"),
        ({"vbvr": 1}, 'has an entry "vbvr"'),
    ],
)
@pytest.mark.parametrize("file", ["metadata.json", "question_metadata.json"])
def test_bad_metadata_names_its_file(metadata: object, message: str, file: str, tmp_path: Path) -> None:
    write_sample(tmp_path / "red" / "00000", metadata=metadata, file=file)
    with pytest.raises(SampleError, match=f"00000/{file}: .*{message}"):
        load_dataset(tmp_path)


def test_broken_files_are_named(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "red" / "00000")
    (folder / "metadata.json").write_text('{"height":\n tall}')
    with pytest.raises(
        SampleError, match=r"metadata\.json: is not valid JSON \(Expecting value, line 2 column 2\)"
    ):
        load_dataset(tmp_path)
    (folder / "metadata.json").write_bytes(b"\xff")
    with pytest.raises(SampleError, match=r"metadata\.json: is not valid JSON"):
        load_dataset(tmp_path)
    (folder / "metadata.json").write_text("[" * 100_000)
    with pytest.raises(SampleError, match=r"metadata\.json: is not valid JSON \(too deeply nested\)"):
        load_dataset(tmp_path)
    (folder / "metadata.json").unlink()
    (folder / "metadata.json").mkdir()
    with pytest.raises(SampleError, match=r"metadata\.json: is a folder; the metadata are a file"):
        load_dataset(tmp_path)
    (folder / "metadata.json").rmdir()
    (folder / "first_frame.png").write_bytes(b"no image")
    with pytest.raises(SampleError, match=r"first_frame\.png: cannot be read as an image"):
        load_dataset(tmp_path)
    for content in (b"\xff\xfe\x00", "go".encode("utf-16-le")):
        (folder / "prompt.txt").write_bytes(content)
        with pytest.raises(SampleError, match=r"prompt\.txt: the prompt file is not text"):
            load_dataset(tmp_path)


@pytest.mark.parametrize("entry", ["..", "/etc", "a/../../b", "a//b", "a/", 3])
@pytest.mark.parametrize("part", ["split", "task", "index"])
def test_no_place_leads_out_of_a_folder(entry: object, part: str) -> None:
    place = {"split": "In-Domain_50", "task": MAZE, "index": "00000"}
    assert Place.from_metadata({"vbvr": place}) == Place(**place)
    assert Place.from_metadata({"vbvr": {**place, part: entry}}) is None


def test_metadata_without_a_place_tell_none() -> None:
    for metadata in ({}, {"vbvr": None}, {"vbvr": {"split": None, "task": "", "index": ""}}, {"vbvr": {}}):
        assert Place.from_metadata(metadata) is None
    assert Place.from_metadata({"vbvr": {"split": None, "task": "", "index": "00000"}}).path == "00000"
