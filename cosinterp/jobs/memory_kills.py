"""Whether the system has killed anything for lack of memory, which it tells in a count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_COUNT = "oom_kill"


def memory_kills(groups: Path = Path("/proc/self/cgroup"), mount: Path = _MOUNT) -> int | None:
    """How many processes of this process's control group were killed for lack of memory.

    By ``memory.events`` of cgroup v2 or ``memory.oom_control`` of v1 (Linux, Documentation/admin-guide:
    cgroup-v2.rst, cgroup-v1/memory.rst). A worker is in the group of its keeper.

    Args:
        groups: the file that names the group.
        mount: where groups are seen.

    Returns:
        None: nobody counts here.
    """
    for path in _counters(groups, mount):
        try:
            lines = path.read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, count = line.partition(" ")
            if name == _COUNT and count.strip().isdecimal():
                return int(count)
    return None


def _counters(groups: Path, mount: Path) -> Iterator[Path]:
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        # cgroups(7): hierarchy-ID:controller-list:cgroup-path; v2 has the number 0 and no list.
        number, controllers, path = line.split(":", 2)
        inner = path.lstrip("/")
        if number == "0" and not controllers:
            yield from (mount / inner / "memory.events", mount / "unified" / inner / "memory.events")
        elif "memory" in controllers.split(","):
            # In a container the group may be the top of what is seen.
            yield from (mount / "memory" / inner / "memory.oom_control", mount / "memory/memory.oom_control")
