"""Loading a model: the bundled one, a local diffusers folder, or a hub id."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.errors import ModelError
from cosinterp.models.families import anatomy_of
from cosinterp.models.model import Model

if TYPE_CHECKING:
    import torch

BUNDLED = ("maze-wan",)
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
OFFLOADS = ("model", "sequential")
MODEL_FILE = "cosinterp.json"

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_INDEX = "model_index.json"


def load(
    name_or_path: str | Path,
    *,
    device: str | None = None,
    dtype: str | torch.dtype | None = None,
    offload: str | None = None,
    lora: str | Path | Sequence[str | Path] | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
    pipeline: str | None = None,
) -> Model:
    """Load a video pipeline for tracing.

    Args:
        name_or_path: a bundled name (`BUNDLED`), a local diffusers folder, or a hub id ("owner/name"). A
            local folder is read without any network access.
        device: where it runs; default: cuda if there is one, else cpu.
        dtype: of the denoiser and the text encoder, "bf16" | "fp16" | "fp32" or a torch dtype; default: bf16
            on cuda, fp32 on cpu. The VAE stays in float32, unless the pipeline decodes in this dtype.
        offload: "model" or "sequential": keep in host memory what is not in use (needs a GPU).
        lora: LoRA file(s) or folder(s): one for all experts, or one for each expert, in order.
        revision: of a hub id.
        local_files_only: take a hub id from the local cache only.
        pipeline: diffusers class to load the folder as, in place of the one that it names, such as
            "WanImageToVideoPipeline" for a Wan2.2 TI2V folder that declares text-to-video.

    Raises:
        ModelError: not found, not a diffusers folder, a component missing or broken, or not understood.
    """
    if offload is not None and offload not in OFFLOADS:
        raise ModelError(f'unknown offload "{offload}"; use {" or ".join(OFFLOADS)}')
    place = _device(device)
    precision = _dtype(dtype, place)
    source, name, is_local = _find(str(name_or_path))
    # The commit and not a branch, which may be another one tomorrow: a run has to say what made it.
    if is_local and revision is not None:
        raise ModelError(f"{name}: only a model of the hub has revisions; leave out the revision {revision}")
    commit = None if is_local else _hub_commit(source, revision, local_files_only)
    with _quiet_libraries():
        loaded = _from_pretrained(
            source,
            name,
            pipeline,
            dtype={"default": precision, "vae": _dtype("fp32", place)},
            revision=commit,
            local_files_only=is_local or local_files_only,
        )
    own = _own_settings(Path(source)) if is_local else {}
    anatomy = anatomy_of(loaded, name)
    if anatomy.vae_in_model_dtype:
        _cast_vae(loaded.vae, precision)
    if lora is not None:
        _load_loras(loaded, anatomy.experts, [lora] if isinstance(lora, str | Path) else list(lora))
    _place(loaded, place, offload, name)
    loaded.set_progress_bar_config(disable=True)
    return Model(
        name=name,
        source=source,
        revision=commit,
        pipeline=loaded,
        anatomy=anatomy,
        device=place,
        dtype=precision,
        task=own.get("task"),
        own_sampling=own.get("sampling", {}),
        lora=() if lora is None else tuple(map(str, [lora] if isinstance(lora, str | Path) else lora)),
        offload=offload,
    )


def bundled_folder(name: str) -> Path:
    """The folder of a bundled model inside the package."""
    return Path(__file__).resolve().parent.parent / "organism" / name


def _device(device: str | None) -> torch.device:
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        place = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f'unknown device "{device}"; use cpu, cuda or cuda:N') from error
    if place.type == "cuda" and not torch.cuda.is_available():
        raise ModelError(f'device "{device}": torch sees no GPU here; use cpu')
    if place.type == "cuda" and (place.index or 0) >= torch.cuda.device_count():
        raise ModelError(f'device "{device}": torch sees GPUs 0-{torch.cuda.device_count() - 1} here')
    return place


def _dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    import torch

    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype is None:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in DTYPES:
        raise ModelError(f'unknown dtype "{dtype}"; use {", ".join(DTYPES)}')
    return getattr(torch, DTYPES[dtype])


def _find(name: str) -> tuple[str, str, bool]:
    """(what diffusers loads from, the model's name, whether it is a local folder)."""
    if name in BUNDLED:
        folder = bundled_folder(name)
        if not (folder / _INDEX).is_file():
            raise ModelError(f"{name}: its weights are not in this installation ({folder} is missing)")
        return str(folder), name, True
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / _INDEX).is_file():
            raise ModelError(f"{name}: not a diffusers pipeline folder (no {_INDEX} in it)")
        _check_components(folder)
        # The whole path: a store names its model by it, and has to find it again.
        return str(folder.resolve()), str(folder.resolve()), True
    if folder.exists():
        raise ModelError(f"{name}: is a file; give the pipeline's folder")
    if not _HUB_ID.fullmatch(name) or Path(name).is_absolute():
        raise ModelError(
            f"unknown model {name}: neither bundled ({', '.join(BUNDLED)}), nor a folder, nor a hub id"
        )
    return name, name, False


