"""Small real stores for the terminal app to show."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import xarray

from probes.results.files import save_result
from probes.scores import KIND, Metric, Reading, Scored, ScoreTable
from stores import layout, open_store
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


def keep_scores(
    store: Path,
    values: Mapping[tuple[str, int], float],
    *,
    name: str = "scores-maze",
    outcome: str = "share",
    finished: str | None = None,
) -> Path:
    """Scores of the final videos of some runs, as `cosinterp score` keeps them.

    Args:
        values: by sample and seed.
        outcome: "share" or "mean".
        finished: when the runs were that were scored; as their store says by default.
    """
    metric = Metric("solved", "solved", "solved", "share" if outcome == "share" else "mean")
    runs = tuple(
        Scored(
            entry.sample,
            entry.seed,
            finished or entry.finished,
            entry.size,
            final={metric.name: values[entry.sample, entry.seed]},
            sigmas=[1.0] * STEPS,
            steps=[{metric.name: 0.0}] * STEPS,
            answers={"answer": [None] * STEPS},
        )
        for entry in open_store(store).runs()
        if (entry.sample, entry.seed) in values
    )
    table = ScoreTable("maze", "base", (metric,), ("solved",), (Reading("answer", "path", None),), runs)
    return save_result(store, name, table.to_dataset(), {"kind": KIND})
