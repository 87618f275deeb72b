"""What of a GPU's memory a model takes at least, known before it is loaded.

Weights are counted tensor by tensor. Of activations only what has to be there at the same time in any case is
counted: what goes into the widest layer of a block, and what comes out of it. What a run really takes lies
above that, by attention, by the VAE that decodes, and by what the allocator keeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from cosinterp.models.loading.weights import safetensors_header
from cosinterp.planning.takes import Estimate
from stores.units import size_text

if TYPE_CHECKING:
    import torch

    from cosinterp.models.model import Model
    from cosinterp.planning.plan import TracePlan

_ENCODERS = ("text_encoder", "image_encoder")
# Bytes of a weight of a linear layer, by how it is quantised.
_QUANTIZED = {"bnb-8bit": 1.0, "torchao-int8": 1.0, "torchao-fp8": 1.0, "bnb-4bit": 0.5}


def gpu_memory(
    model: Model, grids: Iterable[tuple[int, int, int]], *, rows: int = 1, branches: int = 1
) -> Estimate[int]:
    """Bytes of GPU memory that a model takes at least.

    Args:
        model: may be a skeleton.
        grids: token grids (frame, row, col) of what goes through it.
        rows: seeds that go through it together.
        branches: of guidance that are computed.
    """
    if model.device.type == "cpu":
        return Estimate(0, "none, on cpu")
    if model.offload in ("group", "sequential"):
        return Estimate(None, f"with --offload {model.offload} parts of the model come and go")
    sizes, left_out = weights(model)
    held = sum(sizes.values()) if model.offload is None else max(sizes.values())
    together = rows * branches if model.anatomy.guidance.kind == "doubled" else rows
    passing = together * max(map(prod, grids)) * widest_layer(model) * model.dtype.itemsize
    of = "of weights" if model.offload is None else "of the largest component's weights"
    source = f"{size_text(held)} {of} and {size_text(passing)} of activations of a block, at least"
    if left_out:
        source += f"; not counted: {', '.join(left_out)}, whose files are not here"
    return Estimate(held + passing, source)


def memory_of_plan(model: Model, plan: TracePlan, rows: int | None = None) -> Estimate[int]:
    """As `gpu_memory`, of the runs of a plan; ``rows``: that go through together, default: its batch."""
    return gpu_memory(
        model,
        (planned.grid for planned in plan.samples),
        rows=plan.batch if rows is None else rows,
        branches=len(plan.run_branches),
    )


def weights(model: Model) -> tuple[dict[str, int], list[str]]:
    """Bytes of each component's weights as they are loaded, and the components of which that is not known."""
    from torch.nn import Module

    folder = Path(model.source)
    sizes: dict[str, int] = {}
    unknown: list[str] = []
    for name, component in model.pipeline.components.items():
        if isinstance(component, Module):
            quantized = model.quantization if name in model.anatomy.experts else None
            sizes[name] = round(sum(_bytes_of(component, quantized)))
        elif folder.is_dir():
            sizes[name] = _numbers_in(folder / name) * model.dtype.itemsize
        elif component is None and name.startswith(_ENCODERS):
            unknown.append(name)
    return {name: size for name, size in sizes.items() if size}, unknown


def widest_layer(model: Model) -> int:
    """Numbers of a token that the widest layer of a block reads and makes."""
    from torch.nn import Linear

    anatomy = model.anatomy
    denoiser = getattr(model.pipeline, anatomy.experts[0])
    blocks = (
        (denoiser.get_submodule(stack.blocks)[stack.first], stack.sublayers) for stack in anatomy.stacks
    )
    widths = (
        module.in_features + module.out_features
        for block, sublayers in blocks
        for sublayer in sublayers
        for module in block.get_submodule(sublayer.module).modules()
        # Others read texts or timesteps, of which there are few.
        if isinstance(module, Linear) and anatomy.channels in (module.in_features, module.out_features)
    )
    return max(widths, default=2 * anatomy.channels)


def _bytes_of(component: torch.nn.Module, quantized: str | None) -> Iterator[float]:
    from torch.nn import Linear

    layers = {id(module.weight) for module in component.modules() if isinstance(module, Linear)}
    for tensor in (*component.parameters(), *component.buffers()):
        size = float(tensor.dtype.itemsize)
        if quantized is not None and id(tensor) in layers:
            size = _QUANTIZED[quantized]
        yield tensor.numel() * size


def _numbers_in(folder: Path) -> int:
    """How many numbers the weights of a component are, by the headers of its files; 0: it has none."""
    headers = [safetensors_header(file) for file in folder.glob("*.safetensors")]
    return sum(prod(entry["shape"]) for header in headers for entry in header.values())
