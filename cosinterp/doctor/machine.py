"""What the machine gives to a process: memory, cores, open files, the encoding of text."""

from __future__ import annotations

import locale
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from cosinterp.doctor.asking import Circumstances
from cosinterp.doctor.finding import Finding, is_fine, is_lacking, is_noted
from stores.units import count_text, size_text

# The default of --host-memory, beside which the model's own buffers and Python need some.
_RING = 4 * 2**30
_LITTLE_MEMORY = 2 * _RING
_LITTLE_SHARED = 2**30
_FEW_FILES, _MANY_FILES = 1024, 65536
_SHARED = Path("/dev/shm")
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def memory(_: Circumstances) -> Iterator[Finding]:
    """Host memory, and what of it this process may have."""
    import psutil

    machine = psutil.virtual_memory()
    available, total = machine.available, machine.total
    limit = memory_limit()
    allowed = ""
    if limit is not None and limit < total:
        available, allowed = min(available, limit), f"; a limit allows {size_text(limit)}"
    value = f"{size_text(machine.available)} free of {size_text(total)}{allowed}"
    if available < _LITTLE_MEMORY:
        yield is_noted(
            "memory",
            value,
            f"A trace takes {size_text(_RING)} for the ring between GPU and disk, and weights pass through.",
            "Give a smaller --host-memory, or ask your scheduler for more.",
        )
    else:
        yield is_fine("memory", value, "Enough for a trace's ring between GPU and disk.")


def memory_limit(groups: Path = _CGROUPS, own: Path = _OWN_CGROUPS) -> int | None:
    """The bytes that a container or a scheduler allows this process, None without such a limit.

    The least of what the control groups allow that the process is in, of either version.
    """
    try:
        lines = own.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = groups, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        below = Path(path.lstrip("/"))
        # Within a container its own group is often mounted as the root.
        limits += [_number(root / group / name) for group in (below, *below.parents)]
    return min((limit for limit in limits if limit is not None), default=None)


def cores(_: Circumstances) -> Iterator[Finding]:
    """Processor cores that this process may use."""
    import joblib

    usable, there = joblib.cpu_count(), os.cpu_count() or 1
    value = count_text(usable, "core") + (f" of {there}" if usable < there else "")
    if usable < 2:
        yield is_noted(
            "cores",
            value,
            "Writing threads take turns with the model; a trace is slower for it.",
            "Ask your scheduler for more (--cpus-per-task), 4 or more for each GPU.",
        )
    else:
        yield is_fine("cores", value, "By affinity and limits of control groups.")


def shared_memory(_: Circumstances) -> Iterator[Finding]:
    """The memory that processes share, which Ray keeps objects in."""
    name = "/dev/shm"
    if not _SHARED.is_dir():
        yield is_noted(name, "not there", "Ray keeps what processes share on the disk instead.")
        return
    status = os.statvfs(_SHARED)
    free, total = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    value = f"{size_text(free)} free of {size_text(total)}"
    if free < _LITTLE_SHARED:
        yield is_noted(
            name,
            value,
            "Ray has little room for what processes share, and falls back to the disk. One machine without "
            "Ray needs none.",
            "In a container: docker run --shm-size=8g (or --ipc=host).",
        )
    else:
        yield is_fine(name, value, "Room for what processes share.")


def open_files(_: Circumstances) -> Iterator[Finding]:
    """How many files a process may have open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    better = _MANY_FILES if hard == resource.RLIM_INFINITY else min(hard, _MANY_FILES)
    value = f"{_limit(soft)} (can be raised to {_limit(hard)})" if soft != hard else _limit(soft)
    if soft != resource.RLIM_INFINITY and soft < _FEW_FILES:
        yield is_noted(
            "open files",
            value,
            "Checkpoints in many parts, and Ray's workers, may run out of files to open.",
            f"ulimit -n {better}, before you start.",
        )
    else:
        yield is_fine("open files", value, "Enough for checkpoints in many parts.")


def encoding(_: Circumstances) -> Iterator[Finding]:
    """What text is written in."""
    written = getattr(sys.stdout, "encoding", None) or locale.getpreferredencoding(False)
    language = locale.setlocale(locale.LC_CTYPE, None)
    value = f"{written.lower()}, file names {sys.getfilesystemencoding()}, locale {language}"
    if _is_utf8(written) and _is_utf8(sys.getfilesystemencoding()):
        yield is_fine("encoding", value, "Names and prompts in any language, and rules of tables.")
    else:
        yield is_lacking(
            "encoding",
            value,
            "Prompts and file names beyond it cannot be printed, nor the rules of tables.",
            "export LC_ALL=C.UTF-8 (or PYTHONUTF8=1).",
        )


def _is_utf8(name: str) -> bool:
    return name.lower().replace("-", "").replace("_", "") == "utf8"


def _limit(number: int) -> str:
    return "unlimited" if number == resource.RLIM_INFINITY else str(number)


def _number(file: Path) -> int | None:
    """The number in a file; None if there is none, or it says "max"."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
