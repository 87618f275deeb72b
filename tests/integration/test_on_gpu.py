"""Tracing on a GPU: the ring and its side stream bring what plain hooks see, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from safetensors.torch import save_file

from cosinterp.models.loading import load
from cosinterp.models.model import Model, to_uint8
from cosinterp.tracing import trace
from cosinterp.verification import verify
from stores import Store
from tests.integration.hooks import HookedRun, as_stored
from tests.tiny import KINDS, sample_for
from tests.tiny.wan import GRID

pytestmark = pytest.mark.gpu

NUM_STEPS = 3
OFFLOADS = ("model", "group", "sequential")
# Small enough that the model has to wait for the disk now and then.
HOST_MEMORY = 64 * 1024


def traced(model: Model, kind: str, path: Path, **choices: Any) -> Store:
    settings: dict[str, Any] = {"seeds": "7", "sites": "all", "num_steps": NUM_STEPS, **choices}
    return trace(model, sample_for(kind), store=path, host_memory=HOST_MEMORY, **settings)


def assert_is_what_hooks_see(
    model: Model, kind: str, store: Store, seeds: tuple[int, ...], dtype: str
) -> None:
    sample = sample_for(kind)
    hooked = HookedRun(model, guided=True)
    with hooked.attached():
        settings = model.sampling(sample, {"num_steps": NUM_STEPS})
        plain = model.pipeline(**model.arguments(sample, seeds, settings)).frames
    compared = 0
    for row, seed in enumerate(seeds):
        with store.run(sample.name, seed) as run:
            assert run.video is not None
            assert np.array_equal(run.video, to_uint8(plain)[row])
            for (site, layer, step, branch, _), value in hooked.values.items():
                if site == "resid" or site.endswith(".raw"):
                    stored = run.read(site, step, layer, branch, raw=True)
                    assert np.array_equal(stored, as_stored(value[row].reshape(*GRID, -1), dtype))
                    compared += 1
    assert compared == len(seeds) * NUM_STEPS * 2 * 13
    assert store.verify() == []


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", KINDS)
def test_store_holds_the_bits_that_hooks_see(
    kind: str, dtype: str, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    model = load(tiny_folder(kind), device="cuda", dtype=dtype)
    store = traced(model, kind, tmp_path / "store")
    assert_is_what_hooks_see(model, kind, store, (7,), dtype)


@pytest.mark.parametrize("writers", [1, 6])
def test_rows_of_a_batch_hold_the_bits_that_hooks_see(
    writers: int, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    kind = "wan2.2-i2v-a14b"
    model = load(tiny_folder(kind), device="cuda", dtype="bf16")
    store = traced(model, kind, tmp_path / "store", seeds=[3, 5, 9], batch=3, writers=writers)
    assert_is_what_hooks_see(model, kind, store, (3, 5, 9), "bf16")


@pytest.mark.parametrize("offload", OFFLOADS)
def test_offloaded_models_are_traced_as_others(
    offload: str, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    kind = "wan2.2-t2v-a14b"
    model = load(tiny_folder(kind), device="cuda", dtype="bf16", offload=offload)
    # Two runs: what offloading does after one must not change what is seen of the next.
    store = traced(model, kind, tmp_path / "store", seeds=[3, 7])
    for seed in (3, 7):
        assert_is_what_hooks_see(model, kind, store, (seed,), "bf16")
        with store.run("sample-0", seed) as run:
            assert set(run.schedule.expert) == {0, 1}


@pytest.mark.parametrize("offload", OFFLOADS)
def test_offloaded_models_with_a_lora_are_understood(
    offload: str, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    ends = {"lora_A": torch.ones(2, 24), "lora_B": torch.ones(24, 2)}
    tensors = {f"blocks.1.self_attn.q.{end}.default.weight": tensor for end, tensor in ends.items()}
    save_file(tensors, tmp_path / "lora.safetensors")
    folder = tiny_folder("wan2.2-i2v-a14b")
    model = load(folder, device="cuda", dtype="bf16", offload=offload, lora=tmp_path / "lora.safetensors")
    assert [check for check in verify(model) if not check.passed] == []


@pytest.mark.parametrize("offload", OFFLOADS)
def test_a_pipeline_that_is_offloaded_already_is_traced_too(
    offload: str, tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    kind = "wan2.2-t2v-a14b"
    pipeline = DiffusionPipeline.from_pretrained(
        tiny_folder(kind), dtype={"default": torch.bfloat16, "vae": torch.float32}
    )
    if offload == "model":
        pipeline.enable_model_cpu_offload()
    elif offload == "sequential":
        pipeline.enable_sequential_cpu_offload()
    else:
        pipeline.enable_group_offload(torch.device("cuda"), offload_type="leaf_level", use_stream=True)
    model = load(pipeline)
    assert (model.offload, model.device.type) == (offload, "cuda")
    store = traced(model, kind, tmp_path / "store", seeds=[3, 7])
    for seed in (3, 7):
        assert_is_what_hooks_see(model, kind, store, (seed,), "bf16")


def test_offloading_changes_nothing(tiny_folder: Callable[[str], Path]) -> None:
    kind = "wan2.2-t2v-a14b"
    videos = [
        load(tiny_folder(kind), device="cuda", dtype="bf16", offload=offload).generate(
            sample_for(kind), 0, num_steps=NUM_STEPS
        )
        for offload in (None, *OFFLOADS)
    ]
    assert all(np.array_equal(video, videos[0]) for video in videos)


def test_offloading_by_groups_leaves_little_on_the_gpu(tiny_folder: Callable[[str], Path]) -> None:
    resident = []
    for offload in (None, "group"):
        before = torch.cuda.memory_allocated()
        model = load(tiny_folder("wan2.1-t2v"), device="cuda", dtype="bf16", offload=offload)
        torch.cuda.synchronize()
        resident.append(torch.cuda.memory_allocated() - before)
        del model
    assert resident[1] < resident[0] / 10


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_is_understood_on_a_gpu(kind: str, tiny_folder: Callable[[str], Path]) -> None:
    checks = verify(load(tiny_folder(kind), device="cuda", dtype="bf16"))
    assert [check for check in checks if not check.passed] == []


def test_nothing_stays_pinned_or_on_the_gpu(tiny_folder: Callable[[str], Path], tmp_path: Path) -> None:
    kind = "wan2.1-t2v"
    model = load(tiny_folder(kind), device="cuda", dtype="bf16")
    traced(model, kind, tmp_path / "warm")
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for number in range(3):
        traced(model, kind, tmp_path / f"store-{number}")
    torch.cuda.synchronize()
    assert torch.cuda.memory_allocated() <= before
