"""The activation store: runs of video diffusion models in HDF5, indexed by step, layer and seed.

    store = stores.open_store("my-store")
    store.runs(sample="maze-3", seed=slice(0, 8))
    x = store.read("resid", step=3, layer=20, sample="maze-3", seed=7)   # frame, row, col, channel

`docs/store.md` describes the format.
"""

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
