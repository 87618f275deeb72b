"""How a slab is divided: into chunks, which HDF5 knows of, and these into blocks, which have the checksums.

A slab is what one call writes: the activations of one (step, layer, branch), a latent of one step, a video.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from stores import dtypes, layout
from stores.slabs.compression import NONE, check_compression


@dataclass(frozen=True)
class SlabLayout:
    """The chunks of a slab: each is a ``group`` of entries of the first axis, with all of the others.

    The groups divide the first axis evenly, and a chunk has at most `layout.MAX_CHUNK` bytes before
    compression (more only if a single entry is larger).

    Attributes:
        shape: of the slab, without the axes that index slabs.
        dtype: one of `dtypes.DTYPES`, or "uint8".
        compression: "none", "lz4" or "zstd".
        group: entries of the first axis in a chunk; 0 asks for as many as fit.

    Raises:
        ValueError: an axis is empty, the groups do not divide the first one, or there is no such dtype or
            compression.
    """

    shape: tuple[int, ...]
    dtype: str
    compression: str = NONE
    group: int = 0

    def __post_init__(self) -> None:
        if not self.shape or min(self.shape) < 1:
            raise ValueError(f"no axis may be empty, got a slab of {self.shape}")
        check_compression(self.compression)
        if self.dtype != "uint8":
            dtypes.check_dtype(self.dtype)
        if self.group == 0:
            entry = prod(self.shape[1:]) * self.memory_type.itemsize
            object.__setattr__(self, "group", layout.chunk_length(self.shape[0], entry))
        if self.group < 1 or self.shape[0] % self.group:
            raise ValueError(f"groups of {self.group} do not divide a slab of {self.shape}")

    @cached_property
    def memory_type(self) -> np.dtype[Any]:
        """The numpy type that holds what is stored: uint16 bits for bf16, uint8 codes for fp8."""
        return np.dtype(np.uint8) if self.dtype == "uint8" else dtypes.memory_type(self.dtype)

    @property
    def groups(self) -> int:
        """Chunks of a slab."""
        return self.shape[0] // self.group

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Of a chunk, without the axes that index slabs."""
        return (self.group, *self.shape[1:])

    @cached_property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk, before compression."""
        return prod(self.chunk_shape) * self.memory_type.itemsize

    @property
    def slab_bytes(self) -> int:
        """Bytes of a slab, before compression."""
        return self.groups * self.chunk_bytes

    @property
    def block(self) -> int:
        """Bytes that a checksum is of: `layout.BLOCK`; 0 stands for a whole chunk as it is in the file."""
        return layout.BLOCK if self.compression == NONE else 0

    @property
    def blocks(self) -> int:
        """Checksums of a chunk."""
        return -(-self.chunk_bytes // self.block) if self.block else 1
