"""How a process that runs this very code is started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PATH = "PYTHONPATH"
KEEPER = "cosinterp.jobs.keeper"


def own_command(module: str, *arguments: str) -> list[str]:
    """The words that run a module of ours, by this interpreter.

    Modules are not looked for in the folder that it runs in: there may be anything called as one of them.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def own_environment() -> dict[str, str]:
    """Our environment, in which this very code is found, also where it is not installed."""
    environment = dict(os.environ)
    if _ROOT.name not in ("site-packages", "dist-packages"):
        known = [path for path in environment.get(_PATH, "").split(os.pathsep) if path]
        environment[_PATH] = os.pathsep.join([str(_ROOT), *(path for path in known if path != str(_ROOT))])
    return environment
