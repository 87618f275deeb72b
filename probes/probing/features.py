"""Features: what a probe is given of each row at a cell, read from the store run by run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from probes.probing.chosen import Chosen
from probes.probing.rows import Rows
from stores import Store
from stores.errors import SelectionError
from stores.token_selection import TokenChoice, TokenSelection

Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Features:
    """The activations of all rows at any (step, layer).

    Attributes:
        store: where they are read; another than the rows come from for an untrained model.
        chosen: site, branch and reduction.
        rows: which rows, and of which runs.
    """

    store: Store
    chosen: Chosen
    rows: Rows

    def of_cells(self, step: int, layers: Sequence[int]) -> dict[int, Float32]:
        """(row, channel) of each of these layers; each run is opened once.

        Raises:
            SelectionError: an activation is NaN or infinite; it says where.
            StoreError: a run is damaged or gone.
        """
        shape = self.rows.problem.rows, self.chosen.channels
        found = {layer: np.empty(shape, np.float32) for layer in layers}
        wanted = self._selection()
        per_run = self.rows.per_run
        for number, entry in enumerate(self.rows.entries):
            with self.store.run(*entry.key) as run:
                for layer, into in found.items():
                    part = run.read_selected(self.chosen.info.key, step, layer, self.chosen.branch, wanted)
                    if not np.isfinite(part).all():
                        raise SelectionError(
                            f"{self.store.path}: {entry.sample} seed {entry.seed} has NaN or infinity at "
                            f"site {self.chosen.info.key}, step {step}, layer {layer}; leave out the run by "
                            "--samples, or the step or layer"
                        )
                    into[number * per_run : (number + 1) * per_run] = self._of_rows(part)
        return found

    def bytes_of_cell(self) -> int:
        """Memory that the features of one (step, layer) take."""
        return self.rows.problem.rows * self.chosen.channels * np.dtype(np.float32).itemsize

    def _selection(self) -> TokenSelection | None:
        """What is read of a slab: some tokens or frames, where the reduction lets parts of it be read."""
        info, rows = self.chosen.info, self.rows
        if self.chosen.places is not None and "token" not in info.axes and rows.tokens is not None:
            whole = len(rows.tokens.places) == len(self.chosen.places)
            return None if whole else TokenChoice(tokens=rows.tokens.places).of(info)
        if "frame" in info.axes and len(rows.frames) < info.grid[0]:
            return TokenChoice(frames=rows.frames).of(info)
        return None

    def _of_rows(self, part: Float32) -> Float32:
        """What a slab, or the part of it that was selected, says of the rows of its run."""
        channels, info, rows = self.chosen.channels, self.chosen.info, self.rows
        if rows.unit == "token":
            flat = part.reshape(-1, channels)
            return flat[rows.tokens.kept] if "token" in info.axes and rows.tokens is not None else flat
        if rows.unit == "frame":
            return _mean(part.reshape(len(rows.frames), -1, channels), 1)
        if "token" in info.axes and self.chosen.places is not None:
            # Kept tokens lie in any frame.
            frame_of = self.chosen.places // math.prod(info.grid[1:])
            return _mean(part.reshape(-1, channels)[np.isin(frame_of, rows.frames)], 0)
        return _mean(part.reshape(-1, channels), 0)


def check_memory(features: Features, layers: int, jobs: int, memory: int, overhead: float) -> int:
    """How many layers of a step can be read together within ``memory`` bytes, in each of ``jobs`` processes.

    Args:
        features: what is read.
        layers: more are not needed.
        jobs: processes at once.
        memory: bytes for all of them.
        overhead: what probing a cell takes beyond its features, in multiples of them.

    Raises:
        SelectionError: not even one fits; says what would.
    """
    from stores.units import size_text

    one = features.bytes_of_cell()
    of_job = memory // jobs
    beside = math.ceil(one * overhead)
    together = (of_job - beside) // one
    if together >= 1:
        return min(layers, together)
    rows = features.rows.problem.rows
    allowed = f"{size_text(of_job)} are allowed" + (f" for each of {jobs} processes" if jobs > 1 else "")
    size = f"{rows:,} rows of {features.chosen.channels:,} channels"
    flags = ["--host-memory", *(["--jobs 1"] if jobs > 1 else [])]
    if features.rows.unit == "token":
        fitting = int(of_job / (one + beside) * features.rows.per_run)
        if fitting >= 1:
            flags.append(f"--max-tokens {fitting}")
        flags.append("--frames")
    raise SelectionError(
        f"one cell takes {size_text(one + beside)} ({size}), and {allowed}; make it fit by "
        f"{', '.join(flags)}, or fewer --samples or --seeds"
    )


def _mean(values: NDArray[Any], axis: int) -> Float32:
    return values.mean(axis=axis, dtype=np.float64).astype(np.float32)
