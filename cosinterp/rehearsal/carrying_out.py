"""A command line carried out with ``--dry-run``: what a fork, or a fresh process, does for one question."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

from cosinterp.models.reading import UNREACHED, UNREAD, no_weights
from cosinterp.rehearsal.answer import Answer, Plan
from cosinterp.rehearsal.naming import flag_meant
from cosinterp.rehearsal.words import DRY_RUN, REHEARSED, UsageError, flags_of, given_flags, refusal, split

_DRY = (DRY_RUN, "--json", "--no-measure")
# They are about the job that would be launched, and a dry run is none.
_OF_THE_LAUNCH = ("detach", "job_name")
_ERROR = "error: "


def carried_out(words: Sequence[str], *, online: bool = False) -> Answer:
    """What the words behind ``cosinterp`` would do; ``online``: whether the command itself may ask the hub.

    The command line does it, with --dry-run. What is not among `REHEARSED` is parsed only, since carrying it
    out would do what it is for. Errors that no user can mend are raised.
    """
    from cosinterp.cli import app
    from cosinterp.cli.jobs_detach import without

    try:
        names, command, rest = split(words)
        given = given_flags(command, names, rest)
    except UsageError as error:
        return refusal(error)
    if " ".join(names) not in REHEARSED:
        return Answer(True)
    known = flags_of(command)
    launching = {
        flag for parameter in command.params if parameter.name in _OF_THE_LAUNCH for flag in parameter.opts
    }
    asked = [
        *names,
        *(flag for flag in _DRY if flag in known),
        *without(rest, launching | {"--measure"}, known),
    ]
    sys.argv = ["cosinterp", *asked]
    printed, said = StringIO(), StringIO()
    with redirect_stdout(printed), redirect_stderr(said), no_weights():
        try:
            code = app(args=asked, prog_name="cosinterp", standalone_mode=False)
        except UsageError as error:
            return refusal(error)
    answer = _answer(int(code or 0), printed.getvalue(), said.getvalue(), given, tuple(known))
    unknown = _unknown(answer.message, online)
    return answer if unknown is None else Answer(True, remarks=(unknown,))


def _unknown(message: str, online: bool) -> str | None:
    """Why it is not known whether the command would do it, though it was refused here; None: it is known."""
    if message.endswith(UNREAD):
        return UNREAD
    # Here nothing is fetched, so it may be there all the same.
    is_to_be_fetched = online and message.endswith(UNREACHED)
    return "the model is fetched first, and what it takes is known then" if is_to_be_fetched else None


def bug(error: BaseException) -> Answer:
    """What is said of an error that no user can mend."""
    lines = traceback.format_exception_only(error)
    return Answer(
        False, f"a bug in cosinterp: {lines[-1].strip()}", bug="".join(traceback.format_exception(error))
    )


def _answer(
    code: int, printed: str, said: str, given: dict[str, tuple[str, ...]], known: Sequence[str]
) -> Answer:
    """What the command has printed, as an answer."""
    data: dict[str, Any] | None = json.loads(printed) if printed.strip() else None
    plan = None if data is None else Plan.of(data)
    lines = said.splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith(_ERROR)), len(lines))
    message = "\n".join(lines[start:]).removeprefix(_ERROR)
    if not message and plan is not None:
        message = plan.data["takes"]["refused"] or ""
    flag = flag_meant(message, given, known) if message else None
    return Answer(code == 0 and not message, message, flag, plan, tuple(lines[:start]))
