"""What a sample is made of, read and checked. Errors begin with ``where``: the file, perhaps its line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cosinterp.errors import SampleError
from cosinterp.samples.sample import Truth
from stores.values import is_value_name

SIZES = ("height", "width", "num_frames")


def read_prompt(path: Path) -> str:
    """The text of a prompt file, without the white space around it.

    Raises:
        SampleError: no such file, no text in UTF-8, or an empty one.
    """
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


def check_text(text: str, where: str) -> None:
    """Refuse what no file can hold as text: NUL, and half of a character, as ``"\\ud800"`` in JSON is.

    Raises:
        SampleError: ``text`` holds one; begins with ``where``.
    """
    if "\0" in text:
        raise SampleError(f"{where} holds a NUL character; leave it out")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"U+{ord(text[error.start]):04X}"
        raise SampleError(f"{where} holds half of a character ({half}); write it whole, in UTF-8") from error


def json_object(text: str, where: str) -> dict[str, Any]:
    """The JSON object that ``text`` is.

    Raises:
        SampleError: it is none.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno} " if error.lineno > 1 else ""
        raise SampleError(f"{where}: is not valid JSON ({error.msg}, {line}column {error.colno})") from error
    except RecursionError as error:
        raise SampleError(f"{where}: is not valid JSON (too deeply nested)") from error
    except ValueError as error:
        # Python reads no integer of thousands of digits.
        raise SampleError(f"{where}: holds a number of too many digits") from error
    if not isinstance(value, dict):
        raise SampleError(f"{where}: has to hold a JSON object")
    return value


def sizes(entries: Mapping[str, Any], where: str) -> dict[str, int | None]:
    """Height, width and number of frames, as far as ``entries`` has them.

    Raises:
        SampleError: one is no whole number above 0.
    """
    found: dict[str, int | None] = {}
    for key in SIZES:
        value = entries.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise SampleError(f"{where}: {key} has to be a whole number above 0, not {value!r:.40}")
        found[key] = value
    return found


def truth_of(entries: Any, where: str) -> Truth:
    """What is known of a sample: nested lists become arrays.

    Raises:
        SampleError: it cannot be stored as a truth.
    """
    if not isinstance(entries, dict):
        raise SampleError(f"{where}: truth has to be a JSON object of names and values")
    truth: Truth = {}
    for name, value in entries.items():
        if not is_value_name(name):
            raise SampleError(
                f'{where}: truth {name!r} cannot be a name; a name is a text without slashes, and not "."'
            )
        check_text(name, f"{where}: truth {name!r}")
        if isinstance(value, str):
            check_text(value, f"{where}: truth {name!r}")
        if isinstance(value, list):
            value = _array(name, value, where)
        elif np.asarray(value).dtype.kind not in "biufU":
            raise SampleError(
                f"{where}: truth {name!r} has to be a number, a text or nested lists of numbers"
            )
        truth[name] = value
    return truth


def _array(name: str, value: list[Any], where: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise SampleError(f"{where}: truth {name!r} has rows of different lengths") from error
    if array.dtype.kind not in "biuf":
        raise SampleError(f"{where}: truth {name!r} holds something that is no number")
    return array
