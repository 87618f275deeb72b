"""What a run takes on disk and in host memory, computed before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from cosinterp.capture.parts import laid_out_bytes
from stores import layout
from stores.reduction import parse_reduction
from stores.slabs.compression import NONE
from stores.slabs.layout import SlabLayout

LATENTS = "latents"
VIDEO = "video"
OTHER = "other"

# Of a chunk: its line in HDF5's index, its scale if it has one. Compressed chunks come in any order, which
# leaves the nodes of the index half full, and have a header each.
_PER_CHUNK = 128
_PER_COMPRESSED_CHUNK = 192
_PER_CHECKSUM = 8
# Of a dataset: its header, its scales, and the first node of its index. Of a file: attributes and the seal.
_PER_KEY = 16 * 1024
_PER_FILE = 128 * 1024


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What a trace keeps of each run, besides the latents.

    ``layers`` and ``reductions`` (canonical texts, in the order asked for) are by site; ``dtype`` and
    ``compression`` are the store's.
    """

    layers: dict[str, tuple[int, ...]]
    steps: tuple[int, ...]
    branches: tuple[str, ...]
    reductions: dict[str, tuple[str, ...]]
    dtype: str
    compression: str
    save_video: bool

    @property
    def keys(self) -> dict[str, tuple[str, str]]:
        """(site, reduction) by the key that stands for them in a store, such as ``resid@project:64``."""
        return {
            layout.site_key(site, text): (site, text)
            for site, texts in self.reductions.items()
            for text in texts
        }

    def slabs(self, site: str) -> int:
        """How many (step, layer, branch) a run holds of a site."""
        return len(self.steps) * len(self.layers[site]) * len(self.branches)


@dataclass(frozen=True)
class RunShape:
    """What of a sample decides how large its runs are.

    ``grid`` is the token grid (frame, row, col), ``channels`` are those of a token, ``latent`` is (channel,
    frame, row, col), ``video`` (frame, row, col, rgb). ``condition`` are the bytes of what a run is generated
    from and of what is known of it, rounded so that samples that are alike have one shape. ``streams`` has
    (site, grid of its tokens, channels) of the sites that have tokens of their own.
    """

    grid: tuple[int, int, int]
    channels: int
    latent: tuple[int, int, int, int]
    video: tuple[int, int, int, int]
    condition: int
    num_steps: int
    streams: tuple[tuple[str, tuple[int, int, int], int], ...] = ()

    def tokens_of(self, site: str) -> tuple[tuple[int, int, int], int]:
        """The grid (frame, row, col) of a site's tokens, and the channels of each."""
        own = {name: (grid, channels) for name, grid, channels in self.streams}
        return own.get(site, (self.grid, self.channels))


def slab_layout(site: str, reduction: str, shape: RunShape, kept: Kept) -> SlabLayout:
    """How one (step, layer, branch) of a site lies in a file after a reduction.

    Raises:
        SelectionError: the reduction keeps more tokens or channels than there are.
    """
    reduced = parse_reduction(reduction).shape(*shape.tokens_of(site))
    return SlabLayout(reduced, kept.dtype, kept.compression)


def run_parts(kept: Kept, shape: RunShape) -> dict[str, int]:
    """Bytes that a run takes on disk, by what they are spent on; compressed, at most.

    A key as `Kept.keys` has it for each site and reduction, then `LATENTS`, `VIDEO` if it is kept, and
    `OTHER`: condition and truth, the random choices of reductions, and the structure of the file.
    """
    parts: dict[str, int] = {}
    other = _PER_FILE + shape.condition
    for key, (site, text) in kept.keys.items():
        parts[key] = kept.slabs(site) * _on_disk(slab_layout(site, text, shape, kept))
        reduction = parse_reduction(text)
        other += _PER_KEY + 4 * shape.tokens_of(site)[1] * reduction.components + 3 * 8 * reduction.tokens
    # The noisy latents, the final one, the predictions, and the pinned frames.
    parts[LATENTS] = (2 * shape.num_steps + 2) * _on_disk(SlabLayout(shape.latent, "fp32"))
    if kept.save_video:
        parts[VIDEO] = _on_disk(SlabLayout(shape.video, "uint8"))
    return {**parts, OTHER: other}


def total_bytes(kept: Kept, shapes: Mapping[RunShape, int]) -> int:
    """Bytes that so many runs of each shape take on disk; compressed, at most."""
    return sum(count * sum(run_parts(kept, shape).values()) for shape, count in shapes.items())


def waiting_items(kept: Kept, shape: RunShape) -> dict[str, int]:
    """Bytes in host memory of each kind of item that may wait there to be written."""
    items: dict[str, int] = {}
    for key, (site, text) in kept.keys.items():
        slab = slab_layout(site, text, shape, kept)
        factors = 4 * slab.groups if kept.dtype == "fp8" else 0
        items[f"layer of {key}"] = laid_out_bytes([slab.slab_bytes, factors])
    items["latent"] = SlabLayout(shape.latent, "fp32").slab_bytes
    if kept.save_video:
        items["video"] = SlabLayout(shape.video, "uint8").slab_bytes
    return items


@cache
def _on_disk(slab: SlabLayout) -> int:
    per_chunk = _PER_CHUNK if slab.compression == NONE else _PER_COMPRESSED_CHUNK
    return slab.groups * (slab.chunk_bytes + per_chunk + _PER_CHECKSUM * slab.blocks)
