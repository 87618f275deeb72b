"""What is read of jobs. Everything here may block: it is called in threads only."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from cosinterp.errors import JobError
from cosinterp.jobs.spec import JobSpec
from cosinterp.jobs.status import RECORD, SPEC, status_of
from tui.jobs.watch import JobsSeen, Seen

_TOLD_EVERY = 250
_LOOKED_AT = 100


@dataclass
class _Known:
    """A job that has been read: its words, which never change, and what its record was like then."""

    seen: Seen
    spec: JobSpec | None
    signature: tuple[int, int] | None


class Looker:
    """Looks at all jobs again and again, and reads of them only what may have changed.

    Those that live are read each time. Of those that have ended only the time of change of their record is
    looked at, of so many each time; so a thousand ended jobs cost next to nothing, and one that is resumed
    from elsewhere is seen all the same.

    Args:
        folder: of all jobs; it need not be there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder_changed: int | None = None
        self._known: dict[str, _Known] = {}
        self._order: list[str] = []
        self._next = 0

    def look(self, certain: Collection[str] = ()) -> Iterator[JobsSeen]:
        """How they stand now; while many are read for the first time, also how those stand read so far.

        Args:
            certain: ids of jobs to be read again in any case.
        """
        try:
            new = self._list()
        except OSError as error:
            self._folder_changed = None
            yield JobsSeen(error=f"{self._folder}: {error.strerror}")
            return
        self._look_again(certain)
        for number, (asked, name) in enumerate(new):
            if number and number % _TOLD_EVERY == 0:
                yield self._seen(whole=False)
            known = self._read(name, asked, None)
            if known is not None:
                self._known[name] = known
        if new:
            self._order = sorted(self._known, key=lambda name: self._known[name].seen.asked, reverse=True)
        yield self._seen(whole=True)

    def _list(self) -> list[tuple[float, str]]:
        """The jobs that are not known yet, newest first; those that are gone are forgotten.

        Raises:
            OSError: the folder cannot be read.
        """
        try:
            changed = self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            self._known.clear()
            self._order.clear()
            self._folder_changed = None
            return []
        if changed == self._folder_changed:
            return []
        with os.scandir(self._folder) as entries:
            names = {entry.name for entry in entries if not entry.name.startswith(".")}
        new: list[tuple[float, str]] = []
        unmade = False
        for name in names - self._known.keys():
            try:
                new.append(((self._folder / name / SPEC).stat().st_mtime, name))
            except (FileNotFoundError, NotADirectoryError):
                # A folder without a spec is one that is just being made, or removed.
                unmade = True
        for name in self._known.keys() - names:
            del self._known[name]
        self._order = [name for name in self._order if name in self._known]
        # What is made within one that is listed does not change the time of the folder of all.
        self._folder_changed = None if unmade else changed
        return sorted(new, reverse=True)

    def _look_again(self, certain: Collection[str]) -> None:
        """Read those again that live, and some of the others if they have changed."""
        count = len(self._order)
        turn = set(certain) | {
            self._order[(self._next + step) % count] for step in range(min(_LOOKED_AT, count))
        }
        self._next = (self._next + _LOOKED_AT) % max(count, 1)
        for name in list(self._order):
            known = self._known[name]
            if known.seen.lives or name in turn:
                again = self._read(name, known.seen.asked, known)
                if again is None:
                    self._order.remove(name)
                    del self._known[name]
                else:
                    self._known[name] = again

    def _read(self, name: str, asked: float, before: _Known | None) -> _Known | None:
        """A job as it is now; the same as ``before`` if nothing has changed, None if it is gone."""
        path = self._folder / name
        signature = _signature(path / RECORD)
        if before is not None and not before.seen.lives and signature == before.signature:
            return before
        spec = before.spec if before is not None else None
        try:
            spec = spec or JobSpec.read(path / SPEC)
            status = status_of(path, spec)
        except (JobError, OSError) as error:
            if not path.exists():
                return None
            return _Known(Seen(path, asked, None, str(error)), None, signature)
        if before is not None and status == before.seen.status:
            return _Known(before.seen, spec, signature)
        return _Known(Seen(path, spec.created, status), spec, signature)

    def _seen(self, whole: bool) -> JobsSeen:
        names = self._order if whole else list(self._known)
        return JobsSeen(tuple(self._known[name].seen for name in names), whole)


def _signature(record: Path) -> tuple[int, int] | None:
    """What differs when a record has been written again; None: there is none."""
    try:
        found = record.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
