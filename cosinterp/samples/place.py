"""Where a sample lies in a dataset folder: what names it, and where VBVR-Bench looks for its video."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stores.layout import sample_name

KEY = "vbvr"
"""The place's entry in a sample's metadata, and so in those of its runs."""

# The splits of VBVR-Bench and VBVR-Pro-Bench.
_BENCH_SPLIT = re.compile(r"(In|Out-of)-Domain_\d+")


@dataclass(frozen=True)
class Place:
    """SPLIT/TASK/INDEX, folders all three.

    ``split`` may be several folders, with slashes between, or None; ``task`` is empty for a sample that is
    in no folder.
    """

    split: str | None
    task: str
    index: str

    @classmethod
    def of(cls, folder: Path, root: Path) -> Place:
        """The place of a sample's ``folder`` in the dataset ``root``.

        The split is what lies between the two and the task. VBVR-Bench's own splits are known by their
        names, so that its samples are called the same whether all of it is given, a split or a task.
        """
        # Links are not followed: what the user sees is what the sample is called after.
        full = Path(os.path.abspath(folder))
        above = full.parts[:-2]
        named = [number for number, part in enumerate(above) if _BENCH_SPLIT.fullmatch(part)]
        start = named[-1] if named else len(Path(os.path.abspath(root)).parts)
        return cls("/".join(above[start:]) or None, full.parent.name, full.name)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Place | None:
        """The place that a sample's metadata tell, None if they tell none.

        Nothing is a place that would lead out of the folder that it is looked for in.
        """
        entry = metadata.get(KEY)
        if not isinstance(entry, Mapping):
            return None
        split, task, index = entry.get("split"), entry.get("task"), entry.get("index")
        if not isinstance(split, str | None) or not isinstance(task, str) or not isinstance(index, str):
            return None
        folders = split.split("/") if split else []
        folders += [task] if task else []
        safe = all(part not in ("", ".", "..") and "\0" not in part for part in (*folders, index))
        return cls(split, task, index) if safe and "/" not in task + index else None

    @property
    def path(self) -> str:
        """SPLIT/TASK/INDEX, with slashes between."""
        return "/".join(part for part in (self.split, self.task, self.index) if part)

    @property
    def name(self) -> str:
        """What the sample is called: SPLIT-TASK-INDEX."""
        return sample_name(self.path.replace("/", "-"))

    def as_metadata(self) -> dict[str, Any]:
        """The place as `from_metadata` takes it, under `KEY`."""
        return asdict(self)
