"""Flags that the commands which make runs take together; see `cosinterp.cli.flag_groups`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from cosinterp.cli import options
from cosinterp.cli.options import one_of
from cosinterp.cli.settings import merged, parse_settings
from cosinterp.errors import SampleError, TraceError

if TYPE_CHECKING:
    from cosinterp.models.loading import Prepared
    from cosinterp.samples import Sample

SAMPLES = "What to generate from"
SAMPLING = "How to generate"
CAPTURE = "What to record"
_OWN = "the model's"
_SAMPLES_OWN = "the sample's, or the model's"
# Those of all families, for the shell: loading a model to ask it would take too long.
_SUBLAYERS = ("self_attn", "dual_attn", "cross_attn", "audio_cross_attn", "mlp", "parallel")
SITES = ("all", "resid", "text", "audio", *_SUBLAYERS, *(f"{name}.raw" for name in _SUBLAYERS))
BRANCHES = ("cond", "uncond", "stg", "modality")

StoreFolder: TypeAlias = Annotated[
    Path, typer.Option(help="Folder of the store; made if it does not exist.", show_default=False)
]
Seeds: TypeAlias = Annotated[str, typer.Option(help="Seeds of the initial noise, such as 0-7.")]


@dataclass(frozen=True)
class SampleFlags:
    """What is generated from."""

    dataset: Annotated[
        Path | None,
        typer.Option(
            help="Samples: a folder in VBVR-Bench layout, or a .jsonl or .csv.",
            rich_help_panel=SAMPLES,
            show_default=False,
        ),
    ] = None
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Only the samples of the dataset that are called so, as in 'In-Domain_50-*' or "
            "'*-00000,*-00001'.",
            rich_help_panel=SAMPLES,
            show_default=False,
            autocompletion=options.dataset_names,
        ),
    ] = None
    prompt: Annotated[
        str | None, typer.Option(help="One sample's prompt.", rich_help_panel=SAMPLES, show_default=False)
    ] = None
    prompt_file: Annotated[
        Path | None,
        typer.Option(help="A file with the prompt.", rich_help_panel=SAMPLES, show_default=False),
    ] = None
    image: Annotated[
        Path | None,
        typer.Option(help="The first image.", rich_help_panel=SAMPLES, show_default=False),
    ] = None
    name: Annotated[
        str | None,
        typer.Option(
            help="The sample's name in the store.",
            rich_help_panel=SAMPLES,
            show_default="from image and prompt",
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            help="Only the first so many samples.", min=1, rich_help_panel=SAMPLES, show_default=False
        ),
    ] = None

    def samples(self) -> list[Sample]:
        """The samples.

        Raises:
            SampleError: none, flags that do not go together, or a dataset that cannot be read.
        """
        from cosinterp.samples import load_dataset, sample_from_flags

        if self.dataset is None:
            for flag, value in {"--only": self.only, "--limit": self.limit}.items():
                if value is not None:
                    raise SampleError(f"{flag} chooses among the samples of a dataset: give --dataset")
            if self.prompt is None and self.prompt_file is None:
                raise SampleError("nothing to generate from: give --dataset, --prompt or --prompt-file")
            return [
                sample_from_flags(self.prompt, prompt_file=self.prompt_file, image=self.image, name=self.name)
            ]
        given = {
            "--prompt": self.prompt,
            "--prompt-file": self.prompt_file,
            "--image": self.image,
            "--name": self.name,
        }
        clashing = [flag for flag, value in given.items() if value is not None]
        if clashing:
            raise SampleError(f"--dataset brings its own samples: leave out {', '.join(clashing)}")
        only = self.only
        patterns = None if only is None else [pattern.strip() for text in only for pattern in text.split(",")]
        return load_dataset(self.dataset, only=patterns, limit=self.limit)


@dataclass(frozen=True)
class CaptureFlags:
    """What is recorded of each run."""

    layers: Annotated[
        str,
        typer.Option(
            help='"0-40", "0,3,7-9", "-1" or "all".', rich_help_panel=CAPTURE, autocompletion=one_of("all")
        ),
    ] = "all"
    sites: Annotated[
        str,
        typer.Option(
            help="Such as resid,self_attn,mlp.raw, or all; `cosinterp anatomy` shows a model's.",
            rich_help_panel=CAPTURE,
            autocompletion=one_of(*SITES, after=","),
        ),
    ] = "resid"
    save_steps: Annotated[
        str,
        typer.Option(
            help="Steps whose activations are kept.", rich_help_panel=CAPTURE, autocompletion=one_of("all")
        ),
    ] = "all"
    branches: Annotated[
        str,
        typer.Option(
            help="Such as cond, or all; `cosinterp anatomy` shows a model's.",
            rich_help_panel=CAPTURE,
            autocompletion=one_of("all", *BRANCHES, after=","),
        ),
    ] = "all"
    reduce: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep less of each token grid: frames, mean, norm, tokens:K, project:K, or two such as "
            "frames+norm; of one site: resid=norm. Give it again for more.",
            rich_help_panel=CAPTURE,
            show_default="full",
            autocompletion=one_of("full", "frames", "mean", "norm", "tokens:", "project:", after="=+"),
        ),
    ] = None
    reduce_seed: Annotated[
        int, typer.Option(help="Of tokens:K and project:K.", min=0, rich_help_panel=CAPTURE)
    ] = 0
    store_dtype: Annotated[
        str,
        typer.Option(
            help="bf16, fp16, fp32, fp8, or auto: the model's.",
            rich_help_panel=CAPTURE,
            autocompletion=one_of("auto", "bf16", "fp16", "fp32", "fp8"),
        ),
    ] = "auto"
    compression: Annotated[
        str,
        typer.Option(
            help="none, lz4 or zstd.",
            rich_help_panel=CAPTURE,
            autocompletion=one_of("none", "lz4", "zstd"),
        ),
    ] = "none"
    video: Annotated[bool, typer.Option(help="Decode and keep the videos.", rich_help_panel=CAPTURE)] = True

    def check(self) -> None:
        """Refuse what is wrong for every model before one is loaded, which can take minutes.

        Raises:
            UserError: it is.
        """
        from cosinterp.planning.reduce_option import parse_reduce
        from cosinterp.planning.stored_as import check_compression, check_store_dtype

        if not self.sites.strip():
            raise TraceError("--sites is empty")
        parse_reduce(self.reduce)
        check_store_dtype(self.store_dtype)
        check_compression(self.compression)

    def settings(self) -> dict[str, Any]:
        """The arguments of `cosinterp.planning.plan.make_plan`."""
        return {
            "layers": self.layers,
            "sites": self.sites,
            "save_steps": self.save_steps,
            "branches": self.branches,
            "reduce": self.reduce,
            "reduce_seed": self.reduce_seed,
            "dtype": self.store_dtype,
            "compression": self.compression,
            "save_video": self.video,
        }


@dataclass(frozen=True)
class SamplingFlags:
    """How it is generated."""

    num_steps: Annotated[
        int | None,
        typer.Option(help="Denoising steps.", min=1, rich_help_panel=SAMPLING, show_default=_OWN),
    ] = None
    guidance_scale: Annotated[
        float | None,
        typer.Option(help="1: no guidance.", rich_help_panel=SAMPLING, show_default=_OWN),
    ] = None
    guidance_scale_2: Annotated[
        float | None,
        typer.Option(help="Of the low-noise expert.", rich_help_panel=SAMPLING, show_default="the same"),
    ] = None
    negative_prompt: Annotated[
        str | None,
        typer.Option(help="What guidance leads away from.", rich_help_panel=SAMPLING, show_default=_OWN),
    ] = None
    height: Annotated[
        int | None,
        typer.Option(help="In pixels.", rich_help_panel=SAMPLING, show_default=_SAMPLES_OWN),
    ] = None
    width: Annotated[
        int | None,
        typer.Option(help="In pixels.", rich_help_panel=SAMPLING, show_default=_SAMPLES_OWN),
    ] = None
    num_frames: Annotated[
        int | None,
        typer.Option(help="Of the video.", rich_help_panel=SAMPLING, show_default=_SAMPLES_OWN),
    ] = None
    max_sequence_length: Annotated[
        int | None,
        typer.Option(help="Text tokens.", rich_help_panel=SAMPLING, show_default=_OWN),
    ] = None
    more: options.Settings = None

    def settings(self) -> dict[str, Any]:
        """The sampling settings that are asked for.

        Raises:
            TraceError: a setting that cannot be read, or is given twice.
        """
        flags = {
            "num_steps": self.num_steps,
            "guidance_scale": self.guidance_scale,
            "guidance_scale_2": self.guidance_scale_2,
            "negative_prompt": self.negative_prompt,
            "height": self.height,
            "width": self.width,
            "num_frames": self.num_frames,
            "max_sequence_length": self.max_sequence_length,
        }
        return merged(flags, parse_settings(self.more))


@dataclass(frozen=True)
class MachineFlags:
    """How the model is loaded, and what of the machine a run takes."""

    batch: Annotated[
        int,
        typer.Option(
            help="Seeds that go through the model together.", min=1, rich_help_panel=options.MACHINE
        ),
    ] = 1
    device: options.Device = None
    dtype: options.Dtype = None
    offload: options.Offload = None
    quantize: options.Quantize = None
    host_memory: Annotated[
        float,
        typer.Option(
            help="GiB that may wait to be written; then the model waits.", rich_help_panel=options.MACHINE
        ),
    ] = 4.0
    writers: Annotated[
        int | None,
        typer.Option(
            help="Threads that write.",
            min=1,
            rich_help_panel=options.MACHINE,
            show_default="4 beside a GPU, else 1",
        ),
    ] = None
    lora: options.Lora = None
    revision: options.Revision = None
    local_files_only: options.LocalFilesOnly = False
    pipeline: options.Pipeline = None
    untrained: options.Untrained = None

    def check(self) -> None:
        """Raises TraceError: no such memory."""
        if not 0 < self.host_memory < math.inf:
            raise TraceError(f"--host-memory has to be a number above 0, not {self.host_memory}")

    @property
    def memory(self) -> int:
        """Bytes that may wait to be written."""
        return int(self.host_memory * 1024**3)

    def settings(self) -> dict[str, Any]:
        """The arguments of `cosinterp.planning.plan.make_plan`."""
        return {"batch": self.batch, "host_memory": self.memory, "writers": self.writers}

    def prepare(self, model: str) -> Prepared:
        """The model, its weights yet to be read; see `options.prepare_model`."""
        return options.prepare_model(
            model,
            device=self.device,
            dtype=self.dtype,
            offload=self.offload,
            quantize=self.quantize,
            lora=self.lora,
            revision=self.revision,
            local_files_only=self.local_files_only,
            pipeline=self.pipeline,
            untrained=self.untrained,
        )
