"""What an ensemble of three seeds takes of a GPU: memory, and time against chunks and against a single seed.

    python -m tests.benchmarks.bench_ensemble --large --folder /fast/disk     # the shape of Wan2.2-I2V-A14B
    python -m tests.benchmarks.bench_ensemble --folder /tmp                   # anywhere, to try it

The large model has both experts, the text encoder and the VAE, with random weights; 480x832, 81 frames,
guidance on, two steps: one for each expert. Merged are the latents after step 0, and hidden states of layers
20-29 of 40 in step 0, as in Wang et al. 2026 (arXiv 2603.16870); then one seed goes on. Nothing is decoded,
unless ``--video``. Each part prints what it found as soon as it is over; ``--seconds`` bounds when the last
may begin.

    single      the plain pipeline, one seed
    batch       the ensemble, its seeds in one call
    refused     latents alone, with memory for two seeds but not for three: what is said to a chunk of three
    auto        likewise with chunk "auto", which goes on with less
    latents     latents alone, a chunk of one seed at a time
    chunks      the ensemble, a chunk of one seed at a time
    alone       latents alone with memory for one seed, chunk "auto"
    video       decoding one video

Calls of the denoiser are timed by the clock of the device; those that replay answers from memory take no
time. The rest is encoding the first image and the prompts, merging and writing. Peak memory is of the part,
weights included: of the denoiser, and of all else.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from PIL import Image
from transformers import UMT5Config, UMT5EncoderModel

import cosinterp as ci
from cosinterp.ensembles.spec import Merge
from cosinterp.errors import UserError
from cosinterp.models.families import anatomy_of
from cosinterp.models.model import Model
from tests.benchmarks.bench_capture import SHAPES, Shape
from tests.tiny.components import tiny_tokenizer

SEEDS = (0, 1, 2)
SETTINGS: dict[str, Any] = {"num_steps": 2, "guidance_scale": 3.5}
GIB = 2**30


@dataclass
class Denoised:
    """Calls of the denoiser: rows -> how many, and seconds; and the most memory, in bytes."""

    calls: Counter[int] = field(default_factory=Counter)
    seconds: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    peak: int = 0
    peak_outside: int = 0
    reserved: int = 0

    def __str__(self) -> str:
        told = [
            f"{count} calls of {rows} rows, {self.seconds[rows]:.2f} s in all"
            for rows, count in sorted(self.calls.items(), reverse=True)
        ]
        memory = (
            f"; peak {self.peak / GIB:.1f} GiB, outside it {self.peak_outside / GIB:.1f} GiB, reserved "
            f"{self.reserved / GIB:.1f} GiB"
        )
        return ("; ".join(told) or "no call that ended") + (memory if self.reserved else "")


@dataclass
class Part:
    """What one part took."""

    seconds: float
    denoised: Denoised


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="the shape of Wan2.2-I2V-A14B")
    parser.add_argument("--folder", type=Path, required=True, help="where stores are made, and removed")
    parser.add_argument("--seconds", type=float, default=400, help="no part begins after that")
    parser.add_argument("--video", action="store_true", help="decode one video, too")
    args = parser.parse_args()
    begun = time.perf_counter()
    shape = SHAPES["a14b" if args.large else "small"]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build(shape, device, args.large)
    _synchronize(device)
    weights = sum(p.nbytes for c in model.pipeline.components.values() if isinstance(c, torch.nn.Module)
                  for p in c.parameters())  # fmt: skip
    print(
        f"built in {time.perf_counter() - begun:.0f} s: {model.num_layers} blocks, 2 experts, weights "
        f"{weights / GIB:.1f} GiB; {shape.height}x{shape.width}, {shape.num_frames} frames",
        flush=True,
    )
    with TemporaryDirectory(dir=args.folder) as folder:
        bench = Bench(model, shape, Path(folder), begun + args.seconds)
        bench.all(args.video)
    return 0


class Bench:
    """A model, and the parts that are measured of it."""

    def __init__(self, model: Model, shape: Shape, folder: Path, until: float) -> None:
        self.model, self._folder, self._until = model, folder, until
        pixels = np.random.default_rng(0).integers(0, 256, (shape.height, shape.width, 3), dtype=np.uint8)
        self.sample = ci.Sample(
            "random",
            "a cat walks through a maze",
            image=Image.fromarray(pixels),
            height=shape.height,
            width=shape.width,
            num_frames=shape.num_frames,
        )
        # The middle quarter, as in the paper.
        layers = model.num_layers
        self.hidden = tuple(range(layers // 2, 3 * layers // 4))

    def all(self, video: bool) -> None:
        """Measure every part for which there is time."""
        self.single(num_steps=1)
        single = self.part("single", self.single)
        latent = Merge(what="latent", steps=(0,))
        both = (latent, Merge(what="hidden", steps=(0,), site="resid", layers=self.hidden))
        batch = self.part("batch", lambda: self.ensemble("batch", both, len(SEEDS)))
        if single and batch:
            step = batch.denoised.seconds[len(SEEDS)] / single.denoised.seconds[1] * SETTINGS["num_steps"]
            print(
                f"  step 0 of {len(SEEDS)} seeds at once took {step:.2f} times a step of one seed", flush=True
            )
        if single and batch and self.model.device.type == "cuda":
            between = batch.denoised.peak - single.denoised.peak
            with limited(single.denoised.peak + 3 * between // 4):
                self.part("refused", lambda: self.ensemble("refused", (latent,), len(SEEDS)))
                self.part("auto", lambda: self.ensemble("auto", (latent,), "auto"))
        self.part("latents", lambda: self.ensemble("latents", (latent,), 1))
        self.part("chunks", lambda: self.ensemble("chunks", both, 1))
        if single and batch and self.model.device.type == "cuda":
            with limited(single.denoised.peak + (batch.denoised.peak - single.denoised.peak) // 4):
                self.part("alone", lambda: self.ensemble("alone", (latent,), "auto"))
        if video:
            self.part("video", self.decode)

    def part(self, name: str, run: Callable[[], None]) -> Part | None:
        """Measure one part; what the user would be told as an error is told, too. None: there was none."""
        if time.perf_counter() > self._until:
            print(f"{name}: left out, there is no time", flush=True)
            return None
        device = self.model.device
        if device.type == "cuda":
            torch.cuda.empty_cache()
        ended = True
        _synchronize(device)
        start = time.perf_counter()
        with timed(self.model) as denoised:
            try:
                run()
            except UserError as error:
                ended = False
                print(f"{name}: error: {error}", flush=True)
        _synchronize(device)
        seconds = time.perf_counter() - start
        print(f"{name}: {seconds:.1f} s; denoiser: {denoised}", flush=True)
        return Part(seconds, denoised) if ended else None

    def single(self, **settings: Any) -> None:
        """The plain pipeline."""
        settings = self.model.sampling(self.sample, SETTINGS | settings)
        arguments = self.model.arguments(self.sample, (0,), settings, output_type="latent")
        self.model.pipeline(**arguments)

    def ensemble(self, name: str, merges: tuple[Merge, ...], chunk: Any) -> None:
        """The three seeds."""
        store = ci.ensemble(
            self.model,
            self.sample,
            store=self._folder / name,
            seeds=list(SEEDS),
            merge=merges,
            chunk=chunk,
            base=False,
            save_video=False,
            note=lambda text: print(f"  {name}: {text}", flush=True),
            **SETTINGS,
        )
        with store.run("random", 0, "ensemble") as run:
            told = run.attrs["intervention"]
        print(f"  {name}: {told['words']}; {told['evaluations']:.2f} evaluations of the denoiser", flush=True)

    def decode(self) -> None:
        """One video of random latents."""
        settings = self.model.sampling(self.sample, SETTINGS)
        shape = self.model.anatomy.geometry.latent_shape(self.model.size(settings))
        self.model.decode(np.random.default_rng(0).standard_normal(shape, dtype=np.float32))


@contextmanager
def timed(model: Model) -> Iterator[Denoised]:
    """Count and time the calls of the denoiser within; those that are ended by an error are left out."""
    found, device = Denoised(), model.device
    ended: list[tuple[int, Any, Any]] = []
    begun: list[Any] = []

    def before(module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        found.peak_outside = max(found.peak_outside, _peak(device, found))
        begun[:] = [_now(device)]

    def after(module: torch.nn.Module, args: tuple[Any, ...], output: Any) -> None:
        found.peak = max(found.peak, _peak(device, found))
        rows = (output[0] if isinstance(output, tuple) else output.sample).shape[0]
        ended.append((rows, begun[0], _now(device)))

    _peak(device, found)
    with ExitStack() as stack:
        for name in model.anatomy.experts:
            denoiser = getattr(model.pipeline, name)
            stack.callback(denoiser.register_forward_pre_hook(before).remove)
            stack.callback(denoiser.register_forward_hook(after).remove)
        yield found
        _synchronize(device)
        found.peak_outside = max(found.peak_outside, _peak(device, found))
    for rows, start, end in ended:
        found.calls[rows] += 1
        found.seconds[rows] += start.elapsed_time(end) / 1000 if device.type == "cuda" else end - start


@contextmanager
def limited(bytes_: int) -> Iterator[None]:
    """Within the block this process has so much memory of the GPU."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    print(f"  from here on with {bytes_ / GIB:.1f} GiB", flush=True)
    torch.cuda.set_per_process_memory_fraction(min(1.0, bytes_ / total))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def build(shape: Shape, device: torch.device, large: bool) -> Model:
    """Wan2.2-I2V of that shape with random weights, in bfloat16."""
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with device:
        experts = [
            WanTransformer3DModel(
                patch_size=(1, 2, 2),
                num_attention_heads=shape.heads,
                attention_head_dim=128,
                in_channels=36,
                out_channels=16,
                text_dim=4096,
                freq_dim=256,
                ffn_dim=shape.feed_forward,
                num_layers=shape.blocks,
                cross_attn_norm=True,
                rope_max_seq_len=1024,
            ).eval()
            for _ in range(2)
        ]
        # UMT5-XXL, as Wan has it.
        sizes = (
            {"vocab_size": 256384, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
            if large
            else {"vocab_size": 32, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
        )
        encoder = UMT5EncoderModel(
            UMT5Config(d_model=4096, feed_forward_proj="gated-gelu", dropout_rate=0.0, **sizes)
        ).eval()
        vae = (
            AutoencoderKLWan()
            if large
            else AutoencoderKLWan(base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1)
        ).eval()
    torch.set_default_dtype(torch.float32)
    pipeline = WanImageToVideoPipeline(
        tokenizer=tiny_tokenizer(),  # pyright: ignore[reportArgumentType]
        text_encoder=encoder,
        vae=vae,
        scheduler=UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),  # pyright: ignore[reportArgumentType]
        transformer=experts[0],
        transformer_2=experts[1],
        boundary_ratio=0.9,
    )
    pipeline.to(device)
    pipeline.set_progress_bar_config(disable=True)
    name = "random-wan-i2v"
    return Model(name, name, None, pipeline, anatomy_of(pipeline, name), device, torch.bfloat16)


def _now(device: torch.device) -> Any:
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _peak(device: torch.device, found: Denoised) -> int:
    """The most memory allocated since this was asked last, in bytes; notes the most reserved, too."""
    if device.type != "cuda":
        return 0
    allocated = torch.cuda.max_memory_allocated()
    found.reserved = max(found.reserved, torch.cuda.max_memory_reserved())
    torch.cuda.reset_peak_memory_stats()
    return allocated


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    raise SystemExit(main())
