"""``cosinterp decode``: the clean estimates of runs as pictures, videos and an animation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosinterp.cli import options

if TYPE_CHECKING:
    from stores import RunEntry, Store


def decode(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="The store's folder.", show_default=False)],
    sample: Annotated[
        list[str] | None, typer.Option(help="A sample; give it again for more.", show_default=False)
    ] = None,
    seed: Annotated[str, typer.Option(help="Seeds of these samples, as in 0 or 0-3,7 or all.")] = "all",
    every: Annotated[bool, typer.Option("--all", help="Decode all runs of the store.")] = False,
    variant: Annotated[str, typer.Option(help="Runs of this variant.")] = "base",
    steps: Annotated[str, typer.Option(help="Steps to decode, as in 0-9 or 0,5,-1 or all.")] = "all",
    out: Annotated[
        Path | None, typer.Option(help="Write into this folder.", show_default="STORE/media")
    ] = None,
    videos: Annotated[bool, typer.Option(help="Also write an mp4 for each step.")] = True,
    model: options.Decoder = None,
    device: options.Device = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be decoded, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what --dry-run says as JSON.")] = False,
) -> None:
    """Turn a run's clean estimates into pictures and videos.

    For each run, in STORE/media/SAMPLE/SEED: [bold]steps.png[/bold] (steps downwards, frames to the right),
    [bold]steps.gif[/bold] (an animation over the steps) and [bold]step-00.mp4[/bold] and so on (a video a
    step). Small videos are enlarged.
    """
    from cosinterp.cli.console import err
    from cosinterp.cli.console import out as results
    from cosinterp.cli.counting import counting
    from cosinterp.decoding import decode_run, model_of
    from cosinterp.errors import UserError
    from cosinterp.media_places import FOLDER, media_folder
    from stores import open_store
    from stores.selection import parse

    if as_json and not dry_run:
        raise UserError("--json prints what --dry-run says; give --dry-run too")
    opened = open_store(store)
    chosen = choose_runs(opened, samples=sample, seeds=seed, every=every, variant=variant)
    placed: dict[str, Any] = {} if device is None else {"device": device}
    wanted: dict[tuple[str, int], tuple[int, ...]] = {}
    for entry in chosen:
        with opened.run(entry.sample, entry.seed, entry.variant) as run:
            wanted[entry.sample, entry.seed] = parse(
                steps, range(run.num_steps), what="steps", where="this run"
            )
    if dry_run:
        _say(wanted, device, as_json)
        return
    with err().status("loading the model"):
        loaded = model_of(opened, model, **placed)
    with counting("decoding", sum(map(len, wanted.values()))) as count:
        for entry in chosen:
            count.now(f"decoding {entry.sample}, seed {entry.seed}")
            with opened.run(entry.sample, entry.seed, entry.variant) as run:
                media = decode_run(
                    loaded,
                    run,
                    media_folder(out or opened.path / FOLDER, entry.sample, entry.seed, entry.variant),
                    steps=wanted[entry.sample, entry.seed],
                    videos=videos,
                    progress=count,
                )
            results().print(str(media.picture), markup=False, soft_wrap=True)
    others = "steps.gif and an mp4 for each step lie" if videos else "steps.gif lies"
    err().print(f"{others} beside each picture")


def _say(wanted: dict[tuple[str, int], tuple[int, ...]], device: str | None, as_json: bool) -> None:
    """Print what would be decoded: the steps of runs, by their samples and seeds."""
    from cosinterp.cli.takes import show
    from cosinterp.planning.takes import Estimate, Takes
    from stores.units import count_text

    steps = sum(map(len, wanted.values()))
    what = f"{count_text(steps, 'clean estimate')} of {count_text(len(wanted), 'run')}"
    runs = [{"sample": sample, "seed": seed, "steps": list(own)} for (sample, seed), own in wanted.items()]
    takes = Takes(
        what=what,
        seconds=Estimate(None, "decoding was not timed"),
        gpu_memory=Estimate(None, "the model is not looked at before it decodes"),
        device=device,
    )
    show(takes, [("decode", what)], {"runs": runs, "clean_estimates": steps}, as_json)


def choose_runs(
    store: Store, *, samples: list[str] | None, seeds: str, every: bool, variant: str
) -> list[RunEntry]:
    """The runs of an open store that the flags mean. Raises SelectionError if that is none, or unclear."""
    from stores.errors import SelectionError
    from stores.selection import parse

    entries = store.runs(variant=variant)
    if not entries:
        raise SelectionError(f"{store.path} holds no runs of variant {variant}.")
    known = list(dict.fromkeys(entry.sample for entry in entries))
    if samples and every:
        raise SelectionError("--all takes all samples; leave out --sample, or --all.")
    for name in samples or []:
        if name not in known:
            raise SelectionError(f"{store.path} has no sample {name!r}; it has {_some(known)}.")
    if not samples and not every and len(known) > 1:
        raise SelectionError(f"say which runs: --sample NAME, or --all; {store.path} has {_some(known)}.")
    kept = [entry for entry in entries if not samples or entry.sample in samples]
    numbers = set(
        parse(seeds, sorted({entry.seed for entry in kept}), what="seeds", where="this choice of runs")
    )
    return [entry for entry in kept if entry.seed in numbers]


def _some(names: list[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return (
        shown
        if len(names) <= most
        else f"{shown} and {len(names) - most} more (cosinterp store ls lists them)"
    )
