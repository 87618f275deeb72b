"""What the workers of tests do: ``cosinterp mazes ACT WORDS...``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from cosinterp.errors import UserError
from cosinterp.jobs.telling import tell

_LONG = 60.0
_CHILD = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
_FORKS = "import os, subprocess, sys; subprocess.Popen([sys.executable, '-c', {!r}], start_new_session=True)"


class OutOfMemoryError(RuntimeError):
    """Called as torch calls it."""

    __module__ = "torch"


def mazes(
    act: str,
    words: Annotated[list[str] | None, typer.Argument()] = None,
    device: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Do one of the acts below."""
    sys.stdout.write(f"{act} begins\n")
    ACTS[act](*(words or ()))


# The commands that can be stood in for.
decode = mazes


def finish() -> None:
    """Nothing."""


def wait(file: str) -> None:
    """Wait until there is a file, and tell how often it was looked for."""
    looks = 0
    try:
        while not Path(file).exists():
            looks += 1
            tell(description="waiting", done=looks, total=None, unit="looks", sample="maze-1", seeds="0-3")
            time.sleep(0.01)
    except KeyboardInterrupt:
        sys.stdout.write("tidied up\n")
        raise


def fail() -> None:
    """A user's mistake."""
    raise UserError("there is no maze of that size\nuse another")


def gpu_memory() -> None:
    """As torch does."""
    raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def fault() -> None:
    """A fault in compiled code."""
    os.kill(os.getpid(), signal.SIGSEGV)


def stubborn() -> None:
    """Does not stop when told to."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    tell(description="deaf")
    _sleep_on()


def family(file: str) -> None:
    """Start a child, one in a group of its own, and one in a session of its own whose parent is gone."""
    children = [
        subprocess.Popen([sys.executable, "-c", _CHILD]),
        subprocess.Popen([sys.executable, "-c", _CHILD], process_group=0),
    ]
    subprocess.run([sys.executable, "-c", _FORKS.format(_CHILD)], check=True)
    Path(file).write_text(" ".join(str(child.pid) for child in children))
    _sleep_on()


def orphans() -> None:
    """End, and leave a child behind."""
    subprocess.Popen([sys.executable, "-c", _CHILD])


def nest(file: str) -> None:
    """Start a job of its own, and end."""
    # Which takes as long to import as all else that a worker here does.
    from cosinterp.jobs.launching import submit

    submit(["mazes", "wait", file], watched=0)


def say(file: str, *words: str) -> None:
    """Write down its words and its surroundings."""
    seen = {
        "words": words,
        "cwd": str(Path.cwd()),
        "stdin": sys.stdin.read(),
        "variables": {name: os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")},
        "umask": os.umask(0o22),
    }
    Path(file).write_text(json.dumps(seen))


def chatter(file: str) -> None:
    """Wait for a file, and print much more than a pipe or a page of a disk holds."""
    wait(file)
    sys.stdout.write("chatter\n" * 2**14)


def _sleep_on() -> None:
    until = time.monotonic() + _LONG
    while time.monotonic() < until:
        time.sleep(0.1)


ACTS = {
    act.__name__: act
    for act in (finish, wait, fail, gpu_memory, fault, stubborn, family, orphans, nest, say, chatter)
}
