"""Job folders as a keeper would leave them, made by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from cosinterp.jobs.events import Event
from cosinterp.jobs.home import host, jobs_folder
from cosinterp.jobs.processes import Identity
from cosinterp.jobs.record import Record
from cosinterp.jobs.spec import JobSpec
from cosinterp.jobs.status import EVENTS, RECORD, SPEC

CREATED = 1_760_000_000.0
WORDS = ("trace", "--model", "maze-wan", "--dataset", "mazes", "--store", "runs/first")


def keep(
    job: str,
    *,
    words: tuple[str, ...] = WORDS,
    created: float = CREATED,
    events: tuple[Event, ...] = (),
    log: str = "",
    **known: Any,
) -> Path:
    """The folder of a job that is kept by this very process, so that it lives.

    Args:
        job: its id.
        words: of its command.
        created: seconds since the epoch.
        events: that happened; the last one goes into the record, if it is an end.
        log: what it printed.
        known: what its record says besides.
    """
    folder = jobs_folder() / job
    folder.mkdir(parents=True)
    spec = JobSpec(words=words, cwd="/data", name=None, created=created)
    (folder / SPEC).write_bytes(spec.as_json())
    os.utime(folder / SPEC, (created, created))
    end = events[-1] if events and events[-1].is_end else None
    record = Record(
        **{
            "attempt": events[-1].attempt if events else 1,
            "phase": "running" if end is None else "ended",
            "host": host(),
            "keeper": Identity.of(os.getpid()),
            "session": os.getpid(),
            "ended": None if end is None else end.as_data(),
            **known,
        }
    )
    (folder / RECORD).write_text(record.model_dump_json())
    lines = "".join(json.dumps(event.as_data()) + "\n" for event in events)
    (folder / EVENTS).write_text(lines)
    (folder / "log.txt").write_text(log)
    return folder
