"""Small real stores for the terminal app to show."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import xarray

from probes.results.files import save_result
from stores import layout
from stores.settings import StoreSettings
from stores.store import create_store

STEPS = 2
LAYERS = (0, 1, 2)


def zeros(step: int, layer: int) -> np.ndarray:
    """Activations without anything in them: (frame, row, col, channel)."""
    return np.zeros((1, 2, 2, 4), np.float32)


def make_store(
    path: Path,
    runs: Iterable[tuple[str, int]],
    prompt: str = "Go to the red goal.",
    *,
    activations: Callable[[int, int], np.ndarray] = zeros,
    image: np.ndarray | None = None,
    video: np.ndarray | None = None,
) -> Path:
    """A store with one tiny run for each (sample, seed).

    Args:
        activations: of a step and a layer: (frame, row, col, channel), (1, 2, 2, 4) as they are.
        image: the first image, uint8 (row, col, rgb).
        video: the final video, uint8 (frame, row, col, rgb).
    """
    settings = StoreSettings(
        model={"name": "maze-wan"},
        capture={"sites": ["resid"], "layers": list(LAYERS), "dtype": "fp32"},
        sampling={"num_steps": STEPS},
    )
    store = create_store(path, settings)
    for sample, seed in runs:
        with store.writer(sample, seed) as writer:
            writer.set_attrs({"prediction_type": "flow"})
            writer.set_schedule([1000.0, 500.0], [1.0, 0.5, 0.0])
            writer.set_condition(prompt, image)
            writer.set_truth({"path_length": 7})
            writer.add_site("resid", LAYERS, range(STEPS), ["cond"], (1, 2, 2), 4)
            for step in range(STEPS):
                for layer in LAYERS:
                    writer.write("resid", step, layer, "cond", activations(step, layer))
            if video is not None:
                writer.set_video(video)
            writer.finish()
    return path


def make_catalog(path: Path, count: int) -> Path:
    """A store that lists ``count`` runs without holding their files, for what has to scale with runs."""
    make_store(path, [])
    (path / layout.CATALOG).mkdir(exist_ok=True)
    lines = []
    for seed in range(count):
        sample = f"maze-{seed % 100}"
        file = path / layout.run_file(sample, seed)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        lines.append(
            {
                "sample": sample,
                "seed": seed,
                "variant": "base",
                "num_steps": 20,
                "sites": ["resid"],
                "size": 10**6,
                "finished": "2026-01-31T12:00:00Z",
                "file": layout.run_file(sample, seed),
            }
        )
    catalog = path / layout.CATALOG / "writer.jsonl"
    catalog.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def make_result(store: Path, name: str, dataset: xarray.Dataset, kind: str = "own") -> Path:
    """A result of a store."""
    return save_result(store, name, dataset, {"kind": kind})
