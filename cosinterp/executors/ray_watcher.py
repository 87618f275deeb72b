"""A program that sees to it that nothing is left of a Ray that was started for one command.

    python ray_watcher.py FOLDER

It waits until standard input is at its end, which is when the command is over, however it ended: the system
closes the other end of the pipe even for a process that was killed. Then it ends what is left of that Ray,
and removes FOLDER. All processes of that Ray inherited the variable `OWNER` with the value FOLDER; those that
gave themselves a title, which overwrites what the system shows of their environment, are known by the log
files that they have open in FOLDER; and whatever any of them started is of that Ray too.

Ray itself has the kernel kill its servers with the process that started them; its agents and workers notice
within seconds, the folder stays, and where the kernel cannot do it (macOS) Ray does it in a process that one
signal to the group takes along. This file imports nothing of cosinterp, so that it starts at once.
"""

from __future__ import annotations

import os
import shutil
import sys
import time

import psutil

OWNER = "COSINTERP_RAY"
_TITLE = "ray::"
_PATIENCE = 10.0
_PAUSE = 0.05


def processes_of(folder: str) -> set[psutil.Process]:
    """The processes of the Ray whose folder this is, whoever their parents are now."""
    found = {process for process in psutil.process_iter() if _is_of(process, folder)}
    return found.union(*map(_descendants, found))


def clean_up(folder: str) -> None:
    """End all processes of a Ray, and remove its folder."""
    deadline = time.monotonic() + _PATIENCE
    # One that is ended may have started another just before.
    while (left := processes_of(folder)) and time.monotonic() < deadline:
        for process in left:
            _kill(process)
        psutil.wait_procs(left, timeout=_PAUSE)
    shutil.rmtree(folder, ignore_errors=True)


def _is_of(process: psutil.Process, folder: str) -> bool:
    try:
        if process.environ().get(OWNER) == folder:
            return True
        # Whoever else reads the logs, such as the command itself, is none of Ray's.
        words = process.cmdline()
        return bool(words) and words[0].startswith(_TITLE) and _has_open(process, folder)
    except (psutil.Error, OSError):
        # Somebody else's, or gone.
        return False


def _has_open(process: psutil.Process, folder: str) -> bool:
    return any(file.path.startswith(folder + os.sep) for file in process.open_files())


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    sys.stdin.read()
    clean_up(sys.argv[1])
