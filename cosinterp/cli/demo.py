"""``cosinterp demo``: the main job on the bundled model, from mazes to pictures and scores."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from cosinterp.scoring import TaskScores
    from stores import RunEntry, Store

_CHARACTERS = 16
"""Width of a picture in the terminal: a cell of a maze is a pixel."""


def demo(
    out: Annotated[Path, typer.Option(help="Write everything into this folder.")] = Path("cosinterp-demo"),
    mazes: Annotated[int, typer.Option(help="How many mazes.", min=1)] = 4,
    first_maze: Annotated[int, typer.Option(help="The first maze; the others follow on.", min=0)] = 36,
    rooms: Annotated[int, typer.Option(help="Rooms a side.", min=5, max=9)] = 7,
    seeds: Annotated[str, typer.Option(help="Seeds of the initial noise.")] = "0-1",
    num_steps: Annotated[int, typer.Option(help="Denoising steps.", min=1)] = 12,
    model: Annotated[str, typer.Option(help="A model that takes a maze as its first image.")] = "maze-wan",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or cuda:N.", show_default="a GPU if there is one")
    ] = None,
) -> None:
    """Run the main job on the bundled model and show the pictures.

    A real, small video DiT solves a few mazes. What it computes is recorded at each step and layer, and the
    clean estimate of each step is decoded and scored. Started again, it goes on where it was.
    """
    from cosinterp.cli.console import err
    from cosinterp.cli.counting import counting
    from cosinterp.cli.trace_progress import RichProgress
    from cosinterp.models.loading import load
    from cosinterp.organism.dataset import write_mazes
    from cosinterp.samples import load_dataset
    from cosinterp.scoring import score_store
    from cosinterp.tracing import trace

    folders = write_mazes(out / "mazes", count=mazes, rooms=rooms, seed=first_maze)
    samples = [sample for folder in folders for sample in load_dataset(folder)]
    with err().status(f"loading {model}"):
        loaded = load(model, device=device)
    place = out / "store"
    try:
        with RichProgress(place) as progress:
            store = trace(
                loaded,
                samples,
                store=place,
                seeds=seeds,
                num_steps=num_steps,
                dtype="bf16",
                resume=True,
                progress=progress,
            )
        with counting("scoring", len(store.runs(variant="base"))) as count:
            [scores] = score_store(store, loaded, progress=count)
        shown = first_solved(store, scores)
        decode_missing(loaded, store, shown)
        report(loaded, store, scores, shown)
    except KeyboardInterrupt:
        err().print("interrupted; the same command goes on where it was.")
        raise


def first_solved(store: Store, scores: TaskScores) -> RunEntry:
    """The first run that solves its maze; the first run if none does."""
    entries = store.runs(variant="base")
    solved = {(row["sample"], row["seed"]) for row in scores.runs.to_dict("records") if row["solved"]}
    return next((entry for entry in entries if (entry.sample, entry.seed) in solved), entries[0])


def decode_missing(model: Model, store: Store, shown: RunEntry) -> None:
    """Pictures of all runs that have none yet; videos of the shown run alone, for they take longest."""
    from cosinterp.cli.counting import counting
    from cosinterp.decoding import ANIMATION, decode_run
    from cosinterp.media_places import FOLDER, media_folder

    entries = store.runs(variant="base")
    folders = {entry: media_folder(store.path / FOLDER, entry.sample, entry.seed) for entry in entries}
    # The animation is written last, so where it is, everything is.
    todo = [entry for entry in entries if not (folders[entry] / ANIMATION).exists()]
    if not todo:
        return
    with counting("decoding", sum(entry.num_steps for entry in todo)) as count:
        for entry in todo:
            with store.run(entry.sample, entry.seed) as run:
                decode_run(
                    model,
                    run,
                    folders[entry],
                    videos=entry == shown,
                    progress=count,
                )


def report(model: Model, store: Store, scores: TaskScores, shown: RunEntry) -> None:
    """Score by step, one run in the terminal, where the pictures are, and what to do next."""
    from cosinterp.cli.console import out
    from cosinterp.cli.score import draw, seed_distances
    from cosinterp.cli.score_report import remarks, run_table, step_table
    from cosinterp.decoding import PICTURE
    from cosinterp.media_places import FOLDER, media_folder

    apart = seed_distances(store, scores)
    curve = store.path / "media" / "score-by-step.png"
    draw(scores, curve, seed=0)
    if out().is_terminal and out().color_system is not None:
        show_steps(model, store, shown)
    for table in (run_table(scores), step_table(scores, apart, seed=0)):
        out().print(table)
    for line in remarks(scores, apart, seed=0):
        out().print(line, markup=False)
    folder = media_folder(store.path / FOLDER, shown.sample, shown.seed)
    lines = {
        "step by step": folder / PICTURE,
        "score by step": curve,
        "all pictures": folder.parent.parent,
    }
    out().print()
    for name, path in lines.items():
        out().print(f"{name:<14} {path}", markup=False, soft_wrap=True)
    out().print("\nNext:")
    path = shlex.quote(str(store.path))
    for command in (
        f"cosinterp store info {path}",
        f"cosinterp decode {path} --all",
        f"cosinterp score {path} --json",
        f"cosinterp tui {path}",
        "cosinterp mazes --count 16 --rooms 7 --seed 0 --out mazes",
        "cosinterp trace --model maze-wan --dataset mazes --seeds 0-3 --num-steps 12 --store runs/mazes",
    ):
        out().print(f"  {command}", markup=False, soft_wrap=True)


def show_steps(model: Model, store: Store, entry: RunEntry) -> None:
    """The last frame of the clean estimate at some steps, as wide as the terminal allows."""
    from cosinterp.cli.console import out
    from cosinterp.cli.half_blocks import strip
    from cosinterp.decoding import clean_videos
    from probes.figures.pictures import choose_frames

    fitting = max(2, out().width // (_CHARACTERS + 2))
    steps = choose_frames(entry.num_steps, fitting)
    with store.run(entry.sample, entry.seed) as run:
        frames = [video[-1] for _, video in clean_videos(model, run, steps)]
        out().print(f"{entry.sample}, seed {entry.seed}: {run.prompt}", markup=False)
    out().print(strip(frames, [f"step {step}" for step in steps], _CHARACTERS))
    out().print()
