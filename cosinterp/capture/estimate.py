"""What a run takes on disk and in host memory, computed before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from stores import dtypes, layout
from stores.reduction import FULL, parse_reduction

LATENTS = "latents"
VIDEO = "video"
OTHER = "other"

# The checksum of each block, and of each chunk its line in HDF5's index, whose nodes are half full.
_BLOCK = 64 * 1024
_PER_BLOCK = 8
_PER_CHUNK = 200
_PER_FILE = 256 * 1024
_LATENT_BYTES = 4


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
    def slabs(self) -> dict[str, int]:
        """How many slabs a run holds of each site, for each of its reductions."""
        each = len(self.steps) * len(self.branches)
        return {site: each * len(layers) for site, layers in self.layers.items()}

    @property
    def keys(self) -> dict[str, tuple[str, str]]:
        """(site, reduction) by the key that stands for them in a store, such as ``resid@project:64``."""
        return {_key(site, text): (site, text) for site, texts in self.reductions.items() for text in texts}


@dataclass(frozen=True)
class RunShape:
    """What of a sample decides how large its runs are.

    ``grid`` is (frame, row, col) of tokens, ``latent`` (channel, frame, row, col), ``video`` and ``image``
    end in rgb; ``image`` is empty if there is none.
    """

    grid: tuple[int, int, int]
    channels: int
    latent: tuple[int, int, int, int]
    video: tuple[int, int, int, int]
    image: tuple[int, ...]
    num_steps: int


def slab_shape(reduction: str, shape: RunShape) -> tuple[int, ...]:
    """The shape of one (step, layer, branch) of a site after a reduction.

    Raises:
        SelectionError: the reduction keeps more tokens or channels than there are.
    """
    return parse_reduction(reduction).shape(shape.grid, shape.channels)


def slab_bytes(reduction: str, dtype: str, shape: RunShape) -> int:
    """Bytes of one (step, layer, branch) of a site after a reduction, uncompressed."""
    return prod(slab_shape(reduction, shape)) * dtypes.memory_type(dtype).itemsize


def run_parts(kept: Kept, shape: RunShape) -> dict[str, int]:
    """Bytes that a run takes on disk, by what they are spent on; compressed, at most.

    A key as `Kept.keys` has it for each site and reduction, then `LATENTS`, `VIDEO` if it is kept, and
    `OTHER`: the image, the random choices of reductions, and the structure of the file.
    """
    parts: dict[str, int] = {}
    other = _PER_FILE + (prod(shape.image) if shape.image else 0)
    for key, (site, text) in kept.keys.items():
        parts[key] = kept.slabs[site] * _on_disk(slab_shape(text, shape), kept.dtype)
        reduction = parse_reduction(text)
        other += shape.channels * reduction.components * 4 + reduction.tokens * 3 * 8
    # The noisy latents, the final one, the predictions, and the pinned frames.
    parts[LATENTS] = (2 * shape.num_steps + 2) * _on_disk(shape.latent, "fp32")
    if kept.save_video:
        parts[VIDEO] = _on_disk(shape.video, None)
    return {**parts, OTHER: other}


def waiting_items(kept: Kept, shape: RunShape) -> Mapping[str, int]:
    """Bytes in host memory of each kind of item that may wait there to be written."""
    items = {f"layer of {key}": slab_bytes(text, kept.dtype, shape) for key, (_, text) in kept.keys.items()}
    items["latent"] = prod(shape.latent) * _LATENT_BYTES
    if kept.save_video:
        items["video"] = prod(shape.video)
    return items


def _on_disk(slab: tuple[int, ...], dtype: str | None) -> int:
    item = 1 if dtype is None else dtypes.memory_type(dtype).itemsize
    length = layout.chunk_length(slab[0], prod(slab[1:]) * item)
    chunk = length * prod(slab[1:]) * item
    chunks = slab[0] // length
    return chunks * (chunk + _PER_CHUNK + _PER_BLOCK * -(-chunk // _BLOCK))


def _key(site: str, reduction: str) -> str:
    return site if reduction == FULL else f"{site}@{reduction}"
