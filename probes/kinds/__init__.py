"""Kinds of results: how each is put into words, into a table and into figures.

A kind is a module of this package with a `Kind` named ``KIND``, and a line in `_HOMES`: the name that is in
the provenance of its results, and the module, as "module:NAME" if its `Kind` is called otherwise. Modules are
imported when a result of theirs is looked at. A result of a kind that is not known here, of a newer version
perhaps, is shown by what any result has (`probes.kinds.unknown`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from stores.errors import StoreError

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure

    Summary = Callable[[xarray.Dataset], list[str]]
    Table = Callable[[xarray.Dataset], pandas.DataFrame]
    Figures = Callable[[xarray.Dataset], Mapping[str, Callable[[], Figure]]]

_HOMES: dict[str, str] = {
    "ablation": "probes.kinds.patches:ABLATION",
    "attribution": "probes.kinds.attribution",
    "convergence": "probes.kinds.convergence",
    "ensemble": "probes.kinds.ensemble",
    "experiment": "probes.kinds.experiment",
    "maps": "probes.kinds.maps",
    "noise": "probes.kinds.noise",
    "patch": "probes.kinds.patches:PATCH",
    "probe": "probes.kinds.probe",
    "scores": "probes.kinds.scores",
    "similarity": "probes.kinds.similarity",
    "steering": "probes.kinds.patches:STEERING",
    "transfer": "probes.kinds.transfer",
}


@dataclass(frozen=True)
class Kind:
    """What can be done with the results of one kind.

    Attributes:
        title: a few words, such as "Linear probes by step and layer".
        summary: what a result says, a sentence a line, each number with its n and its interval.
        table: its numbers, a row each, with the columns ``value``, ``low``, ``high`` and ``n`` where there
            are such.
        figures: the figures of a result by name, the first the main one; each is drawn when it is called.
    """

    title: str
    summary: Summary
    table: Table
    figures: Figures


def kind_of(name: str) -> Kind:
    """The kind of this name.

    Raises:
        StoreError: this version knows no such kind.
    """
    home = _HOMES.get(name)
    if home is None:
        raise StoreError(f'results of the kind "{name}" are not known here; there are {", ".join(_HOMES)}')
    module, _, attribute = home.partition(":")
    return getattr(import_module(module), attribute or "KIND")


def is_known(name: str) -> bool:
    """Whether this version knows a kind of this name."""
    home = _HOMES.get(name)
    return home is not None and find_spec(home.partition(":")[0]) is not None
