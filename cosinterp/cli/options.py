"""Flags that several commands have, each written once: how a model is found and run.

A command annotates its parameters with these, and hands the values of all of them to `load_model`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

if TYPE_CHECKING:
    from cosinterp.models.model import Model

MACHINE = "Machine"
BUNDLED = "maze-wan"
_MOST_COMPLETED = 100
MODEL_HELP = f"{BUNDLED}, a diffusers folder, or a hub id."


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


ModelName: TypeAlias = Annotated[str, typer.Option(help=MODEL_HELP, autocompletion=one_of(BUNDLED))]

Device: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda or cuda:N.",
        rich_help_panel=MACHINE,
        show_default="a GPU if there is one",
        autocompletion=one_of("cpu", "cuda", "cuda:0"),
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
        help="model or sequential: keep what is idle in host memory.",
        rich_help_panel=MACHINE,
        show_default=False,
        autocompletion=one_of("model", "sequential"),
    ),
]

Lora: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        help="A LoRA file; once for all experts, or once for each.",
        rich_help_panel=MACHINE,
        show_default=False,
    ),
]

Revision: TypeAlias = Annotated[
    str | None, typer.Option(help="Of a hub id.", rich_help_panel=MACHINE, show_default=False)
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

Decoder: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="The model whose VAE decodes.",
        rich_help_panel=MACHINE,
        show_default="the one that made the store",
        autocompletion=one_of(BUNDLED),
    ),
]


def load_model(
    name: str,
    *,
    device: str | None,
    dtype: str | None,
    offload: str | None,
    lora: list[str] | None,
    revision: str | None,
    pipeline: str | None,
) -> Model:
    """Load a model as the flags say, and say so meanwhile.

    Raises:
        ModelError: it cannot be found, loaded or understood.
    """
    from cosinterp.cli.console import err
    from cosinterp.models.loading import load

    with err().status(f"loading {name}"):
        return load(
            name,
            device=device,
            dtype=dtype,
            offload=offload,
            lora=lora or None,
            revision=revision,
            pipeline=pipeline,
        )
