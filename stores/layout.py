"""Where things lie in a store: names of folders, files and HDF5 groups, format versions, chunk sizes.

Everything here is part of the format that ``docs/store.md`` describes; a change that old readers would
misread needs a new `VERSION`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path, PurePosixPath

from stores.errors import StoreError, VersionError
from stores.reduction import FULL, Reduction, parse_reduction

STORE_FORMAT = "cosinterp-store"
RUN_FORMAT = "cosinterp-run"
VERSION = 2

STORE_FILE = "store.json"
RUNS = "runs"
CATALOG = "catalog"
PARTIAL = ".partial"
CLAIM = ".claim"

SCHEDULE = "schedule"
NOISY = "latents/noisy"
PREDICTION = "latents/prediction"
PINNED = "latents/pinned"
PINNED_MASK = "latents/pinned_mask"
CONDITION = "condition"
TRUTH = "truth"
VIDEO = "video"
ACTIVATIONS = "activations"
SCALES = "scales"
PLACES = "token"
PROJECTIONS = "projections"
FACTORS = "factors"
CHECKSUMS = "checksums"

BASE = "base"
# Sites that layers pass on, so that layer 0 has them too: what goes into the first block.
STREAMS = ("resid", "text", "audio")
INDEX_AXES = ("step", "layer", "branch")
LATENT_AXES = ("step", "channel", "frame", "row", "col")
VIDEO_AXES = ("frame", "row", "col", "rgb")

MAX_CHUNK = 16 * 2**20
BLOCK = 64 * 2**10
# Bytes that a thread writes, or reads and widens, in one go.
PIECE = 32 * BLOCK
MAX_SEED = 2**63 - 1

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_BRANCH = re.compile(r"[a-z][a-z0-9_]{0,31}")
_SITE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_VARIANT = re.compile(r"[a-z][a-z0-9_-]{0,63}")
_RUN_FILE = re.compile(r"([0-9]{1,19})(?:\.([a-z][a-z0-9_-]{0,63}))?\.h5")


def sample_name(text: str) -> str:
    """A valid sample name made from any text; a text that is one already is returned as it is.

    A text that had to be changed gets a short hash of the original, so that two texts never share a name.

    >>> sample_name("maze-3")
    'maze-3'
    >>> sample_name("Go to the red goal!")
    'Go-to-the-red-goal-b0e0c3a8'
    """
    if _is_name(text):
        return text
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9._]+", "-", ascii_text).strip("-._")[:80].rstrip("-._") or "sample"
    return f"{stem}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def check_run_name(sample: str, seed: int, variant: str) -> None:
    """Raises StoreError unless the three can name a run (and so a file)."""
    if not isinstance(sample, str) or not _is_name(sample):
        raise StoreError(
            f"sample name {sample!r}: use 1 to 128 letters, digits, '.', '_' or '-', beginning with a letter "
            "or digit and not ending with '.'"
        )
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise StoreError(f"seed {seed!r}: a seed is a whole number from 0 to 2**63 - 1")
    if not isinstance(variant, str) or not _VARIANT.fullmatch(variant):
        raise StoreError(
            f"variant {variant!r}: use lower-case letters, digits, '_' or '-', beginning with a letter"
        )


def check_site_name(site: str) -> None:
    """Raises ValueError unless ``site`` can name a site, as ``resid`` or ``self_attn.raw`` do."""
    if not _SITE.fullmatch(site):
        raise ValueError(f"{site!r} cannot be a site's name")


def site_key(site: str, reduction: str | Reduction = FULL) -> str:
    """What a site's activations are called in a run's file, where several reductions of it may be stored.

    >>> site_key("resid"), site_key("resid", "project:64")
    ('resid', 'resid@project:64')

    Raises:
        SelectionError: ``reduction`` means none.
    """
    text = str(parse_reduction(reduction) if isinstance(reduction, str) else reduction)
    return site if text == FULL else f"{site}@{text}"


def split_site_key(key: str) -> tuple[str, str]:
    """(site, reduction) of a `site_key`.

    >>> split_site_key("resid@project:64")
    ('resid', 'project:64')
    """
    site, _, reduction = key.partition("@")
    return site, reduction or FULL


def factors_path(path: str) -> str:
    """Where the factors of the fp8 dataset ``path`` are: ``factors/KEY`` for ``activations/KEY``."""
    return f"{FACTORS}/{path.rpartition('/')[2]}"


def run_file(sample: str, seed: int, variant: str = BASE) -> str:
    """The run's file, relative to the store, with forward slashes.

    >>> run_file("maze-3", 7), run_file("maze-3", 7, "patched")
    ('runs/maze-3/7.h5', 'runs/maze-3/7.patched.h5')
    """
    suffix = "" if variant == BASE else f".{variant}"
    return f"{RUNS}/{sample}/{seed}{suffix}.h5"


def parse_run_file(file: str) -> tuple[str, int, str] | None:
    """(sample, seed, variant) of a run's file, relative to the store; None if no run's file is named so."""
    parts = PurePosixPath(file).parts
    if len(parts) != 3 or parts[0] != RUNS or not _is_name(parts[1]):
        return None
    match = _RUN_FILE.fullmatch(parts[2])
    if match is None:
        return None
    key = (parts[1], int(match[1]), match[2] or BASE)
    return key if run_file(*key) == file else None


def check_version(found: object, what: str, path: Path) -> None:
    """Checks that ``found`` is the format version that this code reads and writes.

    Raises:
        VersionError: it is another.
        StoreError: it is none.
    """
    if isinstance(found, bool) or not isinstance(found, int):
        raise StoreError(f"{path}: this {what} does not say its format version; it is damaged or foreign")
    if found > VERSION:
        raise VersionError(
            f"{path}: {what} of format version {found}, but this cosinterp reads version {VERSION}; "
            "upgrade cosinterp to read it"
        )
    if found < VERSION:
        raise VersionError(
            f"{path}: {what} of the old format version {found}, but this cosinterp reads version {VERSION}; "
            "read it with the cosinterp that wrote it, or trace it again"
        )


def chunk_length(length: int, item_bytes: int) -> int:
    """How many of ``length`` items (frames, say) of ``item_bytes`` each go into one chunk.

    The largest divisor of ``length`` that keeps a chunk within `MAX_CHUNK`, so that no chunk is padded; at
    least one item, however large.
    """
    fitting = (n for n in range(length, 0, -1) if length % n == 0 and n * item_bytes <= MAX_CHUNK)
    return next(fitting, 1)


def is_branch_name(text: str) -> bool:
    """Whether a branch can be called so: "cond", "uncond", or that of another guidance, such as "stg"."""
    return _BRANCH.fullmatch(text) is not None


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and not text.endswith(".")
