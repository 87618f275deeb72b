"""Mazes as a dataset folder, in the layout of VBVR-Bench that `cosinterp.samples.load_dataset` reads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from cosinterp.errors import SampleError, UserError
from cosinterp.media_files import write_video
from cosinterp.organism.mazes import GOALS, Goal, Maze, Split, generate_maze
from cosinterp.organism.rendering import render_video
from cosinterp.organism.tasks import PROMPTS, truth
from cosinterp.samples import IMAGE_FILE, METADATA_FILE, PROMPT_FILE

GoalChoice = Literal["alternate", "red", "blue", "both"]
_FRAME_RATE = 4.0


def write_mazes(
    folder: Path,
    *,
    count: int,
    rooms: int = 7,
    seed: int = 0,
    goals: GoalChoice = "alternate",
    split: Split = "test",
    paraphrase: int = 0,
) -> list[Path]:
    """Write mazes ``seed``, ``seed + 1``, ... as samples; returns their folders.

    A sample lies in ``folder/TASK/NUMBER``, where the number is the maze's seed. The task is ``maze-7x7``
    where the goals alternate, and ``maze-7x7-red`` or ``maze-7x7-blue`` where all prompts name that goal;
    "both" writes each maze to both, which makes pairs that differ in one word of the prompt. A sample that is
    already there is left alone.

    Args:
        folder: made if missing.
        count: mazes.
        rooms: rooms a side.
        seed: the first maze's seed.
        goals: which goal the prompts name.
        split: held-out mazes ("test") or those that training may have seen ("train").
        paraphrase: which wording of the prompt, 0 to 4.

    Raises:
        UserError: a number out of range.
        SampleError: a sample's folder holds something else.
    """
    if count < 1:
        raise UserError(f"the count of mazes is 1 or more, not {count}")
    wordings = len(PROMPTS["red"])
    if not 0 <= paraphrase < wordings:
        raise UserError(f"there are paraphrases 0-{wordings - 1} of the prompt, not {paraphrase}")
    if goals not in get_args(GoalChoice):
        raise UserError(f"unknown goals {goals!r}: use {', '.join(get_args(GoalChoice))}")
    written = []
    for number in range(seed, seed + count):
        maze = generate_maze(number, rooms, split)
        for task, goal in _tasks(maze, goals):
            target = folder / task / f"{number:05d}"
            _write_maze(target, maze, goal, PROMPTS[goal][paraphrase])
            written.append(target)
    return written


def _tasks(maze: Maze, goals: GoalChoice) -> Iterator[tuple[str, Goal]]:
    task = f"maze-{maze.rooms}x{maze.rooms}" + ("-train" if maze.split == "train" else "")
    if goals == "alternate":
        yield task, GOALS[maze.seed % len(GOALS)]
        return
    chosen: Iterable[Goal] = GOALS if goals == "both" else (goals,)
    for goal in chosen:
        yield f"{task}-{goal}", goal


def _write_maze(target: Path, maze: Maze, goal: Goal, prompt: str) -> None:
    about = {"seed": maze.seed, "split": maze.split, "rooms": maze.rooms, "goal": goal}
    write_sample(target, render_video(maze, goal), prompt, about, truth(maze, goal))


def write_sample(
    target: Path, video: np.ndarray, prompt: str, about: Mapping[str, Any], truth: Mapping[str, Any]
) -> None:
    """Write one sample, whole or not at all; one that is already there is left alone.

    Args:
        target: its folder.
        video: the true video, uint8 (frame, row, col, rgb); its first frame is the first image.
        prompt: what is asked.
        about: what its metadata say beside the size and the truth.
        truth: numbers, texts and arrays.

    Raises:
        SampleError: the folder holds something else.
    """
    frames, height, width, _ = video.shape
    metadata: dict[str, Any] = {
        **about,
        "height": height,
        "width": width,
        "num_frames": frames,
        "truth": {name: _plain(value) for name, value in truth.items()},
    }
    if target.exists():
        _check_same(target, prompt, metadata)
        return
    partial = target.with_name(f"{target.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    Image.fromarray(video[0]).save(partial / IMAGE_FILE)
    Image.fromarray(video[-1]).save(partial / "final_frame.png")
    write_video(video, partial / "ground_truth.mp4", _FRAME_RATE)
    (partial / METADATA_FILE).write_text(json.dumps(metadata) + "\n", encoding="utf-8")
    # Last, because a folder without a prompt is no sample: what a kill leaves behind is not read.
    (partial / PROMPT_FILE).write_text(prompt + "\n", encoding="utf-8")
    partial.rename(target)


def _check_same(target: Path, prompt: str, metadata: dict[str, Any]) -> None:
    try:
        same = (
            json.loads((target / METADATA_FILE).read_text(encoding="utf-8")) == metadata
            and (target / PROMPT_FILE).read_text(encoding="utf-8").strip() == prompt
        )
    except (OSError, ValueError):
        same = False
    if not same:
        raise SampleError(f"{target} holds another sample; choose another folder, or remove it first")


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value
