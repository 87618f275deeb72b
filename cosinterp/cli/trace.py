"""``cosinterp trace``: generate videos and record their activations in a store."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosinterp.cli import options
from cosinterp.cli.command_line import resume_command
from cosinterp.cli.options import one_of
from cosinterp.cli.settings import merged, parse_settings
from cosinterp.errors import SampleError, TraceError

if TYPE_CHECKING:
    from cosinterp.following import Followed
    from cosinterp.models.loading import Prepared
    from cosinterp.models.model import Model
    from cosinterp.planning.plan import TracePlan
    from cosinterp.samples import Sample

_SAMPLES = "What to generate from"
_SAMPLING = "How to generate"
_CAPTURE = "What to record"
_OWN = "the model's"
_SAMPLES_OWN = "the sample's, or the model's"
# Those of all families, for the shell: loading a model to ask it would take too long.
_SUBLAYERS = ("self_attn", "dual_attn", "cross_attn", "audio_cross_attn", "mlp", "parallel")
SITES = ("all", "resid", "text", "audio", *_SUBLAYERS, *(f"{name}.raw" for name in _SUBLAYERS))
BRANCHES = ("cond", "uncond", "stg", "modality")


def trace(
    model: options.ModelName,
    store: Annotated[
        Path, typer.Option(help="Folder of the store; made if it does not exist.", show_default=False)
    ],
    seeds: Annotated[str, typer.Option(help="Seeds of the initial noise, such as 0-7.")] = "0",
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="Samples: a folder in VBVR-Bench layout, or a .jsonl or .csv.",
            rich_help_panel=_SAMPLES,
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Only the samples of the dataset that are called so, as in 'In-Domain_50-*' or "
            "'*-00000,*-00001'.",
            rich_help_panel=_SAMPLES,
            show_default=False,
            autocompletion=options.dataset_names,
        ),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option(help="One sample's prompt.", rich_help_panel=_SAMPLES, show_default=False)
    ] = None,
    prompt_file: Annotated[
        Path | None,
        typer.Option(help="A file with the prompt.", rich_help_panel=_SAMPLES, show_default=False),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(help="The first image.", rich_help_panel=_SAMPLES, show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The sample's name in the store.",
            rich_help_panel=_SAMPLES,
            show_default="from image and prompt",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            help="Only the first so many samples.", min=1, rich_help_panel=_SAMPLES, show_default=False
        ),
    ] = None,
    layers: Annotated[
        str,
        typer.Option(
            help='"0-40", "0,3,7-9", "-1" or "all".', rich_help_panel=_CAPTURE, autocompletion=one_of("all")
        ),
    ] = "all",
    sites: Annotated[
        str,
        typer.Option(
            help="Such as resid,self_attn,mlp.raw, or all; `cosinterp anatomy` shows a model's.",
            rich_help_panel=_CAPTURE,
            autocompletion=one_of(*SITES, after=","),
        ),
    ] = "resid",
    save_steps: Annotated[
        str,
        typer.Option(
            help="Steps whose activations are kept.", rich_help_panel=_CAPTURE, autocompletion=one_of("all")
        ),
    ] = "all",
    branches: Annotated[
        str,
        typer.Option(
            help="Such as cond, or all; `cosinterp anatomy` shows a model's.",
            rich_help_panel=_CAPTURE,
            autocompletion=one_of("all", *BRANCHES, after=","),
        ),
    ] = "all",
    reduce: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep less of each token grid: frames, mean, norm, tokens:K, project:K, or two such as "
            "frames+norm; of one site: resid=norm. Give it again for more.",
            rich_help_panel=_CAPTURE,
            show_default="full",
            autocompletion=one_of("full", "frames", "mean", "norm", "tokens:", "project:", after="=+"),
        ),
    ] = None,
    reduce_seed: Annotated[
        int, typer.Option(help="Of tokens:K and project:K.", min=0, rich_help_panel=_CAPTURE)
    ] = 0,
    store_dtype: Annotated[
        str,
        typer.Option(
            help="bf16, fp16, fp32, fp8, or auto: the model's.",
            rich_help_panel=_CAPTURE,
            autocompletion=one_of("auto", "bf16", "fp16", "fp32", "fp8"),
        ),
    ] = "auto",
    compression: Annotated[
        str,
        typer.Option(
            help="none, lz4 or zstd.",
            rich_help_panel=_CAPTURE,
            autocompletion=one_of("none", "lz4", "zstd"),
        ),
    ] = "none",
    video: Annotated[bool, typer.Option(help="Decode and keep the videos.", rich_help_panel=_CAPTURE)] = True,
    follow: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE",
            help="Show the model the latents of this store's runs, of the same samples, seeds and settings.",
            rich_help_panel=_SAMPLING,
            show_default=False,
        ),
    ] = None,
    num_steps: Annotated[
        int | None,
        typer.Option(help="Denoising steps.", min=1, rich_help_panel=_SAMPLING, show_default=_OWN),
    ] = None,
    guidance_scale: Annotated[
        float | None,
        typer.Option(help="1: no guidance.", rich_help_panel=_SAMPLING, show_default=_OWN),
    ] = None,
    guidance_scale_2: Annotated[
        float | None,
        typer.Option(help="Of the low-noise expert.", rich_help_panel=_SAMPLING, show_default="the same"),
    ] = None,
    negative_prompt: Annotated[
        str | None,
        typer.Option(help="What guidance leads away from.", rich_help_panel=_SAMPLING, show_default=_OWN),
    ] = None,
    height: Annotated[
        int | None,
        typer.Option(help="In pixels.", rich_help_panel=_SAMPLING, show_default=_SAMPLES_OWN),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(help="In pixels.", rich_help_panel=_SAMPLING, show_default=_SAMPLES_OWN),
    ] = None,
    num_frames: Annotated[
        int | None,
        typer.Option(help="Of the video.", rich_help_panel=_SAMPLING, show_default=_SAMPLES_OWN),
    ] = None,
    max_sequence_length: Annotated[
        int | None,
        typer.Option(help="Text tokens.", rich_help_panel=_SAMPLING, show_default=_OWN),
    ] = None,
    more: options.Settings = None,
    batch: Annotated[
        int,
        typer.Option(
            help="Seeds that go through the model together.", min=1, rich_help_panel=options.MACHINE
        ),
    ] = 1,
    device: options.Device = None,
    dtype: options.Dtype = None,
    offload: options.Offload = None,
    quantize: options.Quantize = None,
    host_memory: Annotated[
        float,
        typer.Option(
            help="GiB that may wait to be written; then the model waits.", rich_help_panel=options.MACHINE
        ),
    ] = 4.0,
    writers: Annotated[
        int | None,
        typer.Option(
            help="Threads that write.",
            min=1,
            rich_help_panel=options.MACHINE,
            show_default="4 beside a GPU, else 1",
        ),
    ] = None,
    lora: options.Lora = None,
    revision: options.Revision = None,
    local_files_only: options.LocalFilesOnly = False,
    pipeline: options.Pipeline = None,
    untrained: options.Untrained = None,
    resume: Annotated[bool, typer.Option("--resume", help="Skip the runs that the store has.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made and its size, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan of --dry-run as JSON.")] = False,
) -> None:
    """Generate videos and record their activations in a store.

    The video is that of the untraced pipeline, bit for bit. Interrupted with Ctrl-C it keeps the runs that
    are finished; the same command with --resume makes the others. A trace that does not fit on the disk is
    refused before it starts, with the selections that would fit. All that can be checked is checked before
    the model's weights are read, and --dry-run reads none.
    """
    if as_json and not dry_run:
        raise TraceError("--json prints the plan; give --dry-run too")
    flags = {
        "num_steps": num_steps,
        "guidance_scale": guidance_scale,
        "guidance_scale_2": guidance_scale_2,
        "negative_prompt": negative_prompt,
        "height": height,
        "width": width,
        "num_frames": num_frames,
        "max_sequence_length": max_sequence_length,
    }
    sampling = merged(flags, parse_settings(more))
    samples = _samples(dataset, only, limit, prompt, prompt_file, image, name)
    _check_early(seeds, sites, reduce, store_dtype, compression, host_memory)
    prepared = options.prepare_model(
        model,
        device=device,
        dtype=dtype,
        offload=offload,
        quantize=quantize,
        lora=lora,
        revision=revision,
        local_files_only=local_files_only,
        pipeline=pipeline,
        untrained=untrained,
    )

    from cosinterp.following import Followed
    from cosinterp.planning.plan import make_plan
    from stores import open_store

    memory = int(host_memory * 1024**3)
    plan = make_plan(
        prepared.model,
        samples,
        seeds=seeds,
        layers=layers,
        sites=sites,
        save_steps=save_steps,
        branches=branches,
        reduce=reduce,
        reduce_seed=reduce_seed,
        dtype=store_dtype,
        compression=compression,
        batch=batch,
        save_video=video,
        host_memory=memory,
        writers=writers,
        sampling=sampling,
    )
    followed = None
    if follow is not None:
        followed = Followed(open_store(follow))
        plan = followed.planned(plan)
    if dry_run:
        _show(prepared.model, plan, store, as_json)
    else:
        _carry_out(prepared, plan, store, resume, followed, memory)


def _show(model: Model, plan: TracePlan, store: Path, as_json: bool) -> None:
    """Print the plan; as the trace itself, refuse one that does not fit."""
    from cosinterp.cli.console import print_json
    from cosinterp.cli.trace_plan import Outlook, print_plan
    from cosinterp.planning.fitting import check_space
    from cosinterp.planning.to_make import runs_to_make
    from cosinterp.tracing import writing_threads

    outlook = Outlook.of(plan, runs_to_make(plan, store, resume=True), store, writing_threads(model, plan))
    if as_json:
        print_json(outlook.as_data())
    else:
        print_plan(outlook)
    check_space(store, plan, outlook.todo)


def _carry_out(
    prepared: Prepared,
    plan: TracePlan,
    store: Path,
    resume: bool,
    followed: Followed | None,
    host_memory: int,
) -> None:
    from cosinterp.cli.console import err
    from cosinterp.cli.trace_progress import RichProgress
    from cosinterp.planning.fitting import check_space
    from cosinterp.planning.to_make import runs_to_make
    from cosinterp.tracing import run_plan, writing_threads
    from stores.units import count_text

    todo = runs_to_make(plan, store, resume)
    check_space(store, plan, todo)
    # A store that has all runs needs no weights to say so.
    model = options.load_weights(prepared) if todo else prepared.model
    try:
        with RichProgress(store, writing_threads(model, plan)) as progress:
            run_plan(
                model,
                plan,
                store,
                resume=resume,
                followed=followed,
                host_memory=host_memory,
                progress=progress,
            )
    except KeyboardInterrupt:
        kept = count_text(progress.made, "finished run")
        err().print(f"interrupted; {kept} kept. To go on:")
        err().print(f"  {resume_command(sys.argv)}", markup=False, soft_wrap=True)
        raise


def _samples(
    dataset: Path | None,
    only: list[str] | None,
    limit: int | None,
    prompt: str | None,
    prompt_file: Path | None,
    image: Path | None,
    name: str | None,
) -> list[Sample]:
    from cosinterp.samples import load_dataset, sample_from_flags

    if dataset is None:
        for flag, value in {"--only": only, "--limit": limit}.items():
            if value is not None:
                raise SampleError(f"{flag} chooses among the samples of a dataset: give --dataset")
        if prompt is None and prompt_file is None:
            raise SampleError("nothing to generate from: give --dataset, --prompt or --prompt-file")
        return [sample_from_flags(prompt, prompt_file=prompt_file, image=image, name=name)]
    given = {"--prompt": prompt, "--prompt-file": prompt_file, "--image": image, "--name": name}
    clashing = [flag for flag, value in given.items() if value is not None]
    if clashing:
        raise SampleError(f"--dataset brings its own samples: leave out {', '.join(clashing)}")
    patterns = None if only is None else [pattern.strip() for text in only for pattern in text.split(",")]
    return load_dataset(dataset, only=patterns, limit=limit)


def _check_early(
    seeds: str,
    sites: str,
    reduce: list[str] | None,
    store_dtype: str,
    compression: str,
    host_memory: float,
) -> None:
    """Refuse what is wrong for every model before one is loaded, which can take minutes."""
    from cosinterp.planning.reduce_option import parse_reduce
    from cosinterp.planning.stored_as import check_compression, check_store_dtype
    from stores.selection import parse_seeds

    parse_seeds(seeds)
    if not sites.strip():
        raise TraceError("--sites is empty")
    parse_reduce(reduce)
    check_store_dtype(store_dtype)
    check_compression(compression)
    if not 0 < host_memory < math.inf:
        raise TraceError(f"--host-memory has to be a number above 0, not {host_memory}")
