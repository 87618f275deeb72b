"""Measure scene-wan: ``python -m cosinterp.organism.scenes.evaluate --out outcomes.npz``.

Writes what came of every scene at every step; ``python -m cosinterp.organism.scenes.card outcomes.npz`` makes
the model card's tables of it. It is written after each batch of scenes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from cosinterp.errors import UserError
from cosinterp.organism.batch_pipeline import sampling_defaults
from cosinterp.organism.evaluate import computed_on
from cosinterp.organism.program import run_program
from cosinterp.organism.scenes.lessons import SCENE_WAN
from cosinterp.organism.scenes.solver import SceneSolver
from cosinterp.organism.scenes.tasks import TASKS, Scene, generate_scene

BUNDLED = Path(__file__).parent.with_name(SCENE_WAN.name)
# What the tables tell scenes apart by, among their truths.
_ABOUT = {"permanence": ("bounces", "hidden_frames"), "grounding": ("count", "distance")}


def evaluate(
    folder: Path,
    out: Path,
    device: torch.device,
    count: int,
    tasks: Sequence[str] = TASKS,
    num_steps: int | None = None,
    each_step: bool = True,
) -> None:
    """Let a model show held-out scenes 0, 1, ... of each task, scene n with seed n; write what came of it.

    The file holds ``TASK/METRIC`` (step, scene) for each metric of the task's scorer, of the clean estimate
    of each step, or of the final video alone; ``TASK/about/TRUTH`` (scene,) for some truths; and in
    ``settings`` (JSON) the number of steps and the guidance scale.

    Raises:
        UserError: no such model, or an unknown task.
    """
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    unknown = set(tasks) - set(TASKS)
    if unknown:
        raise UserError(f"unknown task {min(unknown)!r}: use {' or '.join(TASKS)}")
    solver = SceneSolver.load(folder, SCENE_WAN, device)
    defaults = sampling_defaults(folder)
    settings = {
        "num_steps": num_steps or defaults["num_steps"],
        "guidance_scale": defaults["guidance_scale"],
    }
    arrays: dict[str, np.ndarray] = {
        "computed": np.array(computed_on(device)),
        "settings": np.array(json.dumps(settings)),
    }
    for task in tasks:
        scenes = [generate_scene(task, number) for number in range(count)]
        scores: list[list[dict[str, float]]] = [[] for _ in range(settings["num_steps"] if each_step else 1)]
        for start in range(0, count, solver.batch_size):
            part = slice(start, start + solver.batch_size)
            solved = solver.solve(scenes[part], range(count)[part], **settings, each_step=each_step)
            for before, more in zip(scores, solved, strict=True):
                before += more
            arrays |= _of_task(task, scenes[: len(scores[0])], scores)
            _write(out, arrays)
        share = arrays[f"{task}/solved"][-1].mean()
        print(f"{task}: solved {share:.3f}, n {count}", flush=True)


def _of_task(
    task: str, scenes: Sequence[Scene], scores: Sequence[Sequence[dict[str, float]]]
) -> dict[str, np.ndarray]:
    made = {
        f"{task}/{metric}": np.array([[score[metric] for score in step] for step in scores])
        for metric in scores[0][0]
    }
    truths = [scene.truth() for scene in scenes]
    return made | {
        f"{task}/about/{name}": np.array([truth[name] for truth in truths]) for name in _ABOUT[task]
    }


def _write(out: Path, arrays: dict[str, np.ndarray]) -> None:
    partial = out.with_name(f"{out.stem}.partial.npz")
    np.savez_compressed(partial, **arrays)  # pyright: ignore[reportArgumentType]
    partial.replace(out)


def main(
    out: Annotated[Path, typer.Option(help="Where the raw outcomes go (.npz).")],
    model: Annotated[Path, typer.Option(help="A saved scene-wan.")] = BUNDLED,
    device: Annotated[str, typer.Option(help="Where to compute.")] = "cuda"
    if torch.cuda.is_available()
    else "cpu",
    count: Annotated[int, typer.Option(help="Scenes of each task.", min=1)] = 512,
    task: Annotated[list[str] | None, typer.Option(help="Only this task; can be given again.")] = None,
    num_steps: Annotated[
        int | None, typer.Option(help="Denoising steps.", min=1, show_default="the model's")
    ] = None,
    each_step: Annotated[
        bool, typer.Option(help="Score the clean estimate of each step, or the final video alone.")
    ] = True,
) -> None:
    """Measure a scene-wan on held-out scenes."""
    evaluate(model, out, torch.device(device), count, task or TASKS, num_steps, each_step)


if __name__ == "__main__":
    run_program(main)
