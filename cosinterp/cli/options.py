"""Flags that several commands have, each written once: how a model is found and run.

A command annotates its parameters with these, and hands the values of all of them to `load_model`, or to
`prepare_model` if there is something to check before the weights are read.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Annotated, NotRequired, TypeAlias, TypedDict, Unpack

import typer

if TYPE_CHECKING:
    from cosinterp.models.loading import Prepared
    from cosinterp.models.model import Model

MACHINE = "Machine"
BUNDLED = ("maze-wan", "scene-wan")
_MOST_COMPLETED = 100
MODEL_HELP = f"{', '.join(BUNDLED)}, a diffusers folder, or a hub id."


def one_of(*names: str, after: str = "") -> Callable[[str], list[str]]:
    """What the shell completes a flag with that takes one of ``names``.

    ``after``: characters behind which another name begins, such as the comma of a list.
    """

    def complete(incomplete: str) -> list[str]:
        start = max((incomplete.rfind(character) for character in after), default=-1) + 1
        return [incomplete[:start] + name for name in names if name.startswith(incomplete[start:])]

    return complete


def dataset_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """What the shell completes a sample's name with: those of the dataset that stands before it."""
    from cosinterp.errors import SampleError
    from cosinterp.samples import sample_names

    start = incomplete.rfind(",") + 1
    try:
        names = (name for name in sample_names(ctx.params["dataset"]) if name.startswith(incomplete[start:]))
        return [incomplete[:start] + name for name in islice(names, _MOST_COMPLETED)]
    except (KeyError, TypeError, OSError, SampleError):
        # No dataset yet, or one that cannot be read: nothing to offer.
        return []


ModelName: TypeAlias = Annotated[str, typer.Option(help=MODEL_HELP, autocompletion=one_of(*BUNDLED))]

Device: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda, cuda:N, or free: the GPU with the most free memory. Several, where work can be "
        "spread: cuda:0,2 or free:4.",
        rich_help_panel=MACHINE,
        show_default="a GPU if there is one",
        autocompletion=one_of("cpu", "cuda", "cuda:0", "free"),
    ),
]

Dtype: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="bf16, fp16 or fp32.",
        rich_help_panel=MACHINE,
        show_default="bf16 on a GPU, else fp32",
        autocompletion=one_of("bf16", "fp16", "fp32"),
    ),
]

Offload: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="model, group or sequential: keep what is idle in host memory; each takes less of the GPU's.",
        rich_help_panel=MACHINE,
        show_default=False,
        autocompletion=one_of("model", "group", "sequential"),
    ),
]

Quantize: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Of the denoiser: bnb-8bit, bnb-4bit, torchao-int8 or torchao-fp8.",
        rich_help_panel=MACHINE,
        show_default=False,
        autocompletion=one_of("bnb-8bit", "bnb-4bit", "torchao-int8", "torchao-fp8"),
    ),
]

Lora: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH",
        help="A LoRA; once for all experts, or once for each. PATH:0.8 scales it, transformer_2=PATH is for "
        "one expert.",
        rich_help_panel=MACHINE,
        show_default=False,
    ),
]

Revision: TypeAlias = Annotated[
    str | None, typer.Option(help="Of a hub id.", rich_help_panel=MACHINE, show_default=False)
]

LocalFilesOnly: TypeAlias = Annotated[
    bool,
    typer.Option("--local-files-only", help="Take a hub id from the local cache.", rich_help_panel=MACHINE),
]

Pipeline: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Load as this diffusers class.",
        rich_help_panel=MACHINE,
        show_default="the folder's",
        autocompletion=one_of("WanPipeline", "WanImageToVideoPipeline"),
    ),
]

Untrained: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="SEED",
        min=0,
        help="Draw the denoiser's weights anew with this seed: the untrained model of the same anatomy.",
        rich_help_panel=MACHINE,
        show_default=False,
    ),
]

Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="A sampling setting that has no flag, such as true_cfg_scale=4; once for each.",
        rich_help_panel="How to generate",
        show_default=False,
    ),
]

Measure: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--measure/--no-measure",
        help="With --dry-run: time the machine where that tells more. Writes a file.",
    ),
]

Decoder: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="The model whose VAE decodes.",
        rich_help_panel=MACHINE,
        show_default="the one that made the store",
        autocompletion=one_of(*BUNDLED),
    ),
]


class ModelFlags(TypedDict):
    """The values of the flags above, by the names of the parameters."""

    device: str | None
    dtype: str | None
    offload: str | None
    quantize: str | None
    lora: list[str] | None
    revision: str | None
    local_files_only: bool
    pipeline: str | None
    untrained: NotRequired[int | None]


def prepare_model(name: str, **flags: Unpack[ModelFlags]) -> Prepared:
    """Find and describe a model as the flags say, its weights yet to be read, and say so meanwhile.

    Raises:
        DeviceError: the flags name several devices, or one that is not there.
        ModelError: it cannot be found, or is not understood.
    """
    from cosinterp.cli.console import err, print_warning, warnings_shown
    from cosinterp.devices import one_device

    # Before torch is imported, which takes seconds.
    flags["device"] = one_device(flags["device"])
    from cosinterp.models.loading import prepare

    with err().status(f"reading the configs of {name}"), warnings_shown():
        prepared = prepare(name, **flags)
    if prepared.reason is not None:
        print_warning(f"{name}: its weights are read before anything is checked: {prepared.reason}")
    return prepared


def load_weights(prepared: Prepared) -> Model:
    """Read the weights of a model, and say so meanwhile.

    Raises:
        ModelError: they cannot be read, or do not fit.
    """
    from cosinterp.cli.console import err, warnings_shown

    with err().status(f"loading {prepared.model.name}"), warnings_shown():
        return prepared.load()


def load_model(name: str, **flags: Unpack[ModelFlags]) -> Model:
    """Load a model as the flags say, and say so meanwhile.

    Raises:
        ModelError: it cannot be found, loaded or understood.
    """
    return load_weights(prepare_model(name, **flags))
