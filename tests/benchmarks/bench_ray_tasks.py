"""What Ray itself costs: the time until its first task is begun, and the time a task that does nothing takes.

python -m tests.benchmarks.bench_ray_tasks --tasks 500 --messages 50
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from statistics import median

from cosinterp.executors.executor import Finished, Tell
from cosinterp.executors.ray_executor import RayExecutor


@dataclass(frozen=True)
class Nothing:
    """A work whose tasks tell so many messages and do nothing else."""

    messages: int

    def open(self, device: str | None) -> Callable[[int, Tell], None]:
        def do(task: int, tell: Tell) -> None:
            for message in range(self.messages):
                tell(message)

        return do


def seconds_of(executor: RayExecutor, work: Nothing, tasks: int) -> tuple[float, float]:
    """Seconds until the first task is finished, and from then on until the last is."""
    started = time.monotonic()
    ended: list[float] = []
    with closing(executor.run(work, range(tasks))) as happening:
        ended.extend(time.monotonic() for one in happening if isinstance(one, Finished))
    return ended[0] - started, ended[-1] - ended[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--messages", type=int, default=50, help="of each task, as a run tells its steps")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    with RayExecutor(device="cpu") as executor:
        started = time.monotonic()
        workers = executor.workers
        connected = time.monotonic() - started
        first, _ = seconds_of(executor, Nothing(0), 1)
        print(f"Ray starts in {connected:.1f} s, its first task ends {first:.1f} s later; {workers} workers")
        for messages in (0, asked.messages):
            each = [
                seconds_of(executor, Nothing(messages), asked.tasks)[1] / (asked.tasks - 1)
                for _ in range(asked.repeats)
            ]
            print(
                f"a task with {messages} messages: {median(each) * 1000:.1f} ms "
                f"(median of {asked.repeats} times {asked.tasks} tasks)"
            )


if __name__ == "__main__":
    main()
