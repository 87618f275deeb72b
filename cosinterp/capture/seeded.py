"""The random choices of reductions, made from a seed alone: the same for every run, layer and device."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def projection_matrix(channels: int, components: int, seed: int) -> npt.NDArray[np.float32]:
    """A Gaussian random projection, float32 (channel, component).

    Entries are normal with variance 1 / components, so that squared lengths are kept in expectation (Johnson
    and Lindenstrauss 1984; Dasgupta and Gupta 2003). They are rounded to bfloat16, so that a bfloat16 model
    multiplies by this very matrix.
    """
    normal = _generator(seed, channels, components).standard_normal((channels, components))
    return _rounded_to_bf16((normal / np.sqrt(components)).astype(np.float32))


def token_indices(tokens: int, count: int, seed: int) -> npt.NDArray[np.int64]:
    """``count`` different tokens of ``tokens``, ascending: int64 (count,)."""
    return np.sort(_generator(seed, tokens).permutation(tokens)[:count]).astype(np.int64)


def token_places(indices: npt.NDArray[np.int64], grid: tuple[int, int, int]) -> npt.NDArray[np.int64]:
    """(frame, row, col) of tokens on the token grid: int64 (count, 3)."""
    return np.stack(np.unravel_index(indices, grid), axis=-1).astype(np.int64)


def _generator(*entropy: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))


def _rounded_to_bf16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)).view(np.float32)
