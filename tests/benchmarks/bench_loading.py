"""What it takes to describe a model by its configs, and what offloading costs.

    python -m tests.benchmarks.bench_loading               # the skeleton of Wan2.2 A14B
    python -m tests.benchmarks.bench_loading --blocks 16   # on a GPU also: 16 of its blocks, offloaded

Weights are zero, for time and memory do not depend on them. Prints one line of JSON for each measurement.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from diffusers.models.transformers.transformer_wan import WanRotaryPosEmbed, WanTransformer3DModel
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline

from cosinterp.models.loading import OFFLOADS, prepare
from cosinterp.models.loading.placing import place
from tests.integration.large import a14b

GRID = (21, 60, 104)
"""Latents of 81 frames of 480x832 pixels."""
REPEATS = 5


def skeleton() -> dict[str, Any]:
    """Seconds and memory (MB) that describing 28 billion parameters takes; imports are left out."""
    with tempfile.TemporaryDirectory() as folder:
        a14b(Path(folder))
        before = _peak_mb()
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            prepare(folder, device="cpu", dtype="bf16")
            times.append(time.perf_counter() - start)
        return {"first_s": times[0], "again_s": statistics.median(times[1:]), "mb": _peak_mb() - before}


def offloaded(offload: str | None, blocks: int) -> dict[str, Any]:
    """Seconds of a forward pass, and memory (GB) of the GPU, of a denoiser with so many blocks."""
    pipeline = WanImageToVideoPipeline(
        tokenizer=None, text_encoder=None, vae=None, scheduler=None, transformer=_denoiser(blocks)
    )
    device = torch.device("cuda")
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    place(pipeline, ("transformer",), device, offload, "it")
    times = []
    for _ in range(1 + REPEATS):
        torch.cuda.synchronize()
        start = time.perf_counter()
        _forward(pipeline.transformer, device)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    weights = 2 * sum(parameter.numel() for parameter in pipeline.transformer.parameters())
    return {
        "weights_gb": weights / 1e9,
        "forward_s": statistics.median(times[1:]),
        "gpu_gb": torch.cuda.max_memory_allocated() / 1e9,
    }


def _denoiser(blocks: int) -> WanTransformer3DModel:
    with torch.device("meta"):
        model = WanTransformer3DModel(in_channels=36, ffn_dim=13824, num_layers=blocks)
    model = model.to(torch.bfloat16).to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.zero_()
    # Its tables are computed, and were not on the meta device.
    model.rope = WanRotaryPosEmbed(128, (1, 2, 2), 1024)
    return model


@torch.no_grad()
def _forward(model: Any, device: torch.device) -> None:
    model(
        hidden_states=torch.zeros(1, 36, *GRID, device=device, dtype=torch.bfloat16),
        timestep=torch.tensor([500], device=device),
        encoder_hidden_states=torch.zeros(1, 512, 4096, device=device, dtype=torch.bfloat16),
        return_dict=False,
    )


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure, and print what is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=0, help="of the denoiser that is offloaded; 0: none")
    blocks = parser.parse_args().blocks
    print(json.dumps({"skeleton": skeleton()}))
    for offload in (None, *OFFLOADS) if blocks else ():
        print(json.dumps({"offload": offload, **offloaded(offload, blocks)}), flush=True)
        gc.collect()


if __name__ == "__main__":
    main()
