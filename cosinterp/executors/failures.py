"""Tasks that failed, said at the end of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cosinterp.errors import UserError
from cosinterp.executors.executor import Failed

_MOST_NAMED = 8


class TasksFailed(UserError):
    """Some tasks failed, and what the others made is kept.

    Its ``exit_code`` is 2 where all of that is the user's to mend, else 1.

    Args:
        what: what was not made, such as "2 of 8 runs were not made".
        failed: the tasks.
        names: what each task is called, in the order of ``failed``.
    """

    def __init__(self, what: str, failed: Sequence[Failed], names: Sequence[str]) -> None:
        by_error: dict[str, list[str]] = {}
        for one, name in zip(failed, names, strict=True):
            by_error.setdefault(one.error.strip(), []).append(name)
        super().__init__("\n".join([f"{what}; the others are kept:", *_lines(by_error)]))
        self.failed = tuple(failed)
        self.exit_code = 2 if all(one.is_users for one in failed) else 1


def _lines(by_error: Mapping[str, Sequence[str]]) -> list[str]:
    lines = []
    for error, names in by_error.items():
        shown = ", ".join(names[:_MOST_NAMED])
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        lines.append(f"{shown}{more}: " + error.replace("\n", "\n  "))
    return [f"  {line}" for line in lines]
