"""``cosinterp tui`` as it is mostly typed, handed over to the app without the command line's machinery.

That takes as long to load as the app takes to be seen. What is more than a folder and switches (``--help``, a
mistake) is left to `cosinterp.cli.tui`, whose words these are.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.options import Options

STARTING = 2.0
"""Seconds by which the app is seen."""
SELDOM = (50_000, 20, 20)
"""Objects that are made before the youngest are looked at; how often that is before the older are."""


def hand_over(words: Sequence[str]) -> bool:
    """Run the app if that is what ``words``, the arguments of ``cosinterp``, plainly ask for; else say False.

    Raises:
        SystemExit: the user was told what is wrong.
    """
    asked = _asked(words)
    if asked is None:
        return False
    _collect_no_garbage_for(STARTING)
    try:
        from tui.app import run

        run(*asked)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from cosinterp.cli.console import print_error
        from cosinterp.mendable import mendable

        users = mendable(error)
        if users is None:
            raise
        print_error(str(users))
        sys.exit(users.exit_code)
    return True


def _asked(words: Sequence[str]) -> tuple[Path | None, Options] | None:
    """The folder, if any, and the options that ``words`` ask for; None: they are not plain."""
    if words[:1] != ["tui"]:
        return None
    from tui.options import Options

    names = {f"--{field.name.replace('_', '-')}": field.name for field in fields(Options)}
    folders = [word for word in words[1:] if word not in names]
    if len(folders) > 1 or any(word.startswith("-") for word in folders):
        return None
    given = {names[word]: True for word in words[1:] if word in names}
    return Path(*folders) if folders else None, Options(**given)


def _collect_no_garbage_for(seconds: float) -> None:
    """Look for no garbage at first, never in what has come by then, and seldom in what comes later.

    Modules that are being imported leave none, and to look for it takes a fifth of the time until the app is
    seen. Later each paint of a large map makes tens of thousands of objects, and few cycles.
    """

    def begin() -> None:
        gc.freeze()
        gc.set_threshold(*SELDOM)
        gc.enable()

    gc.disable()
    timer = Timer(seconds, begin)
    timer.daemon = True
    timer.start()
