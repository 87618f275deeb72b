"""The model that made a store, found again and loaded as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias, Unpack

import typer

from cosinterp.cli import options
from cosinterp.cli.options import MACHINE, MODEL_HELP, one_of

if TYPE_CHECKING:
    from cosinterp.cli.options import ModelFlags
    from cosinterp.models.loading import Prepared
    from stores import Store

_DTYPES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


StoreModel: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help=f"The same weights elsewhere: {MODEL_HELP}",
        rich_help_panel=MACHINE,
        show_default="the one that made the store",
    ),
]
StoreDtype: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="bf16, fp16 or fp32.",
        rich_help_panel=MACHINE,
        show_default="as the store was made",
        autocompletion=one_of("bf16", "fp16", "fp32"),
    ),
]


@dataclass(frozen=True)
class StoreModelFlags:
    """Flags on the model that made a store; see `cosinterp.cli.flag_groups`."""

    model: StoreModel = None
    device: options.Device = None
    dtype: StoreDtype = None
    offload: options.Offload = None
    quantize: options.Quantize = None
    lora: options.Lora = None
    revision: options.Revision = None
    local_files_only: options.LocalFilesOnly = False
    pipeline: options.Pipeline = None

    def prepare(self, store: Store) -> Prepared:
        """The model; see `prepare_model_of`."""
        return prepare_model_of(
            store,
            self.model,
            device=self.device,
            dtype=self.dtype,
            offload=self.offload,
            quantize=self.quantize,
            lora=self.lora,
            revision=self.revision,
            local_files_only=self.local_files_only,
            pipeline=self.pipeline,
        )


def prepare_model_of(store: Store, name: str | None, **flags: Unpack[ModelFlags]) -> Prepared:
    """Find and describe the model that made a store, its weights yet to be read.

    What ``flags`` leave open (dtype, LoRAs, quantisation, revision) is as the store says. ``name``: another
    place of the same weights.

    Raises:
        ModelError: it cannot be found, or is not understood.
        SelectionError: the store does not say what made it.
    """
    from cosinterp.errors import ModelError, SelectionError
    from cosinterp.models.loading.given import MARK

    made_by = store.settings.model
    if name is None and not made_by.get("name"):
        raise SelectionError(f"{store.path} does not say which model made it; name it with --model")
    if name is None and str(made_by.get("weights_sha256")).startswith(MARK):
        raise ModelError(
            f"{store.path} was made by a pipeline that was given as an object ({made_by['name']}); name a "
            "folder with its weights with --model, or do this in Python"
        )
    asked: ModelFlags = {**flags}
    asked["dtype"] = flags["dtype"] or _DTYPES.get(str(made_by.get("dtype")))
    asked["quantize"] = flags["quantize"] or made_by.get("quantization")
    if flags["lora"] is None:
        asked["lora"] = [_lora(one) for one in made_by.get("lora", [])] or None
    if name is None:
        asked["revision"] = flags["revision"] or made_by.get("revision")
    return options.prepare_model(name or made_by["name"], **asked)


def _lora(record: dict[str, object]) -> str:
    """A LoRA's record, as the flag takes it."""
    return f"{record['expert']}={record['path']}:{record['scale']}"
