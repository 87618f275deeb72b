"""Ids of jobs: readable, easy to say, and never the same twice."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

from cosinterp.jobs.home import make_private_folders

_LONGEST = 24
# fmt: off
_WORDS = (
    "acorn", "alder", "amber", "anvil", "aspen", "badger", "barley", "basil", "beacon", "birch", "bison",
    "brook", "canyon", "cedar", "clover", "cobalt", "comet", "coral", "crane", "delta", "dune", "eagle",
    "ember", "falcon", "fern", "finch", "flint", "fox", "garnet", "ginger", "gull", "harbor", "hazel",
    "heron", "holly", "ibis", "iris", "ivory", "jade", "jasper", "kelp", "kite", "lark", "laurel", "lemon",
    "lilac", "linden", "lotus", "lynx", "magpie", "maple", "marble", "meadow", "mint", "moss", "nectar",
    "oak", "olive", "onyx", "opal", "orchid", "osprey", "otter", "owl", "pebble", "pepper", "petrel",
    "pine", "plover", "poplar", "quail", "quartz", "raven", "reed", "robin", "rowan", "sage", "salmon",
    "shale", "spruce", "stork", "sumac", "swift", "tern", "thrush", "tulip", "umber", "velvet", "violet",
    "walnut", "willow", "wren", "yarrow", "zephyr",
)
# fmt: on


def make_job_folder(folder: Path, begin: str) -> Path:
    """Make the folder of a new job, which bears its id, such as "trace-1123-1830-kite".

    Args:
        folder: of all jobs; made if it is missing.
        begin: what the id begins with, as far as a file can be called so.

    Raises:
        OSError: it cannot be made.
    """
    make_private_folders(folder)
    for name in _names(begin):
        path = folder / name
        try:
            # Of two that hit upon the same id at the same moment, one makes the folder.
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        path.chmod(0o700)
        return path
    raise AssertionError("there is always a further name")


def _names(begin: str) -> Iterator[str]:
    stem = re.sub(r"[^a-z0-9]+", "-", begin.lower()).strip("-")[:_LONGEST].strip("-") or "job"
    stem = f"{stem}-{time.strftime('%m%d-%H%M')}"
    words = random.SystemRandom().sample(_WORDS, len(_WORDS))
    yield from (f"{stem}-{word}" for word in words)
    number = 2
    while True:
        yield from (f"{stem}-{word}-{number}" for word in words)
        number += 1