def _check_components(folder: Path) -> None:
    """Name a missing component before diffusers fails on it less clearly."""
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{folder / _INDEX}: is not valid JSON ({error})") from error
    if not isinstance(index, dict) or "_class_name" not in index:
        raise ModelError(f"{folder / _INDEX}: names no pipeline class")
    for component, spec in index.items():
        needed = isinstance(spec, list) and len(spec) == 2 and spec[1] is not None
        if needed and not (folder / component).is_dir():
            raise ModelError(f"{folder}: the component {component} ({spec[1]}) is missing")


def _from_pretrained(source: str, name: str, pipeline: str | None, **settings: Any) -> Any:
    import diffusers

    cls = getattr(diffusers, pipeline or "DiffusionPipeline", None)
    if cls is None:
        raise ModelError(f"diffusers {diffusers.__version__} has no pipeline {pipeline}")
    try:
        return cls.from_pretrained(source, **settings)
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError, TypeError) as error:
        # diffusers reports unreadable weights and configs by any of these.
        raise ModelError(f"{name}: cannot be loaded: {_first_line(error)}") from error


def _hub_commit(name: str, revision: str | None, local_files_only: bool) -> str:
    """The commit that a hub pipeline's revision is.

    Fetches the pipeline's index, the smallest file of it: that says most clearly why it cannot be had.
    """
    from huggingface_hub import errors, hf_hub_download

    unknown = f"unknown model {name}: neither bundled ({', '.join(BUNDLED)}), nor a folder"
    try:
        with _no_warnings_of("huggingface_hub"):
            index = hf_hub_download(name, _INDEX, revision=revision, local_files_only=local_files_only)
    except errors.GatedRepoError as error:
        raise ModelError(f"{name}: only for users whom its owner accepted; try `hf auth login`") from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(f"{unknown}, nor on the hub (if it is private: `hf auth login`)") from error
    except errors.RevisionNotFoundError as error:
        raise ModelError(f"{name}: has no revision {revision}") from error
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise ModelError(f"{unknown}, nor in the local cache, and the hub cannot be reached") from error
    except errors.EntryNotFoundError as error:
        raise ModelError(f"{name}: not a diffusers pipeline (no {_INDEX} in it)") from error
    except OSError as error:
        raise ModelError(f"{name}: the hub cannot be read: {_first_line(error)}") from error
    # .../snapshots/COMMIT/model_index.json
    return Path(index).parent.name


@contextmanager
def _no_warnings_of(library: str) -> Iterator[None]:
    """Leave out what a library says of each vain attempt, where the error at the end says it once."""
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _is_worth_saying(record: logging.LogRecord) -> bool:
    # Of importing a pipeline that could preprocess images with torchvision, whether or not this model does.
    return "requires torchvision (not installed); falling back" not in record.getMessage()


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep the libraries from drawing bars of their own (those of downloads stay) and from idle remarks."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    remarks = logging.getLogger("transformers.utils.import_utils")
    remarks.addFilter(_is_worth_saying)
    drawing = [
        library for library in (diffusers_logging, transformers_logging) if library.is_progress_bar_enabled()
    ]
    for library in drawing:
        library.disable_progress_bar()
    try:
        yield
    finally:
        remarks.removeFilter(_is_worth_saying)
        for library in drawing:
            library.enable_progress_bar()


def _own_settings(folder: Path) -> dict[str, Any]:
    path = folder / MODEL_FILE
    if not path.exists():
        return {}
    try:
        own = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path}: is not valid JSON ({error})") from error
    if not isinstance(own, dict) or not isinstance(own.get("sampling", {}), dict):
        raise ModelError(f"{path}: has to hold a JSON object, with an object as its sampling")
    return own


def _load_loras(pipeline: Any, experts: tuple[str, ...], paths: list[str | Path]) -> None:
    if len(paths) not in (1, len(experts)):
        raise ModelError(
            f"{len(paths)} LoRAs for {len(experts)} expert(s): give one for all, or one for each in order"
        )
    for index, component in enumerate(experts):
        path = paths[index % len(paths)]
        if not Path(path).exists():
            raise ModelError(f"{path}: no such LoRA file or folder")
        extra = {"load_into_transformer_2": True} if component == "transformer_2" else {}
        adapter = f"lora_{index}"
        try:
            pipeline.load_lora_weights(str(path), adapter_name=adapter, **extra)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise ModelError(f"{path}: cannot be loaded as a LoRA: {_first_line(error)}") from error
        # diffusers only warns when none of a file's weights belong to the denoiser.
        if adapter not in (getattr(getattr(pipeline, component), "peft_config", None) or {}):
            raise ModelError(
                f"{path}: holds no LoRA weights of a {type(getattr(pipeline, component)).__name__}"
            )


def _cast_vae(vae: Any, dtype: torch.dtype) -> None:
    import torch

    # Not by the VAE's own `to`, which warns of modules that need float32 even where there are none.
    torch.nn.Module.to(vae, dtype)


def _place(pipeline: Any, device: torch.device, offload: str | None, name: str) -> None:
    if offload is None:
        pipeline.to(device)
    elif device.type == "cpu":
        raise ModelError(f'{name}: offload "{offload}" needs a GPU to run on; leave it out on cpu')
    elif offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.enable_sequential_cpu_offload(device=device)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
