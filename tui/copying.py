"""Copying text out of the app: to the terminal's clipboard, and always to a file as well."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from tui.background import LatestReader

if TYPE_CHECKING:
    from tui.app import CosinterpApp

_FILE = "copied.txt"


class Copied(Message):
    """A text has been written to a file, or could not be."""

    def __init__(self, what: str, file: Path, error: str = "") -> None:
        self.what = what
        self.file = file
        self.error = error
        super().__init__()


@dataclass(frozen=True)
class _Copy:
    text: str
    what: str


class Copier:
    """Puts texts on the clipboard of the user's own terminal (OSC 52), wherever the app runs.

    Whether the terminal takes them, nobody tells; so they are also in ``$COSINTERP_HOME/copied.txt``, unless
    the app writes nothing.
    """

    def __init__(self, app: CosinterpApp) -> None:
        self._app = app
        self._writer: LatestReader[_Copy] = LatestReader("copied", self._write, app.post_message)

    def copy(self, text: str, what: str) -> None:
        """Copy a text, and say so."""
        self._app.copy_to_clipboard(text)
        if self._app.options.readonly:
            self._app.notify(f"copied {what}, if your terminal lets programs copy")
        else:
            self._writer.ask(_Copy(text, what))

    def said(self, copied: Copied) -> None:
        """Tell the user how it went with the file."""
        said = f"copied {copied.what}, if your terminal lets programs copy"
        if copied.error:
            self._app.notify(
                f"{said}; not in {copied.file}, too: {copied.error}", severity="warning", markup=False
            )
        else:
            self._app.notify(f"{said}; it is in {copied.file}, too", markup=False)

    def _write(self, copy: _Copy) -> None:
        from cosinterp.jobs.home import home, make_private_folders, write_private

        file = home() / _FILE
        try:
            make_private_folders(file.parent)
            write_private(file, copy.text.encode(errors="surrogateescape") + b"\n")
        except OSError as error:
            self._app.post_message(Copied(copy.what, file, error.strerror or str(error)))
        else:
            self._app.post_message(Copied(copy.what, file))


def copy(app: CosinterpApp, text: str, what: str) -> None:
    """Copy a text out of the app, and say so.

    Args:
        app: see `tui.app.app_of`.
        text: to copy.
        what: it is, as in "copied WHAT": "the command".
    """
    app.copier.copy(text, what)
