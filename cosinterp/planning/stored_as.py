"""How activations are stored: dtypes and compressions by name, checked without a model."""

from __future__ import annotations

from cosinterp.errors import TraceError
from stores.dtypes import DTYPES
from stores.slabs.compression import COMPRESSIONS

AUTO = "auto"
"""The dtype that stands for the model's own."""


def check_store_dtype(name: str) -> str:
    """``name`` itself. Raises TraceError unless it is a store's dtype, or `AUTO`."""
    if name not in (AUTO, *DTYPES):
        raise TraceError(f'unknown store dtype "{name}"; use {AUTO}, {", ".join(DTYPES)}')
    return name


def check_compression(name: str) -> str:
    """``name`` itself. Raises TraceError unless it is a store's compression."""
    if name not in COMPRESSIONS:
        raise TraceError(f'unknown compression "{name}"; use {", ".join(COMPRESSIONS)}')
    return name
