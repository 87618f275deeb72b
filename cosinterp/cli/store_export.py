"""``cosinterp store export``: a store, or a part of it, in one file or for other tools."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from cosinterp.cli.options import one_of
from cosinterp.cli.store_options import AsJson, Samples, Seeds, StorePath, Variant, sample_names

_WHAT = "What is taken"
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def export(
    store: StorePath,
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The file or folder to write.", show_default=False)
    ],
    format: Annotated[
        str | None,
        typer.Option(
            help="hdf5, safetensors or zarr.",
            show_default="by OUT's suffix",
            autocompletion=one_of("hdf5", "safetensors", "zarr"),
        ),
    ] = None,
    samples: Samples = None,
    seeds: Seeds = None,
    variant: Variant = None,
    sites: Annotated[
        str, typer.Option(help='"all", "none", or sites such as resid,mlp.', rich_help_panel=_WHAT)
    ] = "all",
    reductions: Annotated[
        str, typer.Option(help='"all", or reductions such as full,norm.', rich_help_panel=_WHAT)
    ] = "all",
    layers: Annotated[
        str, typer.Option(help='"0-40", "0,3,7-9", "-1" or "all".', rich_help_panel=_WHAT)
    ] = "all",
    steps: Annotated[str, typer.Option(help="Likewise, of the activations.", rich_help_panel=_WHAT)] = "all",
    branches: Annotated[str, typer.Option(help='"all", "cond" or "uncond".', rich_help_panel=_WHAT)] = "all",
    latents: Annotated[
        bool, typer.Option(help="Noisy latents and predictions.", rich_help_panel=_WHAT)
    ] = True,
    video: Annotated[bool, typer.Option(help="Videos, if they are stored.", rich_help_panel=_WHAT)] = True,
    shard_size: Annotated[
        str, typer.Option(help="Of a file of safetensors, such as 500MB; so much is in memory.")
    ] = "2GB",
    force: Annotated[bool, typer.Option("--force", help="Replace OUT, if it is such an export.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be taken and its size, and stop.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Export a store, or a part of it.

    [bold]hdf5[/bold] (out.h5): one file, in which /SAMPLE/SEED looks like the file of a run. All is as it is
    stored: dtype, chunks, compression.

    [bold]safetensors[/bold] (a folder, or out.safetensors): a tensor for each (step, layer, branch), bfloat16
    as such, in files of at most --shard-size with an index as Hugging Face has it.

    [bold]zarr[/bold] (out.zarr): for xarray; a group for each site, with float32 arrays over samples and
    seeds.

    OUT appears when it is whole: an export that was interrupted leaves nothing.
    """
    from cosinterp.cli.console import out as results
    from cosinterp.cli.console import print_json
    from cosinterp.cli.counting import counting
    from stores import open_store
    from stores.export import Wanted, format_of, plan_export, write_export
    from stores.units import count_text, size_text

    opened = open_store(store)
    wanted = Wanted(
        samples=sample_names(samples),
        seeds=seeds,
        variant=variant,
        sites=() if sites == "none" else sites,
        reductions=reductions,
        layers=layers,
        steps=steps,
        branches=branches,
        latents=latents,
        video=video,
    )
    chosen_format = format_of(out, format)
    with counting("opening") as count:
        plan = plan_export(
            opened,
            out,
            wanted,
            format=chosen_format,
            shard_size=parse_size(shard_size),
            force=force,
            progress=count.reach,
        )
    size = plan.size
    if not dry_run:
        with counting("exporting", sizes=True) as count:
            size = write_export(plan, count.reach)
    if as_json:
        print_json(
            {
                "path": str(out),
                "format": plan.format,
                "dry_run": dry_run,
                "runs": [run.entry.file for run in plan.runs],
                "sites": sorted({site.info.key for run in plan.runs for site in run.sites}),
                "bytes": size,
            }
        )
        return
    about = "about " if dry_run else ""
    verb = "would export" if dry_run else "exported"
    runs = count_text(len(plan.runs), "run")
    text = f"{out}: {verb} {runs} as {plan.format}, {about}{size_text(size)}"
    results().print(text, markup=False, soft_wrap=True)


def parse_size(text: str) -> int:
    """Bytes from a text such as "2GB", "500 MB" or "1000000"; units are powers of 1000.

    Raises:
        UserError: it is no such text, or less than one byte.
    """
    from stores import UserError

    match = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", text, re.IGNORECASE)
    if match is None or match[2].lower() not in _UNITS or float(match[1]) * _UNITS[match[2].lower()] < 1:
        raise UserError(f'--shard-size "{text}": write a size such as 2GB or 500MB')
    return int(float(match[1]) * _UNITS[match[2].lower()])
