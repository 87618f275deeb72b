"""What is done with a result. Everything here may block: call it by `tui.background.do` only."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from probes.results.files import remove_result
from stores.errors import StoreError, UserError
from tui.browser.reading import Problem, find_stores
from tui.results import exporting
from tui.results.exporting import Export, FileThere
from tui.results.messages import ResultRemoved
from tui.results.reading import read_rows
from tui.results.result_messages import Exported, FormFound, OthersFound

if TYPE_CHECKING:
    from probes.results.result import Result


def write(export: Export) -> Exported:
    """Write a result to a file, unless one is there that nobody said may be replaced."""
    try:
        path = exporting.write(export)
    except FileThere:
        return Exported(export, is_there=True)
    except UserError as error:
        return Exported(export, error=str(error))
    return Exported(export, said=f"wrote {path}")


def open_picture(result: Result, figure: str | None, store: str) -> Exported:
    """Write a figure among the user's own and open it with the system's program, where it would be seen."""
    from cosinterp.jobs.home import home

    file = home() / "figures" / f"{store}-{result.name}-{figure or 'figure'}.png"
    written = write(Export(result, file, figure, replaces=True))
    words = exporting.opener(os.environ, sys.platform)
    if written.error or words is None:
        return written
    try:
        subprocess.Popen(
            [*words, str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        return Exported(written.export, said=f"wrote {file}; {words[0]}: {error.strerror}")
    return Exported(written.export, said=f"opened {file}")


def remove(path: Path) -> ResultRemoved:
    """Remove a result's file."""
    try:
        remove_result(path)
    except UserError as error:
        return ResultRemoved(path, str(error))
    return ResultRemoved(path)


def find_form(command: str, store: Path) -> FormFound:
    """The form of the command that made a result, filled in as it was then.

    A store that the command names, but is not found from here, is the one that the result lies in.
    """
    from tui.launch.errors import FormError
    from tui.launch.words import values_of

    try:
        filled = values_of(shlex.split(command))
    except (FormError, ValueError) as error:
        return FormFound(error=f"there is no form of this command: {error}")
    values = dict(filled.values)
    named = values.get("store")
    if isinstance(named, str) and not Path(named).exists():
        values["store"] = str(store)
    return FormFound(filled.command, values)


def find_others(root: Path, store: Path, name: str, kind: str) -> OthersFound:
    """The other results that can be read, those of the same kind first, and of these the store's own."""
    found = []
    for one in find_stores(root):
        if isinstance(one, Problem):
            continue
        try:
            found += [row for rows in read_rows(one, root) for row in rows]
        except StoreError:
            # Said in the list of results, where it can be mended.
            continue
    others = [row for row in found if row.entry.error is None and (row.store, row.name) != (store, name)]
    others.sort(key=lambda row: (row.entry.kind != kind, row.store != store, row.store_name, row.name))
    return OthersFound(others)
