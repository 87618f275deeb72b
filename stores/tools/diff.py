"""What differs between two stores, down to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stores.entries import Key, RunEntry
from stores.errors import StoreError
from stores.filters import Samples, Seeds
from stores.flat import differences
from stores.seal import have_one_seal
from stores.tools.comparing import Difference, diff_runs
from stores.tools.opening import AnyStore, opened

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class RunDiff:
    """How a run that both stores have differs; ``differences`` is never empty."""

    sample: str
    seed: int
    variant: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class StoreDiff:
    """How two stores, A and B, differ.

    Attributes:
        settings: a line for each dotted key of the settings that differs.
        only_a, only_b: the runs that only one of them has.
        same: the runs that are the same in both.
        different: the runs that both have and that are not the same.
    """

    settings: tuple[str, ...]
    only_a: tuple[RunEntry, ...]
    only_b: tuple[RunEntry, ...]
    same: tuple[Key, ...]
    different: tuple[RunDiff, ...]

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not (self.settings or self.only_a or self.only_b or self.different)


def diff_stores(
    a: AnyStore,
    b: AnyStore,
    *,
    samples: Samples = None,
    seeds: Seeds = None,
    variant: str | None = None,
    tolerance: float = 0.0,
    quick: bool = False,
    progress: Progress | None = None,
) -> StoreDiff:
    """What differs between two stores: settings, runs, and all that is in the runs that both have.

    Of a run everything counts but when it was finished and how its file is laid out: attributes, schedule,
    latents, condition, truth, video, and of each site the steps, layers and branches that both have.
    Everything is read, and so checked, but a file that both stores share (a hard link) and with ``quick``.

    Args:
        a, b: stores, or their folders.
        samples, seeds, variant: which runs, as in `Store.runs`.
        tolerance: the largest absolute difference of numbers that still counts as equal. 0: bit for bit.
        quick: do not read slabs whose checksums in the files are equal. They are equal, too, unless a file
            is damaged.
        progress: called with (bytes compared, bytes in all, file); bytes of the files of ``a``.

    Raises:
        StoreError: no run is selected, or a file is damaged.
    """
    if not 0 <= tolerance < float("inf"):
        raise StoreError(f"tolerance {tolerance}: use a number from 0 on")
    a, b = opened(a), opened(b)
    ours = {entry.key: entry for entry in a.runs(samples, seeds, variant)}
    theirs = {entry.key: entry for entry in b.runs(samples, seeds, variant)}
    if not ours and not theirs and (a.runs() or b.runs()):
        raise StoreError(f"neither {a.path} nor {b.path} has a run that is selected")
    settings = tuple(
        f"{key}: {here} in A, {there} in B"
        for key, here, there in differences(a.settings.to_json(), b.settings.to_json())
    )
    same: list[Key] = []
    different: list[RunDiff] = []
    common = [entry for key, entry in ours.items() if key in theirs]
    total, done = sum(entry.size for entry in common), 0
    for entry in common:

        def compared(size: int, entry: RunEntry = entry, before: int = done) -> None:
            if progress is not None:
                progress(before + min(size, entry.size), total, entry.file)

        compared(0)
        other = theirs[entry.key]
        if _is_known_equal(a.path / entry.file, b.path / other.file, quick):
            found = ()
        else:
            with a.run(*entry.key) as run, b.run(*other.key) as other_run:
                found = diff_runs(run, other_run, tolerance, compared, settings, quick)
        if found:
            different.append(RunDiff(*entry.key, found))
        else:
            same.append(entry.key)
        done += entry.size
        compared(entry.size)
    return StoreDiff(
        settings,
        tuple(entry for key, entry in ours.items() if key not in theirs),
        tuple(entry for key, entry in theirs.items() if key not in ours),
        tuple(same),
        tuple(different),
    )


def _is_known_equal(ours: Path, theirs: Path, quick: bool) -> bool:
    """Whether two files need not be opened: they are one, or copies if their seals may be trusted."""
    try:
        return ours.samefile(theirs) or (quick and have_one_seal(ours, theirs))
    except FileNotFoundError:
        # Removed since we listed it; opening it says so.
        return False
