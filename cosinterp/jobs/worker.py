"""Starting the worker: the very command, with a line to its keeper."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosinterp.jobs.own_code import own_command, own_environment
from cosinterp.jobs.telling import FOLDER, PIPE

# Lines are printed as they come, and a fault in compiled code says where it was.
_HELPFUL = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}


@dataclass
class Worker:
    """A command that runs.

    Attributes:
        pid: of its process, which leads a process group of its own.
        line: on which it tells how it goes; when our end closes, it knows that its keeper is gone.
        printed: the descriptor to read what it prints from.
        code: how it ended: its exit code, or minus the number of a signal; None: it runs.
    """

    pid: int
    line: socket.socket
    printed: int
    code: int | None = None

    def close(self) -> None:
        """Hear nothing more of it."""
        self.line.close()
        os.close(self.printed)


def start_worker(
    words: Sequence[str], cwd: str, folder: Path, kept: Collection[int], variables: Mapping[str, str]
) -> Worker:
    """Start the command of a job.

    Args:
        words: after ``cosinterp``.
        cwd: the folder that it runs in.
        folder: of the job.
        kept: descriptors of locks that it holds for as long as it lives, whatever becomes of its keeper.
        variables: of its environment, beside our own.

    Raises:
        OSError: it cannot be started: ``cwd`` is gone, say.
    """
    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    environment = {**_HELPFUL, **own_environment(), **variables}
    environment |= {FOLDER: str(folder), PIPE: str(theirs.fileno())}
    try:
        process = subprocess.Popen(
            own_command("cosinterp", *words),
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=write,
            cwd=cwd,
            env=environment,
            pass_fds=(theirs.fileno(), *kept),
            process_group=0,
        )
    except OSError:
        ours.close()
        os.close(read)
        raise
    finally:
        theirs.close()
        os.close(write)
    # The keeper waits for all of its children alike, and this one is among them.
    process.returncode = 0
    ours.setblocking(False)
    os.set_blocking(read, False)
    return Worker(process.pid, ours, read)
