"""What each exported video was made from, so that another export knows which are its own.

The records lie beside the folders of the seeds: a line of JSON for each video, the last one of a file counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cosinterp.errors import UserError

RECORDS = "videos.jsonl"

Records = Mapping[str, dict[str, Any]]
"""By the path of the video from the export's folder, with slashes between."""


@dataclass(frozen=True)
class Origin:
    """What a video is made from, and how: what differs from another one's makes another video.

    ``decoder`` is the model whose VAE decodes the final latent, None for a video that is stored.
    """

    sample: str
    seed: int
    variant: str
    finished: str
    frame_rate: float
    crf: int
    pixel_format: str
    decoder: str | None


def read_records(out: Path) -> Records:
    """The records in an export's folder. Half a line, as a kill or a full disk leaves it, tells nothing.

    Raises:
        UserError: a folder lies where they should.
    """
    path = out / RECORDS
    if path.is_dir():
        raise UserError(f"{path}: is a folder; the records of the videos go there, so move it away")
    records: dict[str, dict[str, Any]] = {}
    lines = path.read_bytes().splitlines() if path.exists() else []
    for line in lines:
        try:
            record = json.loads(line)
            records[record["file"]] = record
        except (ValueError, TypeError, KeyError):
            continue
    return records


def is_recorded(records: Records, path: Path, out: Path, origin: Origin) -> bool:
    """Whether the video ``path`` in the export's folder is recorded as it is, with this origin."""
    return records.get(_relative(path, out)) == _record(path, out, origin, path.stat().st_size)


def append_record(out: Path, path: Path, origin: Origin, size: int) -> None:
    """Record the video ``path``, of ``size`` bytes, in the export's folder ``out``.

    One write, so that several processes may append; it begins with a line feed if the last one was cut off.
    """
    records = out / RECORDS
    line = json.dumps(_record(path, out, origin, size)).encode() + b"\n"
    with records.open("ab") as file:
        if file.tell() > 0 and not _ends_whole(records):
            line = b"\n" + line
        file.write(line)


def _record(path: Path, out: Path, origin: Origin, size: int) -> dict[str, Any]:
    return {"file": _relative(path, out), "bytes": size, **asdict(origin)}


def _relative(path: Path, out: Path) -> str:
    return path.relative_to(out).as_posix()


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
