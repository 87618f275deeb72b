"""Tasks one after another, or in several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

Task = TypeVar("Task")
Found = TypeVar("Found")


def carried_out(
    function: Callable[[Task], Found], tasks: Sequence[Task], jobs: int
) -> Iterator[tuple[Task, Found]]:
    """Each task with what the function makes of it, in order, as they are done."""
    if jobs == 1:
        for task in tasks:
            yield task, function(task)
        return
    from joblib import Parallel, delayed

    found: Any = Parallel(n_jobs=jobs, return_as="generator")(delayed(function)(task) for task in tasks)
    yield from zip(tasks, found, strict=True)
