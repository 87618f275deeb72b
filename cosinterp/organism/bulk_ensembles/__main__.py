"""Measure ensembles of maze-wan: ``python -m cosinterp.organism.bulk_ensembles --out outcomes.npz``.

Writes what every scheme drew, after each scheme; ``python -m cosinterp.organism.bulk_ensembles.tables`` tells
what came of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from cosinterp.organism.bulk_ensembles.choice import BASE, BASE_SEEDS, chosen
from cosinterp.organism.bulk_ensembles.outcomes import Answers, Book, Drawn, Settings
from cosinterp.organism.bulk_ensembles.reading import read_latents
from cosinterp.organism.bulk_ensembles.running import Conditions, encode_tasks, run_scheme
from cosinterp.organism.bulk_ensembles.schemes import Scheme
from cosinterp.organism.bulk_ensembles.tasks import make_tasks
from cosinterp.organism.evaluate import BUNDLED, load_solver
from cosinterp.organism.program import run_program
from cosinterp.organism.solver import Solver


@dataclass(frozen=True, eq=False)
class Bench:
    """A model and mazes, ready to measure schemes on."""

    solver: Solver
    conditions: Conditions
    book: Book
    chunk: int
    decoded: int
    compiled: bool = False

    def measure(self, scheme: Scheme) -> Answers:
        """Denoise, decode and note one scheme."""
        settings, early = self.book.settings, list[Drawn]()

        def note(step: int, clean: torch.Tensor) -> None:
            if step in settings.recorded:
                early.append(read_latents(self.solver.vae, clean, self.decoded))

        start = time.perf_counter()
        latents = run_scheme(
            self.solver,
            self.conditions,
            scheme,
            settings.num_steps,
            settings.guidance,
            self.chunk,
            on_clean=note if scheme.name == BASE.name else None,
            fixed=self.compiled,
        )
        final = read_latents(self.solver.vae, latents, self.decoded)
        return self.book.add(scheme, final, early, time.perf_counter() - start)


def prepare(
    solver: Solver,
    *,
    first: int,
    count: int,
    num_steps: int,
    guidance: float,
    recorded: tuple[int, ...],
    chunk: int,
    compiled: bool,
) -> Bench:
    """Make the mazes and encode them.

    ``chunk``: rows that the denoiser is given at once; ``compiled``: its blocks are compiled, for so many.
    """
    if compiled:
        for block in solver.transformer.blocks:
            block.compile(dynamic=False)  # pyright: ignore[reportCallIssue]
    tasks = make_tasks(first, count)
    device = solver.device
    where = f"one {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type
    precision = "bfloat16 autocast" if device.type == "cuda" else "float32"
    settings = Settings(first, count, num_steps, guidance, recorded, f"computed on {where} in {precision}")
    return Bench(solver, encode_tasks(solver, tasks), Book(settings, tasks), chunk, min(chunk, 256), compiled)


def sweep(bench: Bench, schemes: list[Scheme], out: Path, seconds: float) -> None:
    """Measure schemes and write ``out`` after each, until the next would end after ``seconds``.

    How long one will take is told from the pace of those before.
    """
    start = time.perf_counter()
    done, settings = 0, bench.book.settings
    for number, scheme in enumerate(schemes, start=1):
        evaluations = scheme.evaluations(settings.num_steps, settings.guidance)
        spent = time.perf_counter() - start
        if done and spent + evaluations * spent / done > seconds:
            typer.echo(f"{scheme.name}: left out, {seconds - spent:.0f} s are too few")
            continue
        answers = bench.measure(scheme)
        bench.book.write(out)
        done += evaluations
        solved = bench.book.solved(answers)
        typer.echo(
            f"[{number}/{len(schemes)}, {time.perf_counter() - start:.0f} s] {scheme.name}: "
            f"solved {solved.mean():.3f}, any of {scheme.answers} {solved.any(axis=1).mean():.3f}, "
            f"{evaluations} evaluations a maze, {answers.seconds:.1f} s, "
            f"{evaluations * len(solved) / answers.seconds:.0f} evaluations/s"
        )


def main(
    out: Annotated[Path, typer.Option(help="Where the outcomes go (.npz).")] = Path("ensembles.npz"),
    count: Annotated[int, typer.Option(help="Held-out mazes.")] = 512,
    first: Annotated[int, typer.Option(help="The first of them.")] = 0,
    steps: Annotated[int, typer.Option(help="Denoising steps.")] = 12,
    guidance: Annotated[float, typer.Option(help="Guidance scale.")] = 2.0,
    schemes: Annotated[str, typer.Option(help="Names with commas, beginnings like 'x0-*', or all.")] = "all",
    base_seeds: Annotated[
        int, typer.Option(help="Seeds that go by themselves, of the scheme base.")
    ] = BASE_SEEDS,
    recorded: Annotated[str, typer.Option(help="Steps whose clean estimates are read.")] = "0,1,2,3,5,7",
    seconds: Annotated[float, typer.Option(help="Begin nothing that would end later.")] = 540.0,
    chunk: Annotated[int, typer.Option(help="Rows that the denoiser is given at once.")] = 512,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the denoiser's blocks.")] = False,
    device: Annotated[str, typer.Option(help="Where to compute.")] = "cuda"
    if torch.cuda.is_available()
    else "cpu",
    model: Annotated[Path, typer.Option(help="A saved maze-wan.")] = BUNDLED,
    listed: Annotated[
        bool, typer.Option("--list", help="Name the schemes and their costs, and end.")
    ] = False,
) -> None:
    """Measure schemes of merging on held-out mazes."""
    asked = [
        replace(scheme, groups=base_seeds) if scheme.name == BASE.name else scheme
        for scheme in chosen(schemes.split(","))
    ]
    if listed:
        for scheme in asked:
            cost = scheme.evaluations(steps, guidance)
            typer.echo(f"{scheme.name:40} {scheme.answers:3} answers, {cost:4} evaluations a maze")
        return
    torch.backends.cudnn.benchmark = True
    solver = load_solver(model, torch.device(device))
    for scheme in asked:
        scheme.check(steps, len(solver.transformer.blocks))
    bench = prepare(
        solver,
        first=first,
        count=count,
        num_steps=steps,
        guidance=guidance,
        recorded=tuple(int(step) for step in recorded.split(",") if step and int(step) < steps),
        chunk=chunk,
        compiled=compiled,
    )
    sweep(bench, asked, out, seconds)


if __name__ == "__main__":
    run_program(main)
