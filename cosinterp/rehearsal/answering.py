"""A question, answered in the process that is there for it alone."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from cosinterp.rehearsal.answer import Answer
from cosinterp.rehearsal.carrying_out import bug, carried_out
from cosinterp.rehearsal.messages import as_data
from cosinterp.rehearsal.secrets import without_secrets


def answered(question: dict[str, Any]) -> dict[str, Any]:
    """The answer as JSON takes it, with the modules that were ``imported`` to find it."""
    before = set(sys.modules)
    try:
        answer = _answer_to(question)
    except Exception as error:  # noqa: BLE001 - told to whoever asks, who decides
        answer = bug(error)
    imported = [name for name in sys.modules if name not in before]
    return {**without_secrets(as_data(answer)), "imported": imported}


def _answer_to(question: dict[str, Any]) -> Answer:
    try:
        os.chdir(question["folder"])
    except OSError as error:
        return Answer(False, f"{question['folder']}: {error.strerror}")
    return carried_out(question["words"], online=question["online"])


def answer_once() -> None:
    """Answer the question on standard input, on standard output."""
    question = json.loads(sys.stdin.readline())
    output = os.dup(1)
    # What libraries print is no part of the answer.
    os.dup2(2, 1)
    with os.fdopen(output, "w") as file:
        json.dump(answered(question), file)
