"""What of a GPU's memory a model takes at least, told without its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch

import cosinterp as ci
from cosinterp.models.loading import prepare
from cosinterp.models.model import Model
from cosinterp.planning.gpu_memory import gpu_memory, weights
from cosinterp.samples import Sample

GRID = (3, 4, 4)


def bytes_of(model: Model) -> int:
    components = [one for one in model.pipeline.components.values() if isinstance(one, torch.nn.Module)]
    tensors = [tensor for one in components for tensor in (*one.parameters(), *one.buffers())]
    # Tied ones are one.
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors if tensor.nbytes}.values())


@pytest.fixture
def on_gpu(tiny_folder: Callable[[str], Path]) -> Callable[..., Model]:
    """The description of a tiny Wan as if it were to run on a GPU."""

    def described(**more: Any) -> Model:
        model = prepare(tiny_folder("wan2.1-t2v"), device="cpu", dtype="fp32").model
        return replace(model, device=torch.device("cuda", 0), **more)

    return described


def test_weights_are_counted_as_they_are_loaded(
    on_gpu: Callable[..., Model], tiny_model: Callable[..., Model]
) -> None:
    told, unknown = weights(on_gpu())
    assert unknown == []
    assert sum(told.values()) == pytest.approx(bytes_of(tiny_model("wan2.1-t2v")), rel=0.01)


def test_activations_grow_with_the_grid_and_with_what_goes_through_together(
    on_gpu: Callable[..., Model],
) -> None:
    model = on_gpu()
    held = sum(weights(model)[0].values())
    ffn = model.pipeline.transformer.config.ffn_dim
    one = gpu_memory(model, [GRID], branches=2)
    # Wan computes one branch after the other.
    assert one.value == held + prod(GRID) * (model.anatomy.channels + ffn) * 4
    more = gpu_memory(model, [GRID, (6, 4, 4)], rows=3)
    assert more.value is not None
    assert one.value is not None
    assert more.value - held == 6 * (one.value - held)


def test_what_is_kept_elsewhere_or_smaller_is_counted_so(on_gpu: Callable[..., Model]) -> None:
    whole, largest = gpu_memory(on_gpu(), [GRID]), gpu_memory(on_gpu(offload="model"), [GRID])
    assert whole.value is not None
    assert largest.value is not None
    assert largest.value < whole.value
    assert gpu_memory(on_gpu(offload="group"), [GRID]).value is None
    quantized, told = weights(on_gpu(quantization="bnb-8bit"))[0], weights(on_gpu())[0]
    assert quantized["transformer"] < told["transformer"] / 2
    assert quantized["text_encoder"] == told["text_encoder"]


def test_a_cpu_takes_none_of_it(tiny_folder: Callable[[str], Path]) -> None:
    assert gpu_memory(prepare(tiny_folder("wan2.1-t2v"), device="cpu").model, [GRID]).value == 0


@pytest.mark.gpu
def test_a_run_takes_no_less(tmp_path: Path, tiny_folder: Callable[[str], Path]) -> None:
    prepared = prepare(tiny_folder("wan2.1-t2v"), device="cuda", dtype="fp32")
    settings = {"height": 32, "width": 32, "num_frames": 5, "num_steps": 2}
    told = gpu_memory(prepared.model, [GRID])
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    ci.trace(prepared.load(), Sample("go", "go"), store=tmp_path / "store", seeds="0", **settings)
    assert told.value is not None
    assert torch.cuda.max_memory_allocated() - before >= told.value
