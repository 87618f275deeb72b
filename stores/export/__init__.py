"""Exporting a store, or a part of it: one HDF5 file, safetensors, or zarr.

export_store(store, "mazes.h5", Wanted(sites=("resid",), steps="0-9"))
"""

from stores.export.choice import Wanted
from stores.export.exporting import (
    FORMATS,
    ExportPlan,
    export_store,
    format_of,
    plan_export,
    write_export,
)

__all__ = ["FORMATS", "ExportPlan", "Wanted", "export_store", "format_of", "plan_export", "write_export"]
