"""What capturing costs a large video model, by where the activations go, against the plain forward pass.

    python -m tests.benchmarks.bench_capture --folder /fast/disk                 # on a GPU
    python -m tests.benchmarks.bench_capture --shape small --folder /tmp         # anywhere, to try it

The model has the shape of one expert of Wan2.2 T2V A14B (40 blocks, 5120 channels) and random weights; a
video of 480x832, 81 frames, has 32,760 tokens: 335 MB a layer in bf16. Text encoder and VAE are tiny, and
nothing is decoded, so that the time is the denoiser's. The ways take turns, so that a machine that is busy
for a while slows all of them. ``forward`` is the time from the beginning of the first call of the denoiser to
the end of the last, gaps included, by the clock of the device; ``all`` goes on until everything is done: the
last run is on the disk and has its name, and the ring is given back.

    plain       the pipeline as it is
    hooks       ``output.detach().cpu().float()`` in forward hooks of all blocks, kept until the next call
    discard     the capture path with the ring, its writers throwing everything away
    disk        the capture path into a store
    project, frames     the same, with that reduction

``disk`` is compared with ``raw``: the same bytes written to one file by as many threads, then fsync, both
from the first byte to the last. ``host`` is by how much the process grew in memory at most.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.pipelines.wan.pipeline_wan import WanPipeline
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from transformers import UMT5Config, UMT5EncoderModel

import cosinterp as ci
from cosinterp.models.families import anatomy_of
from cosinterp.models.model import Model
from cosinterp.planning.plan import TracePlan, make_plan
from cosinterp.tracing import record_runs, run_plan
from stores.units import size_text
from tests.tiny.components import tiny_tokenizer

REDUCED = {"project": "project:64", "frames": "frames"}
WAYS = ("plain", "hooks", "discard", "disk", *REDUCED)


@dataclass(frozen=True)
class Shape:
    """A transformer, and the video that it makes."""

    heads: int
    feed_forward: int
    blocks: int
    height: int
    width: int
    num_frames: int


SHAPES = {
    "a14b": Shape(40, 13824, 40, 480, 832, 81),
    "small": Shape(4, 512, 8, 128, 128, 17),
}


@dataclass
class Timed:
    """Seconds of one way, a round each; by how many bytes the process grew at most; bytes written."""

    forward: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    grown: int = 0
    written: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="a14b")
    parser.add_argument("--folder", type=Path, required=True, help="where stores are made, and removed")
    parser.add_argument("--ways", default="plain,hooks,discard,project,frames")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--num-steps", type=int, default=4, help="each with two branches")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--host-memory", type=float, default=4.0, help="GiB")
    args = parser.parse_args()
    ways = args.ways.split(",")
    if unknown := set(ways) - set(WAYS):
        parser.error(f"unknown ways {', '.join(sorted(unknown))}; there are {', '.join(WAYS)}")

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build(SHAPES[args.shape], device)
    bench = Bench(model, SHAPES[args.shape], args)
    print(
        f"{bench.describe()}, {bench.writers} writers, ring of at most {args.host_memory:g} GiB", flush=True
    )
    bench.plain()
    if "disk" in ways:
        # The first time, the machine may have to find the memory that the files are cached in.
        bench.raw(16 * 10**9 if args.shape == "a14b" else 10**8)
    results: dict[str, Timed] = {}
    for number in range(args.rounds):
        for way in ways:
            measure(bench, way, results)
            timed = results[way]
            took = f"forward {timed.forward[-1]:7.3f} s, all {timed.seconds[-1]:7.3f} s"
            print(f"round {number + 1} {way:8} {took}", flush=True)
            if way == "disk":
                rate, raw = timed.written / timed.seconds[-1], bench.raw(timed.written)
                print(
                    f"round {number + 1} disk {rate / 1e9:.2f} GB/s, raw {raw / 1e9:.2f} GB/s, "
                    f"ratio {rate / raw:.3f}",
                    flush=True,
                )
    report(results)
    return 0


def measure(bench: Bench, way: str, results: dict[str, Timed]) -> None:
    """One round of one way."""
    timed = results.setdefault(way, Timed())
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    bench.calls.clear()
    start = time.perf_counter()
    written = getattr(bench, way)() if way not in REDUCED else bench.disk(REDUCED[way])
    forward, before_first = bench.calls.finish(start)
    timed.forward.append(forward)
    timed.seconds.append(time.perf_counter() - start - before_first)
    timed.grown = max(timed.grown, _resident("VmHWM") - before)
    timed.written = written
    bench.tidy()


def report(results: dict[str, Timed]) -> None:
    """Prints the medians, as ratios to the plain pipeline."""
    for way, timed in results.items():
        grown, written = size_text(timed.grown), size_text(timed.written)
        print(f"{way:8} host +{grown}, wrote {written}")
        for what in ("forward", "seconds"):
            own = getattr(timed, what)
            spread = f"{min(own):.3f} to {max(own):.3f}, n={len(own)}"
            ratio = ""
            if "plain" in results:
                plain = statistics.median(getattr(results["plain"], what))
                ratio = f", {statistics.median(own) / plain:.4f} of plain"
            name = "all" if what == "seconds" else what
            print(f"    {name:8} {statistics.median(own):8.3f} s ({spread}){ratio}")


class Calls:
    """When the denoiser's calls begin and end, by the clock of the device."""

    def __init__(self, denoiser: torch.nn.Module, device: torch.device) -> None:
        self._device = device
        self._marks: list[Any] = []
        self._first = 0.0
        denoiser.register_forward_pre_hook(self._mark)
        denoiser.register_forward_hook(self._mark)

    def clear(self) -> None:
        """Forget the calls of another way."""
        self._marks.clear()

    def finish(self, start: float) -> tuple[float, float]:
        """(seconds from the first call's beginning to the last one's end, from ``start`` to the first)."""
        if self._device.type != "cuda":
            return self._marks[-1] - self._marks[0], self._first - start
        torch.cuda.synchronize(self._device)
        return self._marks[0].elapsed_time(self._marks[-1]) / 1000, self._first - start

    def _mark(self, *_: Any) -> None:
        if not self._marks:
            _synchronize(self._device)
            self._first = time.perf_counter()
        if self._device.type != "cuda":
            self._marks.append(time.perf_counter())
            return
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._marks.append(event)


