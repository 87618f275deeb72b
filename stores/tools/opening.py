"""What takes a store takes its folder as well."""

from __future__ import annotations

import os
from typing import TypeAlias

from stores.store import Store, open_store

AnyStore: TypeAlias = Store | str | os.PathLike[str]


def opened(store: AnyStore) -> Store:
    """``store`` itself, or the one in that folder.

    Raises:
        StoreError: as `open_store`.
    """
    return store if isinstance(store, Store) else open_store(store)
