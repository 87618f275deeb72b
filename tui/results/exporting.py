"""A result as a file for other programs: its table, all of it, or a figure. Writing blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from probes.figures.drawing import FORMATS as FIGURES
from probes.results.export import FORMATS as TABLES
from probes.results.export import export_result
from stores.errors import StoreError
from tui.heatmaps.of_results import complete

if TYPE_CHECKING:
    from probes.results.result import Result


@dataclass(frozen=True)
class Export:
    """What is written, and where.

    Attributes:
        result: whose table or figure it is.
        path: the file.
        figure: the figure, where the file is a picture; None: the main one.
        replaces: a file of this name may be replaced.
    """

    result: Result
    path: Path
    figure: str | None
    replaces: bool = False

    def anyway(self) -> Export:
        """The same, whatever is there."""
        return replace(self, replaces=True)


class FileThere(Exception):
    """There is a file of that name, and nobody said that it may be replaced."""


def wrong_with(text: str) -> str:
    """Why a file of this name cannot be written, whatever the disk says; empty if it can."""
    if not text.strip():
        return "name a file"
    if Path(text).suffix.lower() not in (*TABLES, *FIGURES):
        return f"the name has to end in {', '.join((*TABLES, *FIGURES))}"
    return ""


def path_of(text: str) -> Path:
    """The file that is meant: ``~`` is the user's folder; what is relative lies where the app was started.

    Raises:
        StoreError: ``~NAME`` of a user that there is not.
    """
    try:
        return Path(text.strip()).expanduser().absolute()
    except RuntimeError as error:
        raise StoreError(f"{text}: {error}") from error


def write(export: Export) -> Path:
    """Write it; the file.

    Raises:
        FileThere: a file of this name may not be replaced.
        StoreError: what the command line refuses, too, or the disk does.
    """
    path = export.path
    if path.is_dir():
        raise StoreError(f"{path}: this is a folder; name a file")
    if path.exists() and not export.replaces:
        raise FileThere
    with complete(export.result.path or export.result.title):
        if path.suffix.lower() in FIGURES:
            return export.result.plot(path, export.figure)
        return export_result(export.result, path, force=export.replaces)


def opener(environment: Mapping[str, str], platform: str) -> list[str] | None:
    """The words that open a file with the system's own program; None where nobody would see it.

    >>> opener({"DISPLAY": ":0"}, "linux"), opener({}, "linux"), opener({}, "darwin")
    (['xdg-open'], None, ['open'])
    """
    if platform == "darwin":
        # Over SSH the window would open on a screen that the user may not sit at.
        return None if "SSH_CONNECTION" in environment else ["open"]
    has_screen = any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return ["xdg-open"] if has_screen else None
