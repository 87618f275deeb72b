"""The rows of a sweep on the disk, each written as it is done, so that a sweep resumes where it stopped."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from cosinterp.errors import InterventionError

_NAN = None
"""How JSON says what is not known."""


class RowLog:
    """A file of JSON lines: what was asked, then a row a patch; a context manager.

    A line that was cut off, by a crash or a full disk, is left out when the file is read again.

    Args:
        path: of the file; its folder is made.
        asked: what the sweep is, JSON-able: a log of another one is refused.
        resume: go on with a log that is there.

    Raises:
        InterventionError: there is a log already and ``resume`` is off, or it is of another sweep.
    """

    def __init__(self, path: Path, asked: Mapping[str, Any], resume: bool) -> None:
        self.path = path
        self._asked = json.loads(json.dumps(asked))
        self.rows: dict[str, dict[str, Any]] = {}
        found = self._read() if path.exists() else None
        if found is not None:
            self._check(found[0], resume)
            self.rows = {row["key"]: _without_key(row) for row in found[1:] if "key" in row}
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written anew: what was cut off must not stand between two lines.
        draft = path.with_name(path.name + ".partial")
        with draft.open("w") as file:
            _write(file, {"asked": self._asked})
            for key, row in self.rows.items():
                _write(file, {"key": key, **_jsonable(row)})
            _sync(file)
        draft.replace(path)
        self._file = path.open("a")

    def add(self, key: str, row: Mapping[str, Any]) -> None:
        """Write a row; ``key`` tells its patch from all others of the sweep."""
        _write(self._file, {"key": key, **_jsonable(row)})
        self._file.flush()
        self.rows[key] = dict(row)

    def close(self) -> None:
        """Bring all rows to the disk; a file without any is removed."""
        if not self._file.closed:
            _sync(self._file)
            self._file.close()
            if not self.rows:
                self.path.unlink(missing_ok=True)

    def __enter__(self) -> RowLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for text in self.path.read_text().splitlines():
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue
            lines.append(line)
        return lines or [{}]

    def _check(self, header: Mapping[str, Any], resume: bool) -> None:
        if header.get("asked") != self._asked:
            raise InterventionError(
                f"{self.path} is of another sweep; give this one another --name, or remove that file"
            )
        if not resume:
            raise unfinished(self.path)


def unfinished(path: Path) -> InterventionError:
    """What is wrong with a log that is there, where none was expected."""
    return InterventionError(
        f"{path} is there: an earlier sweep stopped before its end; go on with it with --resume "
        "(resume=True), or give this one another --name"
    )


def _write(file: IO[str], line: Mapping[str, Any]) -> None:
    file.write(json.dumps(line, allow_nan=False) + "\n")


def _sync(file: IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _jsonable(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _NAN if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }


def _without_key(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is _NAN else value for name, value in row.items() if name != "key"}
