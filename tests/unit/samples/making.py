"""Datasets for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

KEY_DOOR = "G-45_key_door_matching_data-generator"
MAZE = "O-39_maze_data-generator"


def write_sample(
    folder: Path,
    prompt: str = "go",
    metadata: object = None,
    *,
    image: bool = True,
    file: str = "metadata.json",
) -> Path:
    """A sample's folder, with an image of its own colour; returns it."""
    folder.mkdir(parents=True)
    (folder / "prompt.txt").write_text(prompt, encoding="utf-8")
    if image:
        Image.new("RGBA", (6, 4), (10, 20, 30, 255)).save(folder / "first_frame.png")
    if metadata is not None:
        (folder / file).write_text(json.dumps(metadata))
    return folder


def write_bench(root: Path) -> Path:
    """A dataset as VBVR-Bench publishes it: two splits, a task in each, two samples in each; returns it."""
    for split, task in (("In-Domain_50", KEY_DOOR), ("Out-of-Domain_50", MAZE)):
        for number in range(2):
            folder = write_sample(root / split / task / f"{number:05d}", f"{task} {number}")
            Image.new("RGB", (6, 4)).save(folder / "final_frame.png")
            (folder / "ground_truth.mp4").write_bytes(b"not read")
    return root


def write_lines(path: Path, *rows: dict[str, Any] | str) -> Path:
    """A JSONL file of these rows, texts as they are; returns it."""
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path
