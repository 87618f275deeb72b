"""The activation store: runs of video diffusion models in HDF5, indexed by step, layer and seed.

    store = stores.open_store("my-store")
    store.runs(sample="maze-3", seed=slice(0, 8))
    x = store.read("resid", step=3, layer=20, sample="maze-3", seed=7)   # frame, row, col, channel

`docs/store.md` describes the format. Each name is imported when it is first used, so that what needs no more
than an error or a unit of this package (a command's help, the first picture of the terminal app) loads
neither HDF5 nor NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "Difference",
    "Merged",
    "Problem",
    "Run",
    "RunDiff",
    "RunEntry",
    "RunWriter",
    "Schedule",
    "SelectionError",
    "SiteInfo",
    "SlabLayout",
    "Store",
    "StoreDiff",
    "StoreError",
    "StoreSettings",
    "UserError",
    "Wanted",
    "create_store",
    "diff_stores",
    "export_store",
    "merge_stores",
    "open_store",
    "sample_name",
]

_HOMES = {
    "Difference": "stores.tools.comparing",
    "Merged": "stores.tools.merge",
    "Problem": "stores.verify",
    "Run": "stores.reader",
    "RunDiff": "stores.tools.diff",
    "RunEntry": "stores.entries",
    "RunWriter": "stores.writer",
    "Schedule": "stores.schedule",
    "SelectionError": "stores.errors",
    "SiteInfo": "stores.sites",
    "SlabLayout": "stores.slabs.layout",
    "Store": "stores.store",
    "StoreDiff": "stores.tools.diff",
    "StoreError": "stores.errors",
    "StoreSettings": "stores.settings",
    "UserError": "stores.errors",
    "Wanted": "stores.export",
    "create_store": "stores.store",
    "diff_stores": "stores.tools.diff",
    "export_store": "stores.export",
    "merge_stores": "stores.tools.merge",
    "open_store": "stores.store",
    "sample_name": "stores.layout",
}

if TYPE_CHECKING:
    from stores.entries import RunEntry
    from stores.errors import SelectionError, StoreError, UserError
    from stores.export import Wanted, export_store
    from stores.layout import sample_name
    from stores.reader import Run
    from stores.schedule import Schedule
    from stores.settings import StoreSettings
    from stores.sites import SiteInfo
    from stores.slabs.layout import SlabLayout
    from stores.store import Store, create_store, open_store
    from stores.tools.comparing import Difference
    from stores.tools.diff import RunDiff, StoreDiff, diff_stores
    from stores.tools.merge import Merged, merge_stores
    from stores.verify import Problem
    from stores.writer import RunWriter


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
