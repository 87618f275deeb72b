"""Noise put into the latents of one call of a pipeline, and the energy that it turned out to have."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import torch

from cosinterp.errors import InterventionError
from cosinterp.models.anatomy import Pinned
from cosinterp.noising.mixing import cosine_of, mixed, shrunk, turned
from cosinterp.noising.noise_at import NoiseAt
from cosinterp.steps import Changed, LatentChanges, Step
from stores.selection import compact


def drawn(noise_seed: int, run_seed: int, step: int, shape: Sequence[int]) -> torch.Tensor:
    """Standard normal noise (channel, frame, row, col), float32 on the CPU.

    A function of the seed of the noise, the seed of the run and the step: the same for every sample, device
    and batch. It is drawn for the whole latent, so that a frame has the same noise whichever others have any.
    """
    told = blake2b(f"noise {noise_seed} {run_seed} {step}".encode(), digest_size=7).digest()
    generator = torch.Generator("cpu").manual_seed(int.from_bytes(told, "big"))
    return torch.randn(tuple(shape), generator=generator)


def pinned_error(frames: Collection[int]) -> InterventionError:
    """What is wrong with noise in frames that the pipeline overwrites."""
    return InterventionError(
        f"frames {compact(frames)}: the pipeline overwrites these latent frames with its condition at every "
        "step, so noise there does nothing; choose others"
    )


class NoisedLatents(LatentChanges):
    """Noise in the latents of the rows of a batch, which are the seeds of one sample.

    Args:
        noise: where and how.
        seeds: of the rows.
        num_steps: of the run.

    Raises, inside the pipeline's call:
        InterventionError: a chosen frame is not there, or the pipeline overwrites it.
    """

    def __init__(self, noise: NoiseAt, seeds: Sequence[int], num_steps: int) -> None:
        self._noise, self._seeds = noise, tuple(seeds)
        chosen = range(num_steps) if noise.steps is None else noise.steps
        self._steps = () if noise.is_nothing else tuple(step for step in chosen if step < num_steps)
        self._pinned: np.ndarray | None = None
        # Of each row by step: (frame,) squared lengths of the change, and of what was changed.
        self._squares: list[dict[int, tuple[np.ndarray, np.ndarray]]] = [{} for _ in self._seeds]

    def initial(self, noisy: torch.Tensor) -> torch.Tensor | None:
        """The initial noise with what enters step 0 in it."""
        # Which frames are pinned shows later; what is put into them here does nothing, and is not counted.
        return self._noised(0, noisy) if 0 in self._steps else None

    def after(self, step: Step) -> Changed | None:
        """What a step leaves, with what enters the next one in it."""
        if step.index == 0:
            self._learn(step.pinned, step.after.shape[2])
        if step.index + 1 not in self._steps:
            return None
        noised = self._noised(step.index + 1, step.after)
        return None if noised is None else Changed(noised)

    def energies(self, row: int) -> dict[int, float]:
        """The energy that each noised step of a row was given; see `cosinterp.noising.mixing`."""
        return {step: self._energy(*squares) for step, squares in self._squares[row].items()}

    def told(self, row: int) -> Mapping[str, Any]:
        """The energy of all noise of a row, and at each step that has any."""
        energies = self.energies(row)
        return {
            "noise_energy": float(sum(energies.values())),
            "noise_energy_steps": list(energies),
            "noise_energy_by_step": list(energies.values()),
        }

    def _noised(self, step: int, latents: torch.Tensor) -> torch.Tensor | None:
        count = latents.shape[2]
        free = [frame for frame in range(count) if self._pinned is None or not self._pinned[frame]]
        asked = self._noise.frames
        self._check_there(asked, count)
        frames = free if asked is None else [frame for frame in asked if frame in free]
        changed = latents.clone()
        for row, seed in enumerate(self._seeds):
            noise = drawn(self._noise.seed, seed, step, latents.shape[1:]).to(latents.device)
            own = latents[row].float()
            changed[row][:, frames] = self._new(row, step, own, noise, frames, free).to(changed.dtype)
            apart = (changed[row].double() - latents[row].double()).square()
            squares = apart.sum((0, 2, 3)), own.double().square().sum((0, 2, 3))
            self._squares[row][step] = squares[0].cpu().numpy(), squares[1].cpu().numpy()
        return changed

    def _new(
        self,
        row: int,
        step: int,
        own: torch.Tensor,
        noise: torch.Tensor,
        frames: Sequence[int],
        free: Sequence[int],
    ) -> torch.Tensor:
        """What is put into the chosen frames of a latent: (channel, chosen frame, row, col)."""
        chosen, whole = own[:, frames], own[:, free]
        if self._noise.how == "shrink":
            return shrunk(chosen, self._noise.strength)
        if self._noise.energy is None:
            deviation = float(whole.std(correction=0))
            return mixed(chosen, noise[:, frames], self._noise.strength, deviation)
        left = self._noise.energy - sum(self.energies(row).values())
        # What a step could not take, the later ones are given.
        own_part = left / sum(one >= step for one in self._steps)
        share = float(chosen.double().square().sum() / whole.double().square().sum())
        return turned(chosen, noise[:, frames], cosine_of(own_part, share))

    def _energy(self, change: np.ndarray, latent: np.ndarray) -> float:
        kept = np.ones(len(latent), dtype=bool) if self._pinned is None else ~self._pinned
        return float(change[kept].sum() / (2 * latent[kept].sum()))

    def _learn(self, pinned: Pinned | None, count: int) -> None:
        self._pinned = np.zeros(count, dtype=bool) if pinned is None else pinned.frames.cpu().numpy()
        held = [frame for frame in self._noise.frames or () if frame < count and self._pinned[frame]]
        if held and not self._noise.is_nothing:
            raise pinned_error(held)

    def _check_there(self, asked: Sequence[int] | None, count: int) -> None:
        if asked and asked[-1] >= count:
            raise InterventionError(f"frame {asked[-1]}: the latent has frames 0-{count - 1}")
