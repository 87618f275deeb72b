"""Datasets in one file: a sample a line, as JSON objects (JSONL) or with commas between (CSV).

Each has a ``prompt``, and may have an ``image`` (a path, relative to the file), videos that a pipeline takes
besides (paths, by the names of `cosinterp.samples.videos`), a ``name``, ``height``, ``width`` and
``num_frames``. JSONL may have a ``truth``, which CSV has no way to write. All else is kept as metadata.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cosinterp.errors import SampleError
from cosinterp.samples.found import Found
from cosinterp.samples.images import ImageFile
from cosinterp.samples.sample import Sample
from cosinterp.samples.values import SIZES, check_text, json_object, sizes, truth_of
from cosinterp.samples.videos import VIDEO_NAMES, VideoFile
from stores.layout import sample_name

_OWN = ("prompt", "image", "name", *SIZES, *VIDEO_NAMES)
_LONGEST_SIZE = 100
File = TypeVar("File", ImageFile, VideoFile)
_Rows = Iterator[tuple[int, dict[str, Any]]]
"""Line number, from 1, and what the line says; an entry that is left empty is not there."""


def find_in_table(path: Path) -> Iterator[Found]:
    """The samples of a table, in the order of their lines.

    One without a name is called after the file and its place among the samples: ``prompts-00000`` and so on.

    Raises:
        SampleError: a line that cannot be read; says which.
    """
    for number, (line, row) in enumerate(TABLES[path.suffix.lower()](path)):
        where = f"{path}:{line}"
        name = _text(row, "name", where) or f"{path.stem}-{number:05d}"
        yield Found(sample_name(name), where, partial(_read, sample_name(name), row, path.parent, where))


def _read(name: str, row: dict[str, Any], folder: Path, where: str) -> Sample:
    prompt = (_text(row, "prompt", where) or "").strip()
    if not prompt:
        there = ", ".join(row) or "nothing"
        raise SampleError(f"{where}: has no prompt; it has {there}")
    image = _text(row, "image", where)
    videos = {video: _text(row, video, where) for video in VIDEO_NAMES}
    return Sample(
        name=name,
        prompt=prompt,
        image=None if image is None else _file(ImageFile, folder / image, where),
        videos={video: _file(VideoFile, folder / path, where) for video, path in videos.items() if path},
        truth=truth_of(row.get("truth", {}), where),
        metadata={key: value for key, value in row.items() if key not in (*_OWN, "truth")},
        **sizes(row, where),
    )


def _file(kind: type[File], path: Path, where: str) -> File:
    try:
        return kind.check(path)
    except SampleError as error:
        raise SampleError(f"{where}: {error}") from error


def _text(row: dict[str, Any], key: str, where: str) -> str | None:
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise SampleError(f"{where}: {key} has to be a text, not {json.dumps(value)[:40]}")
    if value is not None:
        check_text(value, f"{where}: {key}")
    return value


def _jsonl(path: Path) -> _Rows:
    for line, text in enumerate(_lines(path), 1):
        if text.strip():
            row = json_object(text.strip(), f"{path}:{line}")
            yield line, {key: value for key, value in row.items() if value is not None}


def _csv(path: Path) -> _Rows:
    reader = csv.DictReader(_lines(path), strict=True, skipinitialspace=True)
    whole = 0
    try:
        columns = [name.strip() for name in reader.fieldnames or []]
        if "prompt" not in columns:
            there = ", ".join(columns) or "nothing"
            raise SampleError(f"{path}:1: has no column prompt; the first line names them, and has {there}")
        twice = {column for column in columns if columns.count(column) > 1}
        if twice:
            raise SampleError(f"{path}:1: has two columns {min(twice)}")
        reader.fieldnames = columns
        whole = reader.line_num
        for row in reader:
            whole = reader.line_num
            yield whole, _cells(row, f"{path}:{whole}")
    except csv.Error as error:
        # A quote that is not closed is noticed at the end of the file, far from where it stands.
        raise SampleError(f"{path}:{whole + 1}: cannot be read as CSV ({error})") from error


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for line, content in enumerate(file, 1):
            try:
                # Some programs begin a file in UTF-8 with a mark.
                yield content.decode("utf-8-sig" if line == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise SampleError(f"{path}:{line}: is not text in UTF-8") from error


def _cells(row: dict[str | Any, Any], where: str) -> dict[str, Any]:
    if None in row:
        raise SampleError(f"{where}: has more cells than there are columns; put texts with commas in quotes")
    cells: dict[str, Any] = {key: value for key, value in row.items() if value}
    if "truth" in cells:
        raise SampleError(
            f"{where}: a truth cannot be written in CSV; use JSONL, or call the column otherwise"
        )
    for key in SIZES:
        # What is no number is told by `sizes`, and so is one that Python would refuse to read for its length.
        if cells.get(key, "").strip().isdecimal() and len(cells[key]) < _LONGEST_SIZE:
            cells[key] = int(cells[key])
    return cells


TABLES: dict[str, Callable[[Path], _Rows]] = {".jsonl": _jsonl, ".csv": _csv}
"""The tables that are known, by their suffix."""
