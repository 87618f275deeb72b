"""Measure maze-wan: ``python -m cosinterp.organism.evaluate --out outcomes.npz``.

Writes the raw outcomes of every attempt; ``python -m cosinterp.organism.card outcomes.npz`` makes the model
card's tables of them. A measure is written as soon as it is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

from cosinterp.errors import UserError
from cosinterp.organism.architecture import place
from cosinterp.organism.mazes import DEFAULT_ROOMS, GOALS, generate_maze
from cosinterp.organism.program import run_program
from cosinterp.organism.solver import Attempt, Solver, embed_prompts

BUNDLED = Path(__file__).with_name("maze-wan")


@dataclass(frozen=True)
class Measure:
    """Held-out mazes 0, 1, ... of a size, goals in turn, each maze with seeds 0 to ``noise_seeds`` - 1."""

    name: str
    mazes: int
    rooms: int
    num_steps: int
    guidance_scale: float
    noise_seeds: int = 1
    each_step: bool = False

    def attempts(self) -> list[Attempt]:
        """All attempts, those of one maze together."""
        return [
            Attempt(generate_maze(seed, self.rooms), GOALS[seed % 2], noise_seed)
            for seed in range(self.mazes)
            for noise_seed in range(self.noise_seeds)
        ]


def measures(count: int, num_steps: int, guidance_scale: float) -> Iterator[Measure]:
    """The model card's measures, the most important first; ``count`` mazes for the main ones."""
    half, eighth = max(1, count // 2), max(1, count // 8)
    yield Measure("default", count, DEFAULT_ROOMS, num_steps, guidance_scale, each_step=True)
    for steps in (4, 8, 12, 50):
        yield Measure(f"steps-{steps}", count, DEFAULT_ROOMS, steps, guidance_scale)
    yield Measure("seeds", eighth, DEFAULT_ROOMS, num_steps, guidance_scale, noise_seeds=8, each_step=True)
    for rooms in (5, 6, 8, 9):
        yield Measure(f"rooms-{rooms}", half, rooms, num_steps, guidance_scale)
    for scale in (1.0, 1.5, 3.0, 4.0):
        yield Measure(f"guidance-{scale:g}", half, DEFAULT_ROOMS, num_steps, scale)


def load_solver(folder: Path, device: torch.device) -> Solver:
    """The parts of a saved maze-wan, in float32.

    Raises:
        UserError: the folder holds no such model.
    """
    if not (folder / "cosinterp.json").is_file():
        raise UserError(f"{folder} holds no maze-wan: it has no cosinterp.json")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "tokenizer")
    encoder = UMT5EncoderModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    transformer = WanTransformer3DModel.from_pretrained(folder / "transformer", dtype=torch.float32)
    vae = AutoencoderKLWan.from_pretrained(folder / "vae", dtype=torch.float32)
    return Solver(
        place(transformer, device).eval(),
        place(vae, device).eval(),
        embed_prompts(tokenizer, encoder.eval(), device),
        _sampling(folder)["num_frames"],
        device,
    )


def _sampling(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "cosinterp.json").read_text())["sampling"]


def evaluate(folder: Path, out: Path, device: torch.device, count: int, only: str | None = None) -> None:
    """Run the measures (those whose name begins with ``only``, if given) and write ``out`` after each.

    Raises:
        UserError: no such model, or no measure's name begins so.
    """
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    solver = load_solver(folder, device)
    defaults = _sampling(folder)
    every = list(measures(count, defaults["num_steps"], defaults["guidance_scale"]))
    chosen = [measure for measure in every if only is None or measure.name.startswith(only)]
    if not chosen:
        names = ", ".join(measure.name for measure in every)
        raise UserError(f"no measure's name begins with {only!r}; there are {names}")
    # Said in the model card, because the two differ by rounding.
    precision = "bfloat16 autocast" if device.type == "cuda" else "float32"
    arrays: dict[str, np.ndarray] = {"computed": np.array(f"computed on {device.type} in {precision}")}
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
