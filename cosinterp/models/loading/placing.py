"""Where a pipeline runs, in which dtype, and what of it stays in host memory meanwhile."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from cosinterp.errors import ModelError
from cosinterp.models.loading.quiet import first_line

if TYPE_CHECKING:
    import torch

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
OFFLOADS = ("model", "group", "sequential")

_DEVICE = re.compile(r"cpu|cuda(:[0-9]{1,3})?")

# Names of diffusers' hooks.
_GROUPS = "group_offloading"
_WATCHING = ("lazy_prefetch_group_offloading", "layer_execution_tracker")


def device_of(device: str | None) -> torch.device:
    """The device of a name; None: a GPU if there is one, else the CPU.

    Raises:
        ModelError: there is no such device here.
    """
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not _DEVICE.fullmatch(device):
        raise ModelError(f'unknown device "{device}"; use cpu, cuda or cuda:N')
    if device == "cpu":
        return torch.device(device)
    if not torch.cuda.is_available():
        raise ModelError(f'device "{device}": torch sees no GPU here; use cpu')
    number, count = int(device.partition(":")[2] or 0), torch.cuda.device_count()
    if number >= count:
        raise ModelError(f'device "{device}": torch sees GPUs 0-{count - 1} here')
    return torch.device(device)


def dtype_of(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """The dtype of a name; None: bfloat16 on a GPU, else float32.

    Raises:
        ModelError: no dtype is called so.
    """
    import torch

    if isinstance(dtype, torch.dtype):
        return dtype
    if dtype is None:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    if dtype not in DTYPES:
        raise ModelError(f'unknown dtype "{dtype}"; use {", ".join(DTYPES)}')
    return getattr(torch, DTYPES[dtype])


def cast_vae(pipeline: Any, dtype: torch.dtype) -> None:
    """Give the VAE of a pipeline that is just loaded another dtype."""
    import torch

    # Not by the VAE's own `to`, which warns of modules that need float32 even where there are none.
    torch.nn.Module.to(pipeline.vae, dtype)


def check_offload(offload: str | None, device: torch.device, name: str) -> None:
    """Refuse an offloading that cannot be.

    Raises:
        ModelError: it is not known, or there is nothing to offload from.
    """
    if offload is None:
        return
    if offload not in OFFLOADS:
        raise ModelError(f'unknown offload "{offload}"; use {", ".join(OFFLOADS[:-1])} or {OFFLOADS[-1]}')
    if device.type == "cpu":
        # What runs on the CPU has its weights in host memory anyway.
        raise ModelError(f'{name}: offload "{offload}" needs a GPU to run on; leave it out on cpu')


def place(
    pipeline: Any, experts: tuple[str, ...], device: torch.device, offload: str | None, name: str
) -> None:
    """Bring a pipeline to where it runs.

    Raises:
        ModelError: it does not fit, or its components cannot be offloaded so.
    """
    import torch

    try:
        if offload is None:
            pipeline.to(device)
        elif offload == "model":
            pipeline.enable_model_cpu_offload(device=device)
        elif offload == "sequential":
            pipeline.enable_sequential_cpu_offload(device=device)
        else:
            _offload_groups(pipeline, experts, device)
        keep_wrapped(pipeline, experts)
    except torch.OutOfMemoryError as error:
        raise ModelError(f"{name}: does not fit into the memory of {device}; {_smaller(offload)}") from error
    except (ValueError, NotImplementedError) as error:
        how = "moved" if offload is None else f'offloaded with offload "{offload}"'
        raise ModelError(f"{name}: cannot be {how}: {first_line(error)}") from error


def offload_of(pipeline: Any, experts: tuple[str, ...]) -> str | None:
    """How a pipeline is offloaded; None: not at all."""
    if getattr(pipeline, "_all_hooks", None):
        return "model"
    denoiser = getattr(pipeline, experts[0])
    if _GROUPS in getattr(getattr(denoiser, "_diffusers_hook", None), "hooks", {}):
        return "group"
    return "sequential" if any(hasattr(module, "_hf_hook") for module in denoiser.modules()) else None


def keep_wrapped(pipeline: Any, experts: tuple[str, ...]) -> None:
    """See that nothing that offloads a pipeline takes off what nnsight wraps its modules in.

    A pipeline that is offloaded by components unwraps them after each call and wraps them anew; instead they
    only go back to host memory. A denoiser that is offloaded by groups, with streams, watches its first call
    to find out in which order its blocks run, to bring each while the one before it computes, and unwraps
    them after that; instead blocks are brought as they are needed.
    """
    if getattr(pipeline, "_all_hooks", None):
        vars(pipeline)["maybe_free_model_hooks"] = partial(_free_models, pipeline)
    for expert in experts:
        registry = getattr(getattr(pipeline, expert), "_diffusers_hook", None)
        if registry is not None:
            for watching in _WATCHING:
                registry.remove_hook(watching, recurse=True)


def _free_models(pipeline: Any) -> None:
    for component in pipeline.components.values():
        if hasattr(component, "_reset_stateful_cache"):
            component._reset_stateful_cache()
    for hook in pipeline._all_hooks:
        hook.offload()


def _offload_groups(pipeline: Any, experts: tuple[str, ...], device: torch.device) -> None:
    """A block of an expert at a time, and a leaf of the others; with streams from pinned memory."""
    import torch
    from diffusers.hooks import apply_group_offloading

    for name, component in pipeline.components.items():
        if not isinstance(component, torch.nn.Module):
            continue
        if not getattr(component, "_supports_group_offloading", True):
            component.to(device)
            continue
        # A VAE and a text encoder are called by other methods than forward, of which only leaves know.
        of_blocks = name in experts
        apply_group_offloading(
            component,
            onload_device=device,
            offload_type="block_level" if of_blocks else "leaf_level",
            num_blocks_per_group=1 if of_blocks else None,
            use_stream=device.type == "cuda",
        )


def _smaller(offload: str | None) -> str:
    ways = {None: 'use offload "model"', "model": 'use offload "group"'}
    return ways.get(offload, "use a smaller dtype or quantise it")
