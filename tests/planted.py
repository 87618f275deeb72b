"""Stores with planted clean estimates: the answer to every question about them is known."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosinterp.organism import mazes, rendering, tasks
from stores import Store, StoreSettings, create_store

Estimates = NDArray[np.float32]
"""Clean estimates of one run: (step, channel, frame, row, col)"""


def plant(
    folder: Path,
    runs: Mapping[tuple[str, int], Estimates],
    truths: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    videos: Mapping[tuple[str, int], NDArray[np.uint8]] | None = None,
    metadata: Mapping[str, Mapping[str, Any]] | None = None,
    prompt: str = "Go to the red goal.",
    model: str = "planted",
) -> Store:
    """A store of latents alone, whose clean estimates are `runs`[sample, seed] (to float32 rounding)."""
    store = create_store(folder, StoreSettings(model={"name": model}, capture={"sites": []}))
    for (sample, seed), estimates in runs.items():
        rng = np.random.default_rng([seed, len(sample)])
        num_steps = len(estimates)
        sigmas = np.linspace(1.0, 0.0, num_steps + 1)
        with store.writer(sample, seed) as writer:
            writer.set_attrs({"prediction_type": "flow"})
            if metadata is not None and sample in metadata:
                writer.set_attrs({"metadata": metadata[sample]})
            writer.set_schedule(1000 * sigmas[:-1], sigmas)
            writer.set_condition(prompt)
            if truths is not None and sample in truths:
                writer.set_truth(truths[sample])
            if videos is not None:
                writer.set_video(videos[sample, seed])
            for step, estimate in enumerate(estimates):
                velocity = rng.standard_normal(estimate.shape).astype(np.float32)
                writer.write_noisy(step, estimate + np.float32(sigmas[step]) * velocity)
                writer.write_prediction(step, velocity)
            writer.write_noisy(num_steps, estimates[-1])
            writer.finish()
    return store


class CellDecoder:
    """Stands in for a model's VAE: a latent is the maze's cell classes, one latent frame a video frame."""

    calls = 0

    def decode(self, latents: NDArray[np.float32], num_frames: int | None = None) -> NDArray[np.uint8]:
        """Latents ((batch), 1, frame, row, col) to the pixels of these cells."""
        self.calls += 1
        return rendering.colour(np.rint(latents[..., 0, :, :, :]).astype(np.uint8))


def maze_truth(seed: int, goal: mazes.Goal = "red") -> dict[str, Any]:
    """The truth of a 5x5-room maze."""
    return tasks.truth(mazes.generate_maze(seed, 5), goal)


def maze_estimate(seed: int, goal: mazes.Goal = "red", share: float = 1.0) -> Estimates:
    """Latents (channel, frame, row, col) that `CellDecoder` draws as the maze with a share of a path."""
    maze = mazes.generate_maze(seed, 5)
    order = rendering.path_order(maze, goal)
    order[order > round(share * int(order.max()))] = 0
    return rendering.cell_video(rendering.first_cells(maze), order, 5).astype(np.float32)[None]
