"""Reductions carried out where the tokens are, so that only what is kept leaves the GPU."""

from __future__ import annotations

from functools import cached_property
from math import prod

import numpy as np
import numpy.typing as npt
import torch

from cosinterp.capture.seeded import projection_matrix, token_indices, token_places
from stores.reduction import Part, Reduction


class Reducer:
    """One reduction on one token grid.

    Args:
        reduction: what is kept.
        grid: (frame, row, col).
        channels: of each token.
        seed: of the random projection and of the choice of tokens.
    """

    def __init__(self, reduction: Reduction, grid: tuple[int, int, int], channels: int, seed: int) -> None:
        self.reduction = reduction
        self.shape = reduction.shape(grid, channels)
        self.seed = seed
        self._grid = grid
        self._channels = channels
        self._on_device: dict[tuple[str, torch.device, torch.dtype], torch.Tensor] = {}

    @cached_property
    def projection(self) -> npt.NDArray[np.float32] | None:
        """The matrix of ``project:K``, float32 (channel, component); None without that part."""
        components = self.reduction.components
        return projection_matrix(self._channels, components, self.seed) if components else None

    @property
    def token_places(self) -> npt.NDArray[np.int64] | None:
        """(frame, row, col) of each token of ``tokens:K``, int64 (token, 3); None without that part."""
        return None if self._indices is None else token_places(self._indices, self._grid)

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        """Reduce ``tokens`` (batch, token, channel) to (batch, *shape).

        Means and norms are summed in float32. A projection of bfloat16 tokens is a bfloat16 product (summed
        in float32, rounded once), of others a float32 product.
        """
        kept = tokens.detach()
        for part in self.reduction.parts:
            kept = self._apply(part, kept)
        return kept.reshape(len(tokens), *self.shape)

    @cached_property
    def _indices(self) -> npt.NDArray[np.int64] | None:
        count = self.reduction.tokens
        return token_indices(prod(self._grid), count, self.seed) if count else None

    def _apply(self, part: Part, tokens: torch.Tensor) -> torch.Tensor:
        """``tokens``: (batch, token) or (batch, token, channel)."""
        match part.name:
            case "frames":
                frames = tokens.unflatten(1, (self._grid[0], -1))
                return frames.mean(2, dtype=torch.float32)
            case "mean":
                return tokens.mean(1, keepdim=True, dtype=torch.float32)
            case "tokens":
                return tokens.index_select(1, self._moved("indices", tokens.device, torch.int64))
            case "norm":
                return torch.linalg.vector_norm(tokens, dim=-1, dtype=torch.float32)
            case "project":
                dtype = tokens.dtype if tokens.dtype == torch.bfloat16 else torch.float32
                return tokens.to(dtype) @ self._moved("projection", tokens.device, dtype)
        raise ValueError(f"unknown part of a reduction: {part}")

    def _moved(self, name: str, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """The indices or the matrix, on the device; copied there once."""
        key = (name, device, dtype)
        if key not in self._on_device:
            source = self._indices if name == "indices" else self.projection
            self._on_device[key] = torch.as_tensor(source).to(device, dtype)
        return self._on_device[key]
