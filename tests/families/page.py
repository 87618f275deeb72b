"""What ``docs/models.md`` has from the tests: the table of families, and a family as an example.

The table is what a test run found, and nothing else. A run of all tests here compares it, and the example,
with the page, and fails if they differ; ``pytest tests/families --models-page write`` writes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.families.row import FamilyRow

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "models.md"
EXAMPLE = "mochi"
"""The family whose files are the example."""
PROPERTY = "family table"
CASES = ("guided, 1", "guided, 2", "unguided, 1", "unguided, 2", "verify", "generic")

_HEAD = ("pipeline", "denoiser", "sites", "guidance", "predicts")
_found: dict[str, dict[str, Any]] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--models-page",
        choices=("check", "write"),
        default="check",
        help="compare docs/models.md with this run, or write its table of families and its example",
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
    whole = all(set(_expected(row)) <= set(_found.get(row.name, {"cells": ()})["cells"]) for row in ROWS)
    if not whole:
        return
    text = PAGE.read_text(encoding="utf-8")
    current = _filled(_filled(text, "table of families", _table(order)), "example", _example())
    if session.config.getoption("--models-page") == "write":
        PAGE.write_text(current, encoding="utf-8")
    elif current != text:
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter.write_line(f"\n{PAGE.name} is not what this run says. {__doc__}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _filled(page: str, name: str, content: str) -> str:
    """The page with ``content`` between the marks of that name."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"


def _example() -> str:
    """What adds the family `EXAMPLE`, as a diff."""
    registry = "cosinterp/models/families/__init__.py"
    entry = next(line for line in _lines(registry) if f'"{EXAMPLE}"' in line)
    parts = [f"--- a/{registry}", f"+++ b/{registry}", f"+{entry}"]
    for path in (f"cosinterp/models/families/{EXAMPLE}.py", f"tests/families/{EXAMPLE}.py"):
        lines = _lines(path)
        parts += ["--- /dev/null", f"+++ b/{path}", f"@@ -0,0 +1,{len(lines)} @@"]
        parts += [f"+{line}" for line in lines]
    return "\n".join(["```diff", *parts, "```"])


def _lines(path: str) -> list[str]:
    return (ROOT / path).read_text(encoding="utf-8").splitlines()


def _expected(row: FamilyRow) -> tuple[str, ...]:
    guided = tuple(f"guided, {batch}" for batch in row.batches)
    unguided = () if row.unguided is None else tuple(f"unguided, {batch}" for batch in row.batches)
    return (*guided, *unguided, "verify", "generic")


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
