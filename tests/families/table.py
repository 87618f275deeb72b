"""The table of families in ``docs/models.md``: what a test run found, and nothing else.

A run of all tests here compares its table with the one in the documentation, and fails if they differ;
``pytest tests/families --models-table write`` writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- table of families: begin -->", "<!-- table of families: end -->"
PROPERTY = "family table"
CASES = ("guided, 1", "guided, 2", "unguided, 1", "unguided, 2", "verify", "generic")

_HEAD = ("pipeline", "denoiser", "sites", "guidance", "predicts")
_found: dict[str, dict[str, Any]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--models-table",
        choices=("check", "write"),
        default="check",
        help="compare the table of families in docs/models.md with this run, or write it",
    )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Collect what each test says of its family; with several processes, in the first of them."""
    if report.when != "call":
        return
    for name, said in report.user_properties:
        if name == PROPERTY and isinstance(said, Mapping):
            row = _found.setdefault(said["name"], {"cells": {}})
            row.update({key: said[key] for key in _HEAD if key in said})
            understood = said.get("understood", True)
            row["cells"][said["case"]] = "yes" if report.passed and understood else "no"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Compare or write, once everything has run."""
    if hasattr(session.config, "workerinput") or not _found:
        return
    from tests.families.rows import ROWS

    order = [row.name for row in ROWS]
    whole = all(
        set(_expected(row.unguided is not None)) <= set(_found.get(row.name, {"cells": ()})["cells"])
        for row in ROWS
    )
    if not whole:
        return
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    current = f"{before}{BEGIN}\n\n{_table(order)}\n\n{END}{after}"
    if session.config.getoption("--models-table") == "write":
        PAGE.write_text(current, encoding="utf-8")
    elif current != text:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter.write_line(f"\n{PAGE.name} has another table of families than this run: {__doc__}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _expected(has_guidance: bool) -> tuple[str, ...]:
    return tuple(case for case in CASES if has_guidance or not case.startswith("unguided"))


def _table(order: list[str]) -> str:
    rows = [
        [
            name,
            *(str(_found[name].get(key, "")) for key in _HEAD),
            *(_found[name]["cells"].get(case, "-") for case in CASES),
        ]
        for name in order
    ]
    lines = [("family", *_HEAD, *CASES), ("---",) * (1 + len(_HEAD) + len(CASES)), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
