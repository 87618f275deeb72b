"""Where jobs are kept, and how their files are made so that nobody else reads them."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

HOME = "COSINTERP_HOME"
_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600


def home() -> Path:
    """``$COSINTERP_HOME``; by default the user's data folder."""
    given = os.environ.get(HOME)
    if given:
        return Path(given).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_data_dir("cosinterp"))


def jobs_folder() -> Path:
    """The folder of all jobs; there may be none yet."""
    return home() / "jobs"


def slots_folder() -> Path:
    """The folder of what jobs on this machine take turns at; there may be none yet."""
    return home() / "slots" / re.sub(r"[^A-Za-z0-9.-]", "_", host())


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def make_private_folders(path: Path) -> None:
    """Make a folder and those above it that are missing, each for the user alone, whatever the umask.

    Raises:
        OSError: one of them cannot be made.
    """
    if not path.exists():
        make_private_folders(path.parent)
        # Another process may make it at the same moment.
        path.mkdir(exist_ok=True)
        path.chmod(_PRIVATE_FOLDER)


def open_private(path: Path, flags: int) -> int:
    """A descriptor of a file that is made for the user alone, whatever the umask.

    Raises:
        OSError: it cannot be made or opened.
    """
    fd = os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    try:
        os.fchmod(fd, _PRIVATE_FILE)
    except BaseException:
        os.close(fd)
        raise
    return fd


def write_private(path: Path, data: bytes) -> None:
    """Write a file for the user alone, and have it on the disk.

    Raises:
        OSError: there is no room for it, say.
    """
    with os.fdopen(open_private(path, os.O_WRONLY | os.O_TRUNC), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
