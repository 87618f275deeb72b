"""What can be shown of a result whose kind this version does not know: its variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from probes.kinds import Kind

if TYPE_CHECKING:
    import pandas
    import xarray


def unknown(name: str) -> Kind:
    """A kind for the results of a kind ``name`` that is not known here."""

    def summary(dataset: xarray.Dataset) -> list[str]:
        what = f'Results of the kind "{name}" are' if name else "Results that name no kind are"
        return [f"{what} not known to this version of cosinterp; shown are the variables that it holds."]

    return Kind(f"Unknown kind: {name or 'none named'}", summary, variables, lambda dataset: {})


def variables(dataset: xarray.Dataset) -> pandas.DataFrame:
    """The variables of a dataset, a row each: name, dimensions, type, count, and what numbers range over."""
    import pandas as pd

    rows = []
    for name, variable in dataset.variables.items():
        values = variable.values
        row = {
            "variable": str(name),
            "dimensions": ", ".join(f"{dim} {size}" for dim, size in variable.sizes.items()),
            "type": "text" if values.dtype.kind == "U" else str(values.dtype),
            "what": str(variable.attrs.get("long_name", "")),
        }
        known = values[np.isfinite(values)] if values.dtype.kind in "iuf" else values[:0]
        if known.size:
            row |= {
                "mean": float(known.mean(dtype=np.float64)),
                "least": float(known.min()),
                "greatest": float(known.max()),
                "not known": int(values.size - known.size),
            }
        rows.append(row)
    return pd.DataFrame(rows)
