"""What a row says of a kind of pipeline, independently of its anatomy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from PIL import Image

from cosinterp.samples import Sample, VideoFrames

Take = Callable[[Any], torch.Tensor]


def itself(output: Any) -> torch.Tensor:
    return output


def item(index: int) -> Take:
    return lambda output: output[index]


@dataclass(frozen=True)
class Hook:
    """Where a plain hook sees a site: a submodule of each block (the block itself: ""), and what to take.

    ``blocks`` are paths of ModuleLists in the denoiser, in the order in which they run; ``places`` the
    indices in them of the blocks that have it, None: all.
    """

    blocks: tuple[str, ...]
    module: str = ""
    take: Take = itself
    places: tuple[int, ...] | None = None


@dataclass(frozen=True)
class FamilyRow:
    """One kind of pipeline.

    Attributes:
        name: as in the table of ``docs/models.md``.
        build: makes a tiny random pipeline; called with torch's seed set.
        hooks: of every site that is a module's output (streams, and those that end in .raw).
        entering: arguments of the first block, by stream.
        in_grid_order: brings the tokens of the video to the order of the grid.
        calls: branches of the denoiser calls of one step with guidance, call by call, row group by row group.
        size: of the tiny video: height, width, num_frames; without the last for images.
        guided, unguided: sampling settings that turn guidance on and off.
        prompt: of the sample.
        image: whether it takes a first image.
        videos: that its sample has besides.
        batches: how many videos it is asked for in one call.
        settings: further sampling settings.
        num_steps: of a run.
        clean: how far x̂0 of the last step may be from the final latent: a few roundings of float32.
        positions: of the arguments ``entering``, where a denoiser passes them by position.
        idle: branches in which a site's module does not run: nothing is added there.
        euler: whether its scheduler makes Euler steps, so that what each step ends with tells its x̂0.
        installed: within what is made so, all packages are there that the pipeline needs.
    """

    name: str
    build: Callable[[], Any]
    hooks: Mapping[str, Hook]
    calls: tuple[tuple[str, ...], ...]
    size: Mapping[str, int]
    entering: Mapping[str, str] = field(default_factory=lambda: {"resid": "hidden_states"})
    in_grid_order: Take = itself
    guided: Mapping[str, Any] = field(default_factory=lambda: {"guidance_scale": 3.0})
    unguided: Mapping[str, Any] | None = field(default_factory=lambda: {"guidance_scale": 1.0})
    unguided_calls: tuple[tuple[str, ...], ...] = (("cond",),)
    prompt: str = "go to the red goal"
    image: bool = False
    videos: tuple[str, ...] = ()
    batches: tuple[int, ...] = (1, 2)
    settings: Mapping[str, Any] = field(default_factory=dict)
    positions: Mapping[str, int] = field(default_factory=dict)
    idle: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    euler: bool = False
    installed: Callable[[], AbstractContextManager[None]] = nullcontext
    num_steps: int = 3
    clean: float = 1e-5
    experts: tuple[str, ...] = ("transformer",)
    grids: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    """Token grids (frame, row, col) by site, written out: `resid` at least."""

    @property
    def all_blocks(self) -> tuple[str, ...]:
        """The ModuleLists of blocks, in the order in which they run."""
        return self.hooks["resid"].blocks

    def sample(self) -> Sample:
        """A sample that the pipeline takes."""
        random = np.random.default_rng(0)
        shape = (self.size["height"], self.size["width"], 3)
        pixels = random.integers(0, 256, shape, dtype=np.uint8)
        return Sample(
            name="sample",
            prompt=self.prompt,
            image=Image.fromarray(pixels) if self.image else None,
            videos={
                name: VideoFrames(
                    random.integers(0, 256, (self.size["num_frames"] + 2, *shape), dtype=np.uint8)
                )
                for name in self.videos
            },
            **self.size,
        )
