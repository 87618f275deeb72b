"""Answers as lines of JSON, as they come from the process that rehearses."""

from __future__ import annotations

from typing import Any

from cosinterp.rehearsal.answer import Answer, Plan


def as_data(answer: Answer) -> dict[str, Any]:
    """An answer as JSON takes it."""
    return {
        "ok": answer.ok,
        "message": answer.message,
        "flag": answer.flag,
        "plan": None if answer.plan is None else answer.plan.data,
        "remarks": list(answer.remarks),
        "bug": answer.bug,
    }


def answer_of(data: dict[str, Any]) -> Answer:
    """The answer that `as_data` was given."""
    return Answer(
        ok=data["ok"],
        message=data["message"],
        flag=data["flag"],
        plan=None if data["plan"] is None else Plan.of(data["plan"]),
        remarks=tuple(data["remarks"]),
        bug=data["bug"],
    )
