"""Samples from flags and from dataset folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cosinterp.errors import SampleError
from cosinterp.samples import load_dataset, read_image, sample_from_flags


def write_sample(folder: Path, prompt: str = "go", metadata: object = None, image: bool = True) -> Path:
    folder.mkdir(parents=True)
    (folder / "prompt.txt").write_text(prompt, encoding="utf-8")
    if image:
        Image.new("RGBA", (6, 4), (10, 20, 30, 255)).save(folder / "first_frame.png")
    if metadata is not None:
        (folder / "metadata.json").write_text(json.dumps(metadata))
    return folder


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
    assert first.metadata == {"height": 64, "rooms": 7}
    assert first.image is not None
    assert (first.image.mode, first.image.size) == ("RGB", (6, 4))
    assert samples[0].image is None


def test_a_task_folder_and_a_single_sample_can_be_given(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "red" / "00000")
    assert [s.name for s in load_dataset(tmp_path / "red")] == ["red-00000"]
    assert [s.name for s in load_dataset(folder)] == ["red-00000"]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ([1], "has to hold a JSON object"),
        ({"truth": [1]}, "truth has to be a JSON object"),
        ({"truth": {"walls": [[1, 2], [3]]}}, "'walls' has rows of different lengths"),
        ({"truth": {"walls": ["a"]}}, "'walls' holds something that is no number"),
        ({"truth": {"walls": None}}, "'walls' has to be a number, a text or nested lists"),
        ({"truth": {"goals/red": 1}}, "'goals/red' cannot be a name"),
        ({"truth": {"length": 2**64}}, "'length' has to be a number, a text or nested lists"),
        ({"height": "tall"}, "height has to be a whole number above 0, not 'tall'"),
        ({"num_frames": 0}, "num_frames has to be a whole number above 0"),
        ({"width": True}, "width has to be a whole number above 0"),
    ],
)
def test_bad_metadata_names_its_file(metadata: object, message: str, tmp_path: Path) -> None:
    write_sample(tmp_path / "red" / "00000", metadata=metadata)
    with pytest.raises(SampleError, match=f"metadata.json: .*{message}"):
        load_dataset(tmp_path)


def test_broken_files_are_named(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "red" / "00000")
    (folder / "metadata.json").write_text("{")
    with pytest.raises(SampleError, match=r"metadata\.json: is not valid JSON"):
        load_dataset(tmp_path)
    (folder / "metadata.json").unlink()
    (folder / "first_frame.png").write_bytes(b"no image")
    with pytest.raises(SampleError, match=r"first_frame\.png: cannot be read as an image"):
        load_dataset(tmp_path)
    for content in (b"\xff\xfe\x00", "go".encode("utf-16-le")):
        (folder / "prompt.txt").write_bytes(content)
        with pytest.raises(SampleError, match=r"prompt\.txt: the prompt file is not text"):
            load_dataset(tmp_path)


def test_a_truncated_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "first.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(SampleError, match="cannot be read as an image"):
        sample_from_flags("go", image=path)


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


def test_an_image_that_unpacks_to_far_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(SampleError, match="cannot be read as an image"):
        read_image(tmp_path / "huge.png")
