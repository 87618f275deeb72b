"""Where the numbers of an offline analysis come from."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stores import Store

_PACKAGES = ("numpy", "scipy", "scikit-learn", "xarray", "h5py")


def provenance(
    kind: str,
    store: Store,
    asked: Mapping[str, Any],
    *,
    command: str | None = None,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """What a result says of itself.

    Args:
        kind: a kind of `probes.kinds`.
        store: what was analysed.
        asked: all that was asked for, JSON-able: with it the same numbers come out again.
        command: the command line that makes the result again.
        notes: what the reader should know, such as runs that were left out.
    """
    return {
        "kind": kind,
        "store": store.path.name,
        "model": store.settings.model,
        "sampling": store.settings.sampling,
        "asked": dict(asked),
        "versions": _versions(),
        "notes": list(notes),
        "command": command,
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
    try:
        return {"cosinterp": version("cosinterp"), **found}
    except PackageNotFoundError:
        # Used from its source, not installed.
        return found
