"""Which jobs decode the runs that are shown, and how far they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tui.browser.rows import Row
from tui.frames.decoding import words_of
from tui.frames.film import decode_words
from tui.jobs.watch import JobsSeen


@dataclass
class _Work:
    """What is known of the decoding of a run."""

    job_id: str = ""
    words: str = "starting a job that decodes..."
    done: float | None = None
    is_over: bool = False


class Decoders:
    """The jobs that decode some runs: those that were started here, and those that were before.

    Attributes:
        last_job: the id of the one that was seen last; None: there is none.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.last_job: str | None = None
        self._rows = list(rows)
        self._work: dict[str, _Work] = {}

    def words(self, row: Row) -> str:
        """What is being done to decode a run, or why that failed; "": nothing."""
        work = self._work.get(row.key)
        return "" if work is None else work.words

    def is_at_work(self, row: Row) -> bool:
        """Whether a run is being decoded."""
        work = self._work.get(row.key)
        return work is not None and not work.is_over

    def begin(self, row: Row) -> None:
        """A job that decodes a run is about to be started."""
        self._work[row.key] = _Work()

    def started(self, rows: Sequence[Row], job_id: str, error: str) -> None:
        """A job that decodes runs has been started, or could not be."""
        for row in rows:
            words = f"decoding was not started: {error}" if error else "decoding: waiting for the job"
            self._work[row.key] = _Work(job_id, words, is_over=bool(error))
        self.last_job = job_id or self.last_job

    def see(self, seen: JobsSeen) -> list[Row]:
        """How jobs stand; returns the runs of which more may be decoded than before."""
        self._adopt(seen)
        found = {job.id: job.status for job in seen.jobs}
        decoded = []
        for row in self._rows:
            work = self._work.get(row.key)
            status = found.get(work.job_id) if work else None
            if work is None or work.is_over or status is None:
                continue
            work.words, work.is_over = words_of(status), status.state.is_final
            if work.is_over or status.done != work.done:
                decoded.append(row)
            work.done = status.done
        return decoded

    def _adopt(self, seen: JobsSeen) -> None:
        """Take up jobs that decode a run and were started elsewhere, or before the app was."""
        for status in seen.living:
            for row in self._rows:
                if _decodes(status.words, row) and not self.is_at_work(row):
                    self._work[row.key] = _Work(status.id)
                    self.last_job = status.id


def _decodes(words: Sequence[str], row: Row) -> bool:
    """Whether the words of a job, of those that this app starts, decode a run."""
    own = decode_words([row])
    place = own.index(str(row.seed), own.index("--seed"))
    if len(words) != len(own) or str(row.seed) not in words[place].split(","):
        return False
    return [*words[:place], *words[place + 1 :]] == [*own[:place], *own[place + 1 :]]
