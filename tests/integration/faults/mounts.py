"""Mounts that need no rights: each is seen only by its own processes, and is gone with them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SMALL_DISK = 'mount -t tmpfs -o size=16m tmpfs "$1"'
READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"'


@dataclass(frozen=True)
class Mount:
    """A folder that is something else for the processes inside.

    Attributes:
        pid: for commands that are to run inside: ``workshop.run(..., inside=mount.pid)``.
        seen: where the folder of the inside is found from the outside.
    """

    pid: int
    seen: Path


@contextmanager
def private_mount(mount: str, folder: Path) -> Iterator[Mount]:
    """Run the shell command ``mount`` on ``folder`` in namespaces of its own; skips the test if it cannot."""
    script = f"{mount} && echo mounted && read -r _"
    try:
        process = subprocess.Popen(
            ["unshare", "-Urm", "sh", "-c", script, "sh", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    except FileNotFoundError:
        pytest.skip("this system has no unshare to make a private mount with")
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        if process.stdout.readline() != "mounted\n":
            pytest.skip(f"no private mounts here: {process.stderr.read().strip()}")
        yield Mount(process.pid, Path(f"/proc/{process.pid}/root{folder}"))
