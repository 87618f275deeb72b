"""Measure maze-wan: ``python -m cosinterp.organism.evaluate --out outcomes.npz``.

Writes the raw outcomes of every attempt; ``python -m cosinterp.organism.card outcomes.npz`` makes the model
card's tables of them. A measure is written as soon as it is done.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from cosinterp.errors import UserError
from cosinterp.organism.batch_pipeline import sampling_defaults
from cosinterp.organism.maze_lessons import MAZE_WAN
from cosinterp.organism.measures import measures
from cosinterp.organism.program import run_program
from cosinterp.organism.solver import Solver

BUNDLED = Path(__file__).with_name("maze-wan")


def load_solver(folder: Path, device: torch.device) -> Solver:
    """The parts of a saved maze-wan, in float32.

    Raises:
        UserError: the folder holds no such model.
    """
    return Solver.load(folder, MAZE_WAN, device)


def computed_on(device: torch.device) -> str:
    """How outcomes are computed there: said in model cards, because GPU and CPU differ by rounding."""
    on_gpu = device.type == "cuda"
    where = f"one {torch.cuda.get_device_name(device)}" if on_gpu else device.type
    return f"computed on {where} in {'bfloat16 autocast' if on_gpu else 'float32'}"


def evaluate(folder: Path, out: Path, device: torch.device, count: int, only: str | None = None) -> None:
    """Run the measures (those whose name begins with ``only``, if given) and write ``out`` after each.

    Raises:
        UserError: no such model, or no measure's name begins so.
    """
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    solver = load_solver(folder, device)
    defaults = sampling_defaults(folder)
    every = list(measures(count, defaults["num_steps"], defaults["guidance_scale"]))
    chosen = [measure for measure in every if only is None or measure.name.startswith(only)]
    if not chosen:
        names = ", ".join(measure.name for measure in every)
        raise UserError(f"no measure's name begins with {only!r}; there are {names}")
    arrays: dict[str, np.ndarray] = {"computed": np.array(computed_on(device))}
    for measure in chosen:
        outcomes = solver.solve(
            measure.attempts(), measure.num_steps, measure.guidance_scale, measure.each_step
        )
        solved, valid = outcomes.solved[-1], outcomes.valid[-1]
        print(
            f"{measure.name}: solved {solved.mean():.3f}, valid {valid.mean():.3f}, n {len(solved)}",
            flush=True,
        )
        arrays |= {
            f"{measure.name}/{key}": value for key, value in asdict(outcomes).items() if key != "drawn"
        }
        if measure.noise_seeds > 1:
            arrays[f"{measure.name}/drawn"] = np.packbits(outcomes.drawn, axis=-1)
        arrays[f"{measure.name}/measure"] = np.array(json.dumps(asdict(measure)))
        partial = out.with_name(f"{out.stem}.partial.npz")
        np.savez_compressed(partial, **arrays)  # pyright: ignore[reportArgumentType]
        partial.replace(out)


def main(
    out: Annotated[Path, typer.Option(help="Where the raw outcomes go (.npz).")],
    model: Annotated[Path, typer.Option(help="A saved maze-wan.")] = BUNDLED,
    device: Annotated[str, typer.Option(help="Where to compute.")] = "cuda"
    if torch.cuda.is_available()
    else "cpu",
    count: Annotated[int, typer.Option(help="Mazes of the main measures.")] = 512,
    only: Annotated[str | None, typer.Option(help="Only measures whose name begins so.")] = None,
) -> None:
    """Measure a maze-wan on held-out mazes."""
    evaluate(model, out, torch.device(device), count, only)


if __name__ == "__main__":
    run_program(main)
