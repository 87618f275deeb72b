"""How soon `cosinterp tui` is seen, against `python -c "import textual"` in the same rounds.

    python -m tests.benchmarks.bench_tui_start [STORE] [--rounds 10]

The app is started in a pseudo-terminal. It is seen when its status line has come, and shows runs when the
first of them has. By turns with it, an interpreter is started that imports Textual and ends. Times are of the
wall, and of the CPU for the process and its threads, since a machine that does other things as well delays
both. Bytecode is compiled beforehand, as an installed package's is.
"""

from __future__ import annotations

import argparse
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.tui.pseudo_terminal import app_in_a_terminal
from tests.tui.store_factory import make_store

IMPORT = "import textual"


class Spent(NamedTuple):
    """Seconds since a process was started."""

    wall: float
    cpu: float


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("store", type=Path, nargs="?", help="(default: one of 16 tiny runs)")
    options.add_argument("--rounds", type=int, default=10)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, _compiled(Path(folder)):
        store = chosen.store or make_store(
            Path(folder) / "mazes", [(f"maze-{n}", seed) for n in range(8) for seed in range(2)]
        )
        imported: list[Spent] = []
        seen: list[Spent] = []
        rows: list[Spent] = []
        # The first round compiles.
        for number in range(chosen.rounds + 1):
            one, (first, last) = _imported(), _started(store)
            if number:
                imported.append(one)
                seen.append(first)
                rows.append(last)
    for unit in Spent._fields:
        base = statistics.median(getattr(one, unit) for one in imported)
        print(f"{unit}: {IMPORT} {base:.3f} s", end="")
        for what, times in (("first paint", seen), ("first run", rows)):
            median = statistics.median(getattr(one, unit) for one in times)
            print(f", {what} {median:.3f} s ({median / base:.2f} times)", end="")
        print(f"; medians of {chosen.rounds}")


@contextmanager
def _compiled(folder: Path) -> Iterator[None]:
    """Have interpreters write bytecode, and read it again, in a folder of its own."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")
    os.environ["COSINTERP_HOME"] = str(folder / "home")
    yield


def _imported() -> Spent:
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", IMPORT])
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return Spent(wall, usage.ru_utime + usage.ru_stime)


def _started(store: Path) -> tuple[Spent, Spent]:
    """When the status line was seen, and when the first run was."""
    start = time.monotonic()
    with app_in_a_terminal(store) as terminal:
        received, seen = b"", None
        while True:
            select.select([terminal.fd], [], [])
            received += os.read(terminal.fd, 65536)
            now = Spent(time.monotonic() - start, _cpu(terminal.process.pid))
            if seen is None and b"reading..." in received:
                seen = now
            if b"base" in received:
                assert seen is not None
                return seen, now


def _cpu(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


if __name__ == "__main__":
    main()
