"""What a sweep of patches costs, counted in block evaluations and in time.

    python -m tests.benchmarks.bench_patching                         # maze-wan, against naive re-runs
    python -m tests.benchmarks.bench_patching --large --folder /disk  # the shape of Wan2.2 A14B, on a GPU

On maze-wan the step x layer grid of `resid` is made by `cosinterp.patch` and in the way that needs no tool:
for each cell the plain pipeline from noise, with a forward hook that puts the donor's activation in. Both
decode each video; the naive way is given the donor's activations for nothing, and its grid is thinned to
every ``--every``-th cell, and scaled up, unless that is 1.

The large model has random weights (see `bench_capture`). One step, all its layers, `--horizon 0`: counted is
how many forward passes of the denoiser (all blocks, one branch) that takes.

A block evaluation is one block on one branch of one video.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

import cosinterp as ci
from cosinterp.models.model import Model
from cosinterp.organism.dataset import write_mazes
from cosinterp.patching.measures import Outcome, latent_effects
from tests.benchmarks.bench_capture import SHAPES, build


@dataclass
class Counted:
    """Blocks that ran, and seconds."""

    blocks: float = 0
    seconds: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--large", action="store_true", help="the large model instead of maze-wan")
    parser.add_argument("--shape", choices=SHAPES, default="a14b")
    parser.add_argument("--folder", type=Path, help="where stores are made, and removed")
    parser.add_argument("--num-steps", type=int, default=6)
    parser.add_argument("--every", type=int, default=1, help="thin the naive way's grid")
    parser.add_argument("--batch", type=int, default=1, help="patches side by side")
    args = parser.parse_args()
    with TemporaryDirectory(dir=args.folder) as folder:
        if args.large:
            large(Path(folder), args.shape)
        else:
            small(Path(folder), args.num_steps, args.every, args.batch)
    return 0


def small(folder: Path, num_steps: int, every: int, batch: int) -> None:
    """maze-wan: one pair, both goals of a maze."""
    write_mazes(folder / "mazes", count=1, goals="both")
    model = ci.load("maze-wan")
    samples = {sample.name: sample for sample in ci.load_dataset(folder / "mazes")}
    store = ci.trace(model, samples.values(), store=folder / "store", seeds="0", num_steps=num_steps)
    donor, recipient = (next(name for name in samples if goal in name) for goal in ("red", "blue"))
    cells = list(product(range(num_steps), model.layers))
    thinned = cells[::every]
    with counted(model) as naive:
        for step, layer in thinned:
            naive_patch(model, samples[recipient], store, donor, step, layer, num_steps)
    naive.blocks *= len(cells) / len(thinned)
    naive.seconds *= len(cells) / len(thinned)
    done = f"{len(thinned)} of {len(cells)} cells"
    print(f"naive: {naive.blocks:.0f} blocks, {naive.seconds:.1f} s ({done})", flush=True)
    for horizon in (None, 0):
        with counted(model) as fast:
            ci.patch(
                model,
                store,
                donor=donor,
                recipient=recipient,
                directions="sufficiency",
                controls="none",
                horizon=horizon,
                batch=batch,
                name=f"horizon-{horizon}",
            )
        name = "to the end" if horizon is None else f"horizon {horizon}"
        print(
            f"patch, {name}: {fast.blocks:.0f} blocks ({naive.blocks / fast.blocks:.1f} times fewer), "
            f"{fast.seconds:.1f} s ({naive.seconds / fast.seconds:.1f} times less)",
            flush=True,
        )


def naive_patch(
    model: Model, sample: ci.Sample, store: ci.Store, donor: str, step: int, layer: int, num_steps: int
) -> dict[str, float]:
    """One cell by the plain pipeline from noise, and the same effects."""
    settings = model.sampling(sample, {"num_steps": num_steps})
    branches = model.anatomy.guidance.computed(settings)
    calls = 0

    def put(denoised: torch.nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        now, branch = calls // len(branches), branches[calls % len(branches)]
        calls += 1
        return activation(branch).to(output) if now == step else output

    def activation(branch: str) -> torch.Tensor:
        read = store.read("resid", step, layer, donor, 0, branch)
        return torch.from_numpy(read).flatten(0, 2)[None]

    def enter(block: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (put(block, inputs, inputs[0]), *inputs[1:])

    transformer = model.pipeline.transformer
    handle = (
        transformer.blocks[0].register_forward_pre_hook(enter)
        if layer == 0
        else transformer.blocks[layer - 1].register_forward_hook(put)
    )
    try:
        arguments = model.arguments(sample, (0,), settings, output_type="latent")
        final = model.pipeline(**arguments).frames[0].numpy()
    finally:
        handle.remove()
    model.decode(final)
    with store.run(sample.name, 0) as own, store.run(donor, 0) as given:
        patched, before, there = (
            Outcome(num_steps - 1, latent, latent)
            for latent in (final, own.noisy(num_steps), given.noisy(num_steps))
        )
        return latent_effects(patched, before, there)


def large(folder: Path, shape_name: str) -> None:
    """One step, all layers, of a large model with random weights."""
    shape = SHAPES[shape_name]
    model = build(shape, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    prompts = {"donor": "go to the red goal", "recipient": "go to the blue goal"}
    samples = [
        ci.Sample(name, prompt, height=shape.height, width=shape.width, num_frames=shape.num_frames)
        for name, prompt in prompts.items()
    ]
    layers = range(1, model.num_layers + 1)
    common = {"seeds": "0", "save_steps": "0", "branches": "cond", "num_steps": 2, "save_video": False}
    common["guidance_scale"] = 3.0
    start = time.perf_counter()
    donors = ci.trace(model, samples[0], store=folder / "donor", layers=list(layers), **common)
    traced = time.perf_counter() - start
    recipients = ci.trace(
        model, samples[1], store=folder / "recipient", layers=[model.num_layers], reduce="mean", **common
    )
    settings = model.sampling(samples[1], {"num_steps": 2, "guidance_scale": 3.0})
    arguments = model.arguments(samples[1], (0,), settings, output_type="latent")
    seconds = []
    for _ in range(2):
        _synchronize(model)
        start = time.perf_counter()
        model.pipeline(**arguments)
        _synchronize(model)
        seconds.append((time.perf_counter() - start) / (2 * 2))
    forward = min(seconds)
    with counted(model) as swept:
        result = ci.patch(
            model,
            recipients,
            donor_store=donors,
            donor="donor",
            recipient="recipient",
            steps="0",
            layers=list(layers),
            branches="cond",
            directions="sufficiency",
            controls="none",
            horizon=0,
            videos=False,
        )
    passes = swept.blocks / model.num_layers
    print(
        f"{shape_name}: a forward pass {forward:.3f} s; trace of the donor {traced:.1f} s; "
        f"{len(layers)} layers at step 0: {swept.blocks:.0f} blocks = {passes:.2f} forward passes, "
        f"{swept.seconds:.1f} s = {swept.seconds / forward:.2f} times a forward pass",
        flush=True,
    )
    moved = result["x0_moved"].values
    print(f"x0_moved from {moved.min():.4f} to {moved.max():.4f}, last layer {moved[-1]!r}")
    if model.device.type == "cuda":
        print(f"peak GPU memory {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
    shutil.rmtree(folder / "donor")


@contextmanager
def counted(model: Model) -> Iterator[Counted]:
    """Counts the blocks that run within, by hooks inside them, and the seconds."""
    found = Counted()

    def ran(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        found.blocks += (output[0] if isinstance(output, tuple) else output).shape[0]

    with ExitStack() as stack:
        for block in model.pipeline.transformer.blocks:
            stack.callback(block.ffn.register_forward_hook(ran).remove)
        _synchronize(model)
        start = time.perf_counter()
        yield found
        _synchronize(model)
        found.seconds = time.perf_counter() - start


def _synchronize(model: Model) -> None:
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)


if __name__ == "__main__":
    raise SystemExit(main())
