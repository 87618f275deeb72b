"""What jobs cost: how soon one runs and its end is seen, what its keeper takes, how long a list takes.

    python -m tests.benchmarks.bench_jobs --rounds 5 --jobs 3000

Nothing is computed: the workers wait (`tests/integration/jobs/acting`). Each time is given as the
median and the largest of ``--rounds``; the keeper's share of a core is over ``--watch`` seconds in which its
worker tells of progress all the time, as a trace does.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from cosinterp.jobs.job import Job
from cosinterp.jobs.launching import WATCHED, submit
from cosinterp.jobs.listing import jobs
from cosinterp.jobs.record import read_record

ACTING = Path(__file__).parents[1] / "integration" / "jobs" / "acting"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=3000)
    parser.add_argument("--watch", type=float, default=20.0)
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        os.environ["COSINTERP_HOME"] = folder
        os.environ["PYTHONPATH"] = str(ACTING)
        time_ends(asked.rounds, Path(folder))
        watch_keeper(asked.watch, Path(folder))
        time_listing(asked.jobs)


def time_ends(rounds: int, folder: Path) -> None:
    alive, returned, killed, orphaned, cancelled = [], [], [], [], []
    for _ in range(rounds):
        asked = time.time()
        job = submit(["mazes", "wait", str(folder / "never")])
        back = time.time()
        started = job.status().started or 0.0
        alive.append(started - asked)
        returned.append(back - started)
        os.kill(job.status().pid or 0, signal.SIGKILL)
        killed.append(_seconds_to_end(job))
        job.resume()
        os.kill(_keeper(job).pid, signal.SIGKILL)
        orphaned.append(_seconds_to_end(job))
        job.resume()
        job.cancel()
        cancelled.append(_seconds_to_end(job))
    print(f"{'':60} {'median':>8} {'largest':>8}")
    _say("from the call until the worker lives", alive)
    _say(f"from then until the call returns ({WATCHED} s of them watching)", returned)
    _say("from SIGKILL of the worker until it is seen", killed)
    _say("from SIGKILL of the keeper until all is gone", orphaned)
    _say("from a cancel until all is gone", cancelled)


def watch_keeper(seconds: float, folder: Path) -> None:
    job = submit(["mazes", "wait", str(folder / "never")])
    keeper = _keeper(job)
    before = keeper.cpu_times()
    time.sleep(seconds)
    after = keeper.cpu_times()
    memory = keeper.memory_info()
    own = memory.rss - getattr(memory, "shared", 0)
    share = (after.user + after.system - before.user - before.system) / seconds
    sizes = f"{own / 1e6:.0f} MB of its own ({memory.rss / 1e6:.0f} MB with what is shared)"
    print(f"keeper: {sizes}, {share:.2%} of a core")
    size = (job.path / "events.jsonl").stat().st_size
    print(f"events: {size / (seconds + WATCHED):.0f} bytes a second in the first hour")
    job.cancel()
    job.wait()


def time_listing(count: int) -> None:
    (first, *_) = jobs()
    with (first.path / "events.jsonl").open("ab") as file:
        file.truncate(10 * 2**20)
    for number in range(count):
        shutil.copytree(first.path, first.path.with_name(f"{first.id}-{number}"), copy_function=_linked)
    started = time.perf_counter()
    listed = [job.status() for job in jobs()]
    seconds = time.perf_counter() - started
    each = seconds / len(listed) * 1e3
    print(f"listing {len(listed)} jobs with 10 MiB of events each: {seconds:.2f} s, {each:.2f} ms each")


def _linked(source: str, target: str) -> None:
    os.link(source, target)


def _keeper(job: Job) -> psutil.Process:
    record = read_record(job.path / "now.json")
    assert record is not None
    return psutil.Process(record.keeper.pid)


def _seconds_to_end(job: Job) -> float:
    started = time.perf_counter()
    while not job.state().is_final:
        time.sleep(0.005)
    return time.perf_counter() - started


def _say(what: str, seconds: Sequence[float]) -> None:
    print(f"{what:60} {statistics.median(seconds):6.2f} s {max(seconds):6.2f} s")


if __name__ == "__main__":
    main()
