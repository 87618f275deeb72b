"""How a result was made, as names and texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probes.report.facts import flat

if TYPE_CHECKING:
    from probes.results.result import Result

Facts = list[tuple[str, str]]
"""Names and texts, in the order they are shown."""


def made_facts(result: Result) -> Facts:
    """Kind, what it holds, when it was made, of which store and model, and with which versions."""
    told = result.provenance
    sizes = ", ".join(f"{name} {size}" for name, size in result.dataset.sizes.items())
    facts = [("kind", result.kind), ("holds", sizes), ("created", str(told.get("created", "")))]
    facts += [(name, str(told[name])) for name in ("store", "device") if told.get(name)]
    model = told.get("model")
    if isinstance(model, dict) and model.get("name"):
        facts.append(("model", str(model["name"])))
    versions = told.get("versions") or {}
    facts.append(("versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    return [(name, text) for name, text in facts if text]


def asked_facts(result: Result) -> Facts:
    """What was asked for: nested settings under dotted names."""
    return [(name, text) for name, text in flat(result.provenance.get("asked") or {}) if text]
