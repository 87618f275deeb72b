"""``cosinterp export-videos``: the videos of runs, as VBVR-Bench's evaluators look for them."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosinterp.cli import options
from cosinterp.cli.options import one_of
from cosinterp.cli.store_options import AsJson, Samples, Seeds, StorePath, Variant, sample_names

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from cosinterp.video_export import VideoPlan


def export_videos(
    store: StorePath,
    out: Annotated[Path, typer.Option(help="Folder to write into.", show_default=False)],
    samples: Samples = None,
    seeds: Seeds = None,
    variant: Variant = None,
    fps: Annotated[
        float | None,
        typer.Option(help="Frames a second.", show_default="what is usual for the pipeline"),
    ] = None,
    crf: Annotated[
        int, typer.Option(help="Constant rate factor of H.264: the lower, the truer.", min=0, max=51)
    ] = 10,
    pixel_format: Annotated[
        str,
        typer.Option(
            help="yuv420p, or yuv444p: colour at full resolution, which not every player shows.",
            autocompletion=one_of("yuv420p", "yuv444p"),
        ),
    ] = "yuv420p",
    model: options.Decoder = None,
    device: options.Device = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace videos that are of other runs, or were made otherwise.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write videos of runs for VBVR-Bench's evaluators.

    [bold]OUT/seed-0/SPLIT/TASK/00000.mp4[/bold] and so on: each seed is a folder as they want it of a model.
    With [bold]run_evaluation.py --models_base OUT[/bold] they score all seeds, with [bold]--model_path
    OUT/seed-0[/bold] one. A sample that came from no dataset folder is OUT/seed-0/SAMPLE.mp4.

    The video is the stored one, else it is decoded from the final latent. Videos that are there already are
    left alone, so that the same command goes on after an interruption.
    """
    from cosinterp.cli.console import print_json
    from cosinterp.cli.counting import counting
    from cosinterp.video_export import plan_videos, write_videos

    with counting("opening") as count:
        plan = plan_videos(
            *(store, out),
            samples=sample_names(samples),
            seeds=seeds,
            variant=variant,
            frame_rate=fps,
            crf=crf,
            pixel_format=pixel_format,
            model=model,
            force=force,
            progress=count.reach,
        )
    if not dry_run:
        loaded = _load(plan, model, device)
        try:
            with counting("exporting videos", len(plan.todo)) as count:
                write_videos(plan, loaded, count)
        except KeyboardInterrupt:
            _say("interrupted; the videos that are written stay, and the same command makes the others")
            raise
    if as_json:
        print_json(_as_data(plan, dry_run))
    else:
        _print(plan, dry_run)


def _load(plan: VideoPlan, name: str | None, device: str | None) -> Model | None:
    if not plan.needs_model:
        return None
    from cosinterp.cli.console import err
    from cosinterp.decoding import model_of

    placed: dict[str, Any] = {} if device is None else {"device": device}
    with err().status("loading the model"):
        return model_of(plan.store, name, **placed)


def _print(plan: VideoPlan, dry_run: bool) -> None:
    from cosinterp.cli.console import out
    from stores.units import count_text

    for folder, group in groupby(plan.videos, lambda video: video.path.relative_to(plan.out).parts[0]):
        videos = list(group)
        new = sum(not video.present for video in videos)
        rates = ", ".join(f"{rate:g}" for rate in sorted({video.origin.frame_rate for video in videos}))
        there = f"; {len(videos) - new} there already" if new < len(videos) else ""
        text = f"{plan.out / folder}: {'would write ' if dry_run else ''}{count_text(new, 'video')}{there}"
        out().print(f"{text}; {rates} frames a second", markup=False, soft_wrap=True)
    unplaced = sorted({video.origin.sample for video in plan.videos if not video.placed})
    if unplaced:
        count = count_text(len(unplaced), "sample")
        _say(f"{count} of no dataset folder, such as {unplaced[0]}: evaluators do not find their videos")


def _as_data(plan: VideoPlan, dry_run: bool) -> dict[str, Any]:
    return {
        "path": str(plan.out),
        "dry_run": dry_run,
        "videos": [
            {
                "path": str(video.path),
                "sample": video.origin.sample,
                "seed": video.origin.seed,
                "variant": video.origin.variant,
                "frame_rate": video.origin.frame_rate,
                "decoder": video.origin.decoder,
                "placed": video.placed,
                "present": video.present,
            }
            for video in plan.videos
        ],
    }


def _say(text: str) -> None:
    from cosinterp.cli.console import err

    err().print(text, markup=False, soft_wrap=True)