class Bench:
    """The ways to run the model; each returns the bytes that it wrote."""

    def __init__(self, model: Model, shape: Shape, args: argparse.Namespace) -> None:
        self.model = model
        self.writers: int = args.writers
        self.calls = Calls(model.pipeline.transformer, model.device)
        self._host_memory = int(args.host_memory * 2**30)
        self._folder: Path = args.folder
        self._store = args.folder / "bench-capture-store"
        self._num_steps: int = args.num_steps
        self._sample = ci.Sample(
            "bench",
            "go to the red goal",
            height=shape.height,
            width=shape.width,
            num_frames=shape.num_frames,
        )
        self._settings = model.sampling(self._sample, {"num_steps": self._num_steps, "guidance_scale": 3.0})

    def describe(self) -> str:
        """The size of what is captured."""
        plan = self._plan("full")
        planned = plan.samples[0]
        slab = int(np.prod(planned.grid)) * self.model.anatomy.channels * 2
        return (
            f"{self.model.device}: {self.model.num_layers} blocks, token grid {planned.grid}, "
            f"{size_text(slab)} a layer, {self._num_steps} steps of 2 branches"
        )

    def plain(self) -> int:
        """The pipeline as it is."""
        self.model.pipeline(**self._arguments())
        return 0

    def hooks(self) -> int:
        """The way of the published scripts."""
        kept: dict[int, torch.Tensor] = {}

        def keep(layer: int, _: Any, __: Any, output: torch.Tensor) -> None:
            kept[layer] = output.detach().cpu().float()

        blocks = self.model.pipeline.transformer.blocks
        handles = [block.register_forward_hook(partial(keep, layer)) for layer, block in enumerate(blocks)]
        try:
            return self.plain()
        finally:
            for handle in handles:
                handle.remove()

    def discard(self) -> int:
        """The capture path, without a store."""
        plan = self._plan("full")
        record_runs(self.model, plan, plan.runs(), discarding, host_memory=self._host_memory)
        return 0

    def disk(self, reduction: str = "full") -> int:
        """The capture path into a store."""
        store = run_plan(self.model, self._plan(reduction), self._store, host_memory=self._host_memory)
        return sum(entry.size for entry in store.runs())

    def raw(self, nbytes: int) -> float:
        """Bytes a second of writing ``nbytes`` to one file with as many threads, fsync included."""
        slab = np.random.default_rng(0).integers(0, 256, 64 * 2**20, dtype=np.uint8)
        path = self._folder / "bench-capture-raw"
        pieces = iter(range(0, nbytes, slab.nbytes))
        lock = threading.Lock()

        def write(fd: int) -> None:
            while True:
                with lock:
                    offset = next(pieces, None)
                if offset is None:
                    return
                os.pwrite(fd, slab[: min(slab.nbytes, nbytes - offset)], offset)

        start = time.perf_counter()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            threads = [threading.Thread(target=write, args=(fd,)) for _ in range(self.writers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            os.fsync(fd)
        finally:
            os.close(fd)
            seconds = time.perf_counter() - start
            path.unlink()
        return nbytes / seconds

    def tidy(self) -> None:
        """Remove what a way wrote."""
        shutil.rmtree(self._store, ignore_errors=True)

    def _plan(self, reduction: str) -> TracePlan:
        return make_plan(
            self.model,
            [self._sample],
            seeds=0,
            layers="all",
            sites="resid",
            save_steps="all",
            branches="all",
            dtype="bf16",
            batch=1,
            save_video=False,
            host_memory=self._host_memory,
            sampling={"num_steps": self._num_steps, "guidance_scale": 3.0},
            reduce=reduction,
            writers=self.writers,
        )

    def _arguments(self) -> dict[str, Any]:
        return self.model.arguments(self._sample, (0,), self._settings, output_type="latent")


class _Discarding:
    """Stands where a `RunWriter` would, and keeps nothing."""

    def __init__(self, sample: str, seed: int) -> None:
        self.sample, self.seed = sample, seed

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith(("set_", "add_", "write", "finish")):
            return lambda *_, **__: None
        raise AttributeError(name)


@contextmanager
def discarding(sample: str, seed: int) -> Iterator[Any]:
    """As `Store.writer`."""
    yield _Discarding(sample, seed)


def build(shape: Shape, device: torch.device) -> Model:
    """A Wan of that shape with random weights, in bfloat16."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with device:
        transformer = WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=shape.heads,
            attention_head_dim=128,
            in_channels=16,
            out_channels=16,
            text_dim=4096,
            freq_dim=256,
            ffn_dim=shape.feed_forward,
            num_layers=shape.blocks,
            cross_attn_norm=True,
            rope_max_seq_len=1024,
        ).eval()
        encoder = UMT5EncoderModel(
            UMT5Config(
                vocab_size=32, d_model=4096, d_kv=8, d_ff=32, num_layers=1, num_heads=2, dropout_rate=0.0
            )
        ).eval()
    torch.set_default_dtype(torch.float32)
    vae = AutoencoderKLWan(base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1).eval()
    pipeline = WanPipeline(
        tokenizer=tiny_tokenizer(),
        text_encoder=encoder,
        vae=vae,
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
        transformer=transformer,
    )
    pipeline.to(device)
    pipeline.set_progress_bar_config(disable=True)
    name = "random-wan"
    return Model(name, name, None, pipeline, anatomy_of(pipeline, name), device, torch.bfloat16)


def _resident(what: str) -> int:
    """VmRSS, the memory of this process, or VmHWM, the most that it was; in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {what}")


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    sys.exit(main())
