"""What a question finds, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cosinterp.doctor import Circumstances, Finding


def asked(
    ask: Callable[[Circumstances], Iterable[Finding]],
    path: Path = Path(),
    environ: Mapping[str, str] | None = None,
) -> dict[str, Finding]:
    """The findings of ``ask``. Each that is not ok has to say what it means; each lack what to do."""
    found = list(ask(Circumstances(path, environ or {})))
    for finding in found:
        assert finding.name
        assert finding.value
        assert finding.meaning or finding.state == "ok", finding
        assert finding.advice or finding.state in ("ok", "note"), finding
    names = [finding.name for finding in found]
    assert len(set(names)) == len(names)
    return {finding.name: finding for finding in found}
