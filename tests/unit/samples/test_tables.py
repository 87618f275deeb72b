"""Datasets in JSONL and CSV."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from cosinterp.errors import SampleError
from cosinterp.samples import load_dataset
from tests.unit.samples.making import write_lines


@pytest.fixture
def image(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (6, 4)).save(tmp_path / "images" / "a.png")
    return tmp_path / "images" / "a.png"


def test_jsonl(tmp_path: Path, image: Path) -> None:
    table = write_lines(
        tmp_path / "prompts.jsonl",
        {"prompt": " go left\n", "image": "images/a.png", "level": 3, "tags": ["a"], "height": 64},
        "",
        {"prompt": "go right", "name": "right!", "image": None, "truth": {"path": [[0, 1]], "goal": "red"}},
        {"prompt": "go up", "image": str(image), "width": 32, "num_frames": 9},
    )
    left, right, up = load_dataset(table)
    assert [left.name, up.name] == ["prompts-00000", "prompts-00002"]
    assert right.name.startswith("right-")
    assert (left.prompt, left.image_size, left.height) == ("go left", (6, 4), 64)
    assert left.metadata == {"level": 3, "tags": ["a"]}
    assert (right.image, right.truth["path"].tolist(), right.truth["goal"]) == (None, [[0, 1]], "red")
    assert (up.image_size, up.width, up.num_frames, up.metadata) == ((6, 4), 32, 9, {})


def test_csv(tmp_path: Path, image: Path) -> None:
    table = tmp_path / "prompts.csv"
    table.write_text(
        "\ufeffname, prompt, image, height, level\r\n"
        'a,"go left, then\nright",images/a.png,64,3\r\n'
        "\r\n"
        ",go up,,,\r\n",
        encoding="utf-8",
        newline="",
    )
    first, second = load_dataset(table)
    assert (first.name, first.prompt, first.image_size) == ("a", "go left, then\nright", (6, 4))
    assert (first.height, first.metadata) == (64, {"level": "3"})
    assert (second.name, second.prompt, second.image, second.height) == ("prompts-00001", "go up", None, None)
    assert second.metadata == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is not valid JSON (Expecting property name enclosed in double quotes, column 2)"),
        ("[1]", "has to hold a JSON object"),
        ({"text": "go", "seed": 3}, "has no prompt; it has text, seed"),
        ({"prompt": " "}, "has no prompt; it has prompt"),
        ({"prompt": 3}, "prompt has to be a text, not 3"),
        ({"prompt": "go \ud800"}, "prompt holds half of a character (U+D800); write it whole, in UTF-8"),
        ({"prompt": "go\0"}, "prompt holds a NUL character; leave it out"),
        ({"prompt": "go", "image": "\0.png"}, "image holds a NUL character; leave it out"),
        ({"prompt": "go", "name": ["a"]}, 'name has to be a text, not ["a"]'),
        ({"prompt": "go", "image": "none.png"}, "none.png: no such image"),
        ({"prompt": "go", "image": "prompts.jsonl"}, "prompts.jsonl: cannot be read as an image"),
        ('{"prompt": "go", "level": ' + "9" * 5000 + "}", "holds a number of too many digits"),
        ({"prompt": "go", "height": 64.5}, "height has to be a whole number above 0, not 64.5"),
        ({"prompt": "go", "truth": {"walls": [[1], []]}}, "truth 'walls' has rows of different lengths"),
    ],
)
def test_a_bad_line_of_jsonl_is_named(line: dict | str, message: str, tmp_path: Path) -> None:
    table = write_lines(tmp_path / "prompts.jsonl", {"prompt": "go"}, "", line)
    with pytest.raises(SampleError) as caught:
        load_dataset(table)
    assert str(caught.value).startswith(f"{table}:3: ")
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"text,image\ngo,\n", ":1: has no column prompt; the first line names them, and has text, image"),
        (b"", ":1: has no column prompt; the first line names them, and has nothing"),
        (b"prompt,level,level\ngo,1,2\n", ":1: has two columns level"),
        (b"prompt\ngo\ngo, now\n", ":3: has more cells than there are columns"),
        (b"prompt,image\ngo,\n,a.png\n", ":3: has no prompt; it has image"),
        (b"prompt,height\ngo,64\ngo,tall\n", ":3: height has to be a whole number above 0, not 'tall'"),
        (b"prompt,height\ngo,64\ngo,0\n", ":3: height has to be a whole number above 0, not 0"),
        (
            b"prompt,height\ngo," + b"9" * 5000 + b"\n",
            ":2: height has to be a whole number above 0, not '" + "9" * 39,
        ),
        (b"prompt,image\ngo,\ngo,none.png\n", ":3: {folder}/none.png: no such image"),
        (b"prompt,truth\ngo,1\n", ":2: a truth cannot be written in CSV; use JSONL"),
        (b'prompt\ngo\n"go\n', ":3: cannot be read as CSV (unexpected end of data)"),
        (b"prompt\ngo\n\xff\xfe\n", ":3: is not text in UTF-8"),
        (b"prompt\n", ": no samples here; a sample is a line"),
    ],
)
def test_a_bad_csv_is_named_with_its_line(content: bytes, message: str, tmp_path: Path) -> None:
    table = tmp_path / "prompts.csv"
    table.write_bytes(content)
    with pytest.raises(SampleError) as caught:
        load_dataset(table)
    assert str(caught.value).startswith(f"{table}{message.format(folder=tmp_path)}")


def test_a_bad_byte_in_jsonl_is_named_with_its_line(tmp_path: Path) -> None:
    table = tmp_path / "prompts.jsonl"
    table.write_bytes(b'{"prompt": "go"}\n{"prompt": "\xff"}\n')
    with pytest.raises(SampleError, match=r"prompts\.jsonl:2: is not text in UTF-8"):
        load_dataset(table)
