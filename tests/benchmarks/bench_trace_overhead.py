"""What tracing costs: the traced pipeline, its store on disk included, against the plain one, as a ratio.

    python -m tests.benchmarks.bench_trace_overhead                      # maze-wan, all layers, resid, bf16
    python -m tests.benchmarks.bench_trace_overhead --model PATH --sites all

Plain and traced runs alternate, so that a machine that is busy for a while slows both. The time is the wall
clock's; the processor time of all threads is shown beside it, since only that can be trusted while other
programs use the machine. Ends with exit code 1 if the median ratio of the wall clock exceeds the limit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

import cosinterp as ci
from cosinterp.models.model import Model
from cosinterp.models.probe import probe_sample
from stores.units import size_text


def make_sample(model: Model, args: argparse.Namespace) -> ci.Sample:
    """A made-up sample at the size that the model is made for, or the one asked for."""
    probe = probe_sample(model)
    size = {
        name: getattr(args, name) or model.sampling_defaults[name]
        for name in ("height", "width", "num_frames")
    }
    image = probe.image and probe.image.resize((size["width"], size["height"]), Image.Resampling.BICUBIC)
    return ci.Sample("bench", probe.prompt, image, **size)


def seconds(action: Callable[[], object]) -> tuple[float, float]:
    """(wall clock, processor time) of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - processor


def summary(name: str, ratios: list[float]) -> str:
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}, n={len(ratios)}"
    return f"{name}: median ratio {statistics.median(ratios):.3f} ({spread})"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="maze-wan", help="maze-wan, a diffusers folder, or a hub id")
    parser.add_argument("--sites", default="resid")
    parser.add_argument("--layers", default="all")
    parser.add_argument("--store-dtype", default="bf16")
    parser.add_argument("--num-steps", type=int, default=20)
    parser.add_argument("--guidance-scale", type=float, default=3.0, help="above 1: two branches a step")
    parser.add_argument("--height", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--num-frames", type=int)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=float, default=1.15, help="largest median ratio that passes")
    parser.add_argument("--folder", type=Path, help="where the stores are made (default: a temporary folder)")
    args = parser.parse_args()

    model = ci.load(args.model)
    sample = make_sample(model, args)
    sampling = {"num_steps": args.num_steps, "guidance_scale": args.guidance_scale}
    wall: list[float] = []
    processor: list[float] = []
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:

        def plain() -> object:
            return model.generate(sample, 0, **sampling)

        def traced(name: str) -> ci.Store:
            return ci.trace(
                model,
                sample,
                store=Path(folder) / name,
                seeds=0,
                sites=args.sites,
                layers=args.layers,
                dtype=args.store_dtype,
                **sampling,
            )

        seconds(plain)
        written = traced("warm").runs()[0].size
        print(f"{model.name}: {size_text(written)} a run, {torch.get_num_threads()} threads")
        for repeat in range(args.repeats):
            one = seconds(plain)
            other = seconds(lambda repeat=repeat: traced(f"store-{repeat}"))
            wall.append(other[0] / one[0])
            processor.append(other[1] / one[1])
            print(
                f"plain {one[0]:.2f} s, traced {other[0]:.2f} s, ratio {wall[-1]:.3f}; "
                f"processor {one[1]:.2f} s, {other[1]:.2f} s, ratio {processor[-1]:.3f}",
                flush=True,
            )
    print(f"{summary('wall clock', wall)}; limit {args.limit}")
    print(summary("processor", processor))
    return 0 if statistics.median(wall) <= args.limit else 1


if __name__ == "__main__":
    sys.exit(main())
