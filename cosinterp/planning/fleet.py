"""What a study takes on many GPUs: their time, the disks' time, and which of the two it waits for.

Recording runs beside the computation (``docs/performance.md``), through a ring of host memory. So a study
takes as long as the slower of the two, if what steps make comes evenly, or fits in the ring, or the GPUs of a
node are out of step; else longer, and the sum of both at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

from cosinterp.errors import SelectionError, TraceError
from cosinterp.planning.estimate import Kept, RunShape, slab_layout, total_bytes
from stores.reduction import FULL

GPUS, NODE_DISKS, SHARED_DISK = "GPUs", "node disks", "shared disk"

WAYS: tuple[tuple[tuple[str, ...], str], ...] = (
    ((FULL,), "bf16"),
    ((FULL,), "fp8"),
    (("project:256",), "bf16"),
    (("project:64",), "bf16"),
    (("project:64", "norm"), "bf16"),
    (("project:64",), "fp8"),
    (("tokens:1024",), "bf16"),
    (("tokens:256",), "bf16"),
    (("norm",), "bf16"),
    (("frames",), "bf16"),
    (("frames+project:64",), "bf16"),
    (("mean",), "bf16"),
)
"""(reductions of each site, dtype) that a study may choose between, the largest first."""


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The machines of a study.

    Attributes:
        gpus: of all nodes; each makes one run at a time.
        gpus_per_node: of one node, which share its disk.
        node_disk: bytes a second that one node writes, measured with fsync.
        shared_disk: bytes a second that the file system takes from all nodes together; None if each writes
            to a disk of its own.
    """

    gpus: int
    gpus_per_node: int
    node_disk: float
    shared_disk: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                raise TraceError(f"{name.replace('_', ' ')} has to be more than 0, not {value}")

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return ceil(self.gpus / self.gpus_per_node)


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is to be made: how many runs of each shape, and how long the model takes for one, in seconds."""

    runs: Mapping[RunShape, int]
    run_seconds: float

    @property
    def num_runs(self) -> int:
        """Runs of all shapes."""
        return sum(self.runs.values())


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What a study takes on a fleet, with one choice of what is kept.

    Attributes:
        size: bytes of all runs; compressed, at most.
        run_size: bytes of one run, the mean over all.
        node_rate: bytes a second that the GPUs of one node make as long as nothing holds them up.
        seconds: by what could be waited for: `GPUS`, `NODE_DISKS`, `SHARED_DISK`.
        lost_gpu_seconds: GPU time that is lost with a node, at most: the runs in flight, made anew.
    """

    size: int
    run_size: float
    node_rate: float
    seconds: dict[str, float]
    lost_gpu_seconds: float

    @property
    def bottleneck(self) -> str:
        """What is waited for."""
        return max(self.seconds, key=lambda part: self.seconds[part])

    @property
    def wall(self) -> float:
        """Seconds from the beginning to the end."""
        return self.seconds[self.bottleneck]

    @property
    def waiting(self) -> float:
        """How many times longer than the GPUs would take."""
        return self.wall / self.seconds[GPUS]

    def as_data(self) -> dict[str, Any]:
        """The bill as JSON takes it: bytes and seconds."""
        return {
            "bytes": self.size,
            "run_bytes": round(self.run_size),
            "node_bytes_per_second": round(self.node_rate),
            "seconds": {part: round(seconds, 1) for part, seconds in self.seconds.items()},
            "bottleneck": self.bottleneck,
            "wall_seconds": round(self.wall, 1),
            "lost_gpu_seconds": round(self.lost_gpu_seconds, 1),
        }


def bill_of(study: Study, kept: Kept, fleet: Fleet) -> Bill:
    """What a study takes: GPUs make runs in rounds, one each; disks take all bytes evenly."""
    size = total_bytes(kept, study.runs)
    run_size = size / study.num_runs
    seconds = {
        GPUS: ceil(study.num_runs / fleet.gpus) * study.run_seconds,
        NODE_DISKS: size / (fleet.nodes * fleet.node_disk),
    }
    if fleet.shared_disk is not None:
        seconds[SHARED_DISK] = size / fleet.shared_disk
    bill = Bill(
        size=size,
        run_size=run_size,
        node_rate=fleet.gpus_per_node * run_size / study.run_seconds,
        seconds=seconds,
        lost_gpu_seconds=0.0,
    )
    return replace(bill, lost_gpu_seconds=fleet.gpus_per_node * study.run_seconds * bill.waiting)


def ways_to_keep(kept: Kept, runs: Mapping[RunShape, int]) -> list[tuple[str, Kept]]:
    """``kept`` by each of `WAYS` that the runs' token grids have room for, with a name for it."""
    found = []
    for texts, dtype in WAYS:
        way = replace(kept, reductions=dict.fromkeys(kept.layers, texts), dtype=dtype)
        if all(_fits(way, shape) for shape in runs):
            found.append((way_name(texts, dtype), way))
    return found


def way_name(texts: tuple[str, ...], dtype: str) -> str:
    """A way of keeping, as it is read in a table."""
    return f"{', '.join(texts)} {dtype}"


def _fits(kept: Kept, shape: RunShape) -> bool:
    try:
        for site, text in kept.keys.values():
            slab_layout(site, text, shape, kept)
    except SelectionError:
        return False
    return True
