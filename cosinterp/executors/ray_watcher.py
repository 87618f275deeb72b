"""A program that sees to it that nothing is left of a Ray that was started for one command.

    python ray_watcher.py FOLDER

It waits until standard input is at its end, which is when the command is over, however it ended: the system
closes the other end of the pipe even for a process that was killed. Then it ends what is left of that Ray,
all of whose processes inherited the variable `OWNER` with the value FOLDER, and removes FOLDER.

Ray itself has the kernel kill its servers with the process that started them; its agents and workers notice
within seconds, the folder stays, and where the kernel cannot do it (macOS) Ray does it in a process that one
signal to the group takes along. This file imports nothing of cosinterp, so that it starts at once.
"""

from __future__ import annotations

import shutil
import sys
import time

import psutil

OWNER = "COSINTERP_RAY"
_PATIENCE = 10.0
_PAUSE = 0.05


def processes_of(folder: str) -> list[psutil.Process]:
    """The processes of the Ray whose folder this is, whoever their parents are now."""
    return [process for process in psutil.process_iter() if _owner(process) == folder]


def clean_up(folder: str) -> None:
    """End all processes of a Ray, and remove its folder."""
    deadline = time.monotonic() + _PATIENCE
    # One that is ended may have started another just before.
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        for process in left:
            _kill(process)
        psutil.wait_procs(left, timeout=_PAUSE)
    shutil.rmtree(folder, ignore_errors=True)


def _owner(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(OWNER)
    except (psutil.Error, OSError):
        # Somebody else's, or gone.
        return None


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    sys.stdin.read()
    clean_up(sys.argv[1])
