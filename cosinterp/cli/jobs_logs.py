"""``cosinterp jobs logs``: what a job printed, and what it goes on to print."""

from __future__ import annotations

import codecs
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from cosinterp.cli.jobs_named import OneJob, named_job
from cosinterp.jobs.state import State
from cosinterp.jobs.texts import ended_text, one_line, plain

POLLED_EVERY = 0.5
"""Seconds between two looks at a log that is followed."""


def logs(
    job: OneJob,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what it prints, until it has ended.")
    ] = False,
    tail: Annotated[
        int | None,
        typer.Option(metavar="N", help="Only the last lines.", min=0, show_default="all"),
    ] = None,
) -> None:
    """Print what a job printed.

    All of it, of every attempt; control codes are left out. Ctrl-C ends the following, and not the job.
    """
    from cosinterp.cli.console import err

    found = named_job(job)
    if follow and found.state() is State.QUEUED:
        why = one_line(found.status().message)
        err().print(f"{found.id} waits{f': {why}' if why else ''}", markup=False, soft_wrap=True)
    try:
        for line in log_lines(found.log_path, tail, lambda: not follow or found.state().is_final):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    except KeyboardInterrupt:
        err().print(f"\n{found.id} goes on; to stop it:", soft_wrap=True)
        err().print(f"  cosinterp jobs cancel {found.id}", soft_wrap=True)
        raise
    if follow:
        err().print(ended_text(found.status()), markup=False, soft_wrap=True)


def log_lines(log: Path, tail: int | None, over: Callable[[], bool]) -> Iterator[str]:
    """The lines of a log, and those that it gets until all is over; see `plain`.

    Args:
        log: the file; there may be none yet.
        tail: of the lines that are there at first, only so many of the last; None: all.
        over: whether nothing more will be written.
    """
    done = over()
    while not log.exists():
        if done:
            return
        time.sleep(POLLED_EVERY)
        done = over()
    # A character may be written in two parts.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with log.open("rb") as file:
        *whole, begun = decoder.decode(file.read()).split("\n")
        yield from map(plain, whole if tail is None else whole[max(len(whole) - tail, 0) :])
        while True:
            # In this order: what is written before the end is read after it.
            done = done or over()
            text = decoder.decode(file.read())
            *whole, begun = (begun + text).split("\n")
            yield from map(plain, whole)
            if done and not text:
                break
            if not text:
                time.sleep(POLLED_EVERY)
        if begun:
            yield plain(begun)
