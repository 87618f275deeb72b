"""``cosinterp anatomy``: what a model is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cosinterp.cli import options

if TYPE_CHECKING:
    from rich.tree import Tree

    from cosinterp.models.report import ModelReport, SiteReport, StackReport

_SIZE = "Size"


def anatomy(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help=options.MODEL_HELP, autocompletion=options.one_of(*options.BUNDLED)
        ),
    ],
    height: Annotated[
        int | None, typer.Option(help="In pixels.", rich_help_panel=_SIZE, show_default="the model's")
    ] = None,
    width: Annotated[
        int | None, typer.Option(help="In pixels.", rich_help_panel=_SIZE, show_default="the model's")
    ] = None,
    num_frames: Annotated[
        int | None, typer.Option(help="Of the video.", rich_help_panel=_SIZE, show_default="the model's")
    ] = None,
    num_steps: Annotated[
        int | None,
        typer.Option(help="Denoising steps.", min=1, rich_help_panel=_SIZE, show_default="the model's"),
    ] = None,
    dtype: options.Dtype = None,
    revision: options.Revision = None,
    pipeline: options.Pipeline = None,
    local_files_only: options.LocalFilesOnly = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a model is made of.

    Its layers and sites, the token grid, how guidance is run, its experts, their parameters, and what a layer
    takes at a size. No weights are loaded. A model of no known family gets an anatomy that is found from its
    modules; `cosinterp verify` tells whether it is right.
    """
    from cosinterp.cli.console import out, print_json
    from cosinterp.models.report import report_of, settings_at

    described = options.prepare_model(
        model,
        device=None,
        dtype=dtype,
        offload=None,
        quantize=None,
        lora=None,
        revision=revision,
        local_files_only=local_files_only,
        pipeline=pipeline,
    ).model
    asked = {"height": height, "width": width, "num_frames": num_frames, "num_steps": num_steps}
    settings = settings_at(described, asked)
    report = report_of(described, described.size(settings), settings)
    if as_json:
        print_json(report.as_data())
    else:
        # By itself, since a tree breaks what is longer than the terminal is wide, as a path may be.
        out().print(f"{report.name}: {report.pipeline}, family {report.family}", markup=False, soft_wrap=True)
        out().print(_tree(report))


def _tree(report: ModelReport) -> Tree:
    from rich.tree import Tree

    from stores.units import size_text

    tree = Tree("", hide_root=True)
    for expert in report.experts:
        tree.add(f"{expert.name}  {expert.kind}, {_count(expert.parameters)} parameters")
    channels = report.entering[0].channels
    layers = tree.add(f"layers 0-{report.stacks[-1].layers[-1]}")
    first = layers.add("0  enters the first block")
    for site in report.entering:
        first.add(_site(site, report.grid, channels))
    for stack in report.stacks:
        _add_stack(layers, stack, report.grid, channels)
    size = report.size
    pixels = (
        f"{size.height}x{size.width} pixels, {size.num_frames} frame{'' if size.num_frames == 1 else 's'}"
    )
    grid = tree.add(f"token grid  {_shape(report.grid)} (frame, row, col) at {pixels}")
    grid.add(f"tokens of {channels} channels")
    grid.add(f"latents {_shape(report.latents)} (channel, frame, row, col)")
    guidance = tree.add(f"guidance  {report.guidance}")
    for name, when in report.branches.items():
        needed = " or ".join(f"{setting} above {value:g}" for setting, value in when.items())
        guidance.add(f"{name}  {f'with {needed}' if needed else 'always'}")
    if report.embedded is not None:
        guidance.add(f"embedded  {report.embedded} is an input of the denoiser")
    tree.add(f"predicts  {report.prediction_type}, {report.scheduler}")
    tree.add(f"first image  {report.image}")
    tree.add(
        f"resid at all layers of a run  {size_text(report.run_bytes)} in {report.dtype} "
        f"({report.settings['num_steps']} steps)"
    )
    if report.family == "generic":
        tree.add("[yellow]found from the modules: check it with cosinterp verify[/]")
    return tree


def _add_stack(layers: Tree, stack: StackReport, grid: tuple[int, int, int], channels: int) -> None:
    from stores.selection import compact

    blocks = f"{stack.blocks}: {len(stack.layers)} {stack.kind}"
    parameters = f"{_count(stack.parameters_each)} parameters each"
    branch = layers.add(f"{compact(stack.layers)}  {blocks}, {parameters}")
    for site in stack.sites:
        branch.add(_site(site, grid, channels))


def _site(site: SiteReport, grid: tuple[int, int, int], channels: int) -> str:
    from stores.units import size_text

    where = f"{site.module}{', gated' if site.gated else ''}" if site.module else "stream"
    own = (site.grid, site.channels) != (grid, channels)
    tokens = f"  {_shape(site.grid)} of {site.channels}" if own else ""
    return f"[bold]{site.site:<20}[/] {where:<18} {size_text(site.layer_bytes):>7} a layer{tokens}"


def _shape(numbers: tuple[int, ...]) -> str:
    return "x".join(map(str, numbers))


def _count(number: int) -> str:
    """A number in three digits or so."""
    for unit, size in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return str(number)
