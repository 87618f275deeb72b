"""Samples: what is generated from. Read from flags, or from a dataset folder in VBVR layout.

A dataset is a folder of task folders, each with numbered samples::

    mazes/maze-7x7-red/00000/first_frame.png      the first image (optional)
                             prompt.txt
                             metadata.json        (optional) "truth", "height", "width", "num_frames", ...
                             final_frame.png, ground_truth.mp4    (not read here)

A task folder, or one numbered sample, can be given as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from cosinterp.errors import SampleError
from stores.layout import sample_name
from stores.values import is_value_name

PROMPT_FILE = "prompt.txt"
IMAGE_FILE = "first_frame.png"
METADATA_FILE = "metadata.json"
_SIZE_KEYS = ("height", "width", "num_frames")

Truth = dict[str, Any]
"""What is known of a sample, by name: arrays on the token grid, numbers or texts."""


@dataclass(frozen=True)
class Sample:
    """What is generated from.

    ``truth`` holds arrays on the token grid, numbers or texts; ``height``, ``width`` (pixels) and
    ``num_frames`` are the sample's own, if it has any.
    """

    name: str
    prompt: str
    image: Image.Image | None = None
    truth: Truth = field(default_factory=dict)
    height: int | None = None
    width: int | None = None
    num_frames: int | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def sample_from_flags(
    prompt: str | None = None,
    *,
    prompt_file: Path | str | None = None,
    image: Path | str | None = None,
    name: str | None = None,
) -> Sample:
    """One sample from a prompt, or a file with one, and an image file.

    Without ``name`` it is called after the image and the prompt.

    Raises:
        SampleError: no prompt or two, an empty prompt file, an image that is no image.
    """
    if (prompt is None) == (prompt_file is None):
        raise SampleError("give either a prompt or a prompt file")
    text = _read_prompt(Path(prompt_file)) if prompt_file is not None else (prompt or "").strip()
    if not text:
        raise SampleError("the prompt is empty")
    picture = None if image is None else read_image(Path(image))
    # Named after all that it is made from, so that a store never takes one sample for another.
    source = text if image is None else f"{Path(image).stem} {text}"
    return Sample(name=sample_name(name or source), prompt=text, image=picture)


def load_dataset(folder: Path | str) -> list[Sample]:
    """The samples of a dataset folder, in the order of their paths.

    Raises:
        SampleError: no such folder, no samples in it, or a sample that cannot be read; names the file.
    """
    root = Path(folder)
    if not root.is_dir():
        raise SampleError(
            f"{root}: is a file; a dataset is a folder"
            if root.exists()
            else f"{root}: no such dataset folder"
        )
    folders = sorted(path.parent for path in _prompt_files(root))
    if not folders:
        raise SampleError(f"{root}: no samples here; a sample is a folder with {PROMPT_FILE} in it")
    samples = [_read_sample(path) for path in folders]
    seen: dict[str, Path] = {}
    for sample, path in zip(samples, folders, strict=True):
        if sample.name in seen:
            raise SampleError(
                f"{path} and {seen[sample.name]} would both be called {sample.name}; rename one"
            )
        seen[sample.name] = path
    return samples


def read_image(path: Path) -> Image.Image:
    """An image file as RGB.

    Raises:
        SampleError: there is no such file, or it is no image.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise SampleError(f"{path}: no such image") from error
    except IsADirectoryError as error:
        raise SampleError(f"{path}: is a folder; name an image") from error
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise SampleError(f"{path}: cannot be read as an image") from error


def _prompt_files(root: Path) -> Iterator[Path]:
    for pattern in (PROMPT_FILE, f"*/{PROMPT_FILE}", f"*/*/{PROMPT_FILE}"):
        yield from root.glob(pattern)


def _read_sample(folder: Path) -> Sample:
    metadata = _read_metadata(folder / METADATA_FILE)
    image = folder / IMAGE_FILE
    sizes = {key: _size(metadata, key, folder / METADATA_FILE) for key in _SIZE_KEYS}
    return Sample(
        name=sample_name(f"{folder.resolve().parent.name}-{folder.resolve().name}"),
        prompt=_read_prompt(folder / PROMPT_FILE),
        image=read_image(image) if image.exists() else None,
        truth=_truth(metadata.pop("truth", {}), folder / METADATA_FILE),
        metadata=metadata,
        **sizes,
    )


def _read_prompt(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError as error:
        raise SampleError(f"{path}: no such prompt file") from error
    except IsADirectoryError as error:
        raise SampleError(f"{path}: is a folder; a prompt file is a text") from error
    except UnicodeDecodeError as error:
        raise SampleError(f"{path}: the prompt file is not text") from error
    # UTF-16 read as UTF-8, for one.
    if "\0" in text:
        raise SampleError(f"{path}: the prompt file is not text in UTF-8")
    if not text:
        raise SampleError(f"{path}: the prompt file is empty")
    return text


def _read_metadata(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SampleError(f"{path}: is not valid JSON ({error})") from error
    if not isinstance(metadata, dict):
        raise SampleError(f"{path}: has to hold a JSON object")
    return metadata


def _size(metadata: dict[str, Any], key: str, path: Path) -> int | None:
    value = metadata.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        return value
    raise SampleError(f"{path}: {key} has to be a whole number above 0, not {value!r}")


def _truth(entries: Any, path: Path) -> Truth:
    if not isinstance(entries, dict):
        raise SampleError(f"{path}: truth has to be a JSON object of names and values")
    truth: Truth = {}
    for name, value in entries.items():
        if not is_value_name(name):
            raise SampleError(f"{path}: truth {name!r} cannot be a name; use letters, digits and underscores")
        if isinstance(value, list):
            value = _array(name, value, path)
        elif np.asarray(value).dtype.kind not in "biufU":
            raise SampleError(f"{path}: truth {name!r} has to be a number, a text or nested lists of numbers")
        truth[name] = value
    return truth


def _array(name: str, value: list[Any], path: Path) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise SampleError(f"{path}: truth {name!r} has rows of different lengths") from error
    if array.dtype.kind not in "biuf":
        raise SampleError(f"{path}: truth {name!r} holds something that is no number")
    return array
