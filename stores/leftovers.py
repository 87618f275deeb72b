"""What killed processes leave behind in a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stores import layout
from stores.claim import Claim, is_claimed
from stores.errors import StoreError


def unclaimed_runs(store: Path) -> Iterator[Path]:
    """Runs that were begun and that nobody is making any more."""
    for path in sorted((store / layout.RUNS).glob(f"*/*{layout.PARTIAL}")):
        run = path.relative_to(store).as_posix().removesuffix(layout.PARTIAL)
        if layout.parse_run_file(run) is not None and not _is_being_made(path):
            yield path


def drafts(store: Path) -> Iterator[Path]:
    """Settings and catalogs that were begun and never got their names."""
    yield from sorted([*store.glob(f".{layout.STORE_FILE}.*"), *(store / layout.CATALOG).glob("*.draft")])


def remove_leftover(path: Path) -> bool:
    """Removes a file that `unclaimed_runs` or `drafts` found; False if it is in use after all.

    Raises:
        OSError: the disk refuses.
    """
    if not path.name.endswith(layout.PARTIAL):
        path.unlink(missing_ok=True)
        return True
    if not path.exists():
        return True
    try:
        # Only the one who holds the claim may remove it: a trace may be about to make this run anew.
        claim = Claim(path, str(path))
    except StoreError:
        return False
    try:
        path.unlink(missing_ok=True)
    finally:
        claim.release()
    return True


def _is_being_made(partial: Path) -> bool:
    try:
        return is_claimed(partial)
    except FileNotFoundError:
        # It was finished or removed since we listed it.
        return True
