"""A scheme, denoised over many mazes at once.

Rows lie maze by maze, in a maze group by group, in a group seed by seed; nothing mixes but the seeds of a
group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from cosinterp.ensembles.merging import Merger, merger
from cosinterp.organism.architecture import autocast, build_scheduler
from cosinterp.organism.bulk_ensembles.schemes import Merge, Scheme
from cosinterp.organism.bulk_ensembles.tasks import Tasks
from cosinterp.organism.mazes import GOALS
from cosinterp.organism.pool import condition_pixels, encode_mode
from cosinterp.organism.sampling import Denoiser, Denoising, initial_noise
from cosinterp.organism.solver import Solver

OnClean = Callable[[int, torch.Tensor], None]


@dataclass(frozen=True, eq=False)
class Conditions:
    """What the denoiser is shown of each maze.

    Attributes:
        first_frame: (maze, channel, frame, row, col), encoded.
        prompts: (maze, token, channel).
    """

    first_frame: torch.Tensor
    prompts: torch.Tensor


@torch.no_grad()
def encode_tasks(solver: Solver, tasks: Tasks) -> Conditions:
    """The first frames, encoded, and the first wording of each prompt."""
    frames = []
    for start in range(0, len(tasks), 256):
        cells = tasks.cells[start : start + 256]
        frames.append(encode_mode(solver.vae, condition_pixels(cells, solver.num_frames, solver.device)))
    named = torch.tensor([GOALS.index(goal) for goal in tasks.goals], device=solver.device)
    return Conditions(torch.cat(frames), solver.prompts.prompts[named, 0])


@torch.no_grad()
def run_scheme(
    solver: Solver,
    conditions: Conditions,
    scheme: Scheme,
    num_steps: int,
    guidance: float,
    chunk: int,
    on_clean: OnClean | None = None,
    fixed: bool = False,
) -> torch.Tensor:
    """Denoise all mazes by a scheme.

    Args:
        solver: the model; on CUDA the denoiser computes in bfloat16 autocast.
        conditions: of the mazes.
        scheme: what to merge.
        num_steps, guidance: of the measurement, for schemes that have none of their own.
        chunk: rows that the denoiser is given at once; fewer, whole groups, where hidden states are merged.
        on_clean: called with (step, clean estimates, a row each, merged if they are) at each step.
        fixed: always give it so many, which a compiled denoiser needs; it is not used where hidden states
            are merged.

    Returns:
        Final latents, float32 (maze x answer, channel, frame, row, col).
    """
    mazes = len(conditions.prompts)
    steps = scheme.steps_of(num_steps)
    guidance = scheme.guidance_of(guidance)
    seeds = scheme.total_seeds
    frame = conditions.first_frame
    noise = scheme.noise * initial_noise(range(seeds), *frame.shape[2:]).to(solver.device)
    merges_hidden = any(merge.what == "hidden" for merge in scheme.merges)
    denoising = Denoising(
        _padding(solver.transformer, chunk) if fixed and not merges_hidden else solver.transformer,
        build_scheduler(),
        noise.repeat(mazes, 1, 1, 1, 1),
        frame.repeat_interleave(seeds, dim=0),
        conditions.prompts.repeat_interleave(seeds, dim=0),
        solver.prompts.empty,
        steps,
        guidance,
        chunk=scheme.seeds * max(1, chunk // scheme.seeds) if merges_hidden else chunk,
    )
    stance = torch.compiler.set_stance("force_eager" if merges_hidden else "default")
    with stance:
        _denoise(denoising, solver, scheme, steps, guidance, mazes, on_clean)
    return denoising.latents


def _denoise(
    denoising: Denoising,
    solver: Solver,
    scheme: Scheme,
    steps: int,
    guidance: float,
    mazes: int,
    on_clean: OnClean | None,
) -> None:
    for step in range(steps):
        denoising.guidance_scale = 1.0 if step in scheme.unguided else guidance
        with autocast(solver.device), _merging_hidden(denoising, solver, scheme):
            prediction = denoising.predict()
        prediction = _merged_prediction(denoising, prediction, scheme)
        if on_clean is not None:
            on_clean(step, denoising.clean_estimate(prediction))
        clean = denoising.clean_estimate(prediction)
        denoising.advance(prediction)
        if step in scheme.renewed and step + 1 < steps:
            _renew(denoising, clean, mazes)
        if step in scheme.shrunk:
            shrink_noise(denoising, clean, scheme.shrink)
        for merge in scheme.merged_at(step, "latent"):
            own = _Groups(merge, scheme.seeds)
            memory = own.of(denoising.latents)
            denoising.change(memory(denoising.latents), memory)
        if step == scheme.last_merge and scheme.then == "one" and scheme.seeds > 1:
            rows = torch.arange(0, len(denoising.latents), scheme.seeds, device=solver.device)
            denoising.keep(rows)


def _padding(denoiser: Denoiser, rows: int) -> Denoiser:
    """The denoiser, always given as many rows: the last of them again and again."""

    def padded(
        hidden: torch.Tensor, timesteps: torch.Tensor, prompts: torch.Tensor, **options: Any
    ) -> tuple[torch.Tensor, ...]:
        given = [
            torch.cat([part, part[-1:].expand(rows - len(part), *part.shape[1:])])
            for part in (hidden, timesteps, prompts)
        ]
        return tuple(part[: len(hidden)] for part in denoiser(*given, **options))

    return padded


def _merged_prediction(denoising: Denoising, prediction: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    for merge in scheme.merged_at(denoising.step, "prediction"):
        prediction = _Groups(merge, scheme.seeds).of(prediction)(prediction)
    for merge in scheme.merged_at(denoising.step, "x0"):
        clean = denoising.clean_estimate(prediction)
        merged = _Groups(merge, scheme.seeds).of(clean)(clean)
        # By how far it moves, so that what does not move stays what it is, bit for bit.
        prediction = prediction + (clean - merged) / denoising.sigma
    return prediction


def _renew(denoising: Denoising, clean: torch.Tensor, mazes: int) -> None:
    """Take the rows to the noise level reached with noise drawn anew, other noise in each row of a maze."""
    rows = len(clean) // mazes
    # Apart from all initial noise, whose seeds are small.
    seeds = [(denoising.step + 1) * 1_000_003 + row for row in range(rows)]
    noise = initial_noise(seeds, *clean.shape[2:]).to(clean).repeat(mazes, 1, 1, 1, 1)
    denoising.change((1 - denoising.sigma) * clean + denoising.sigma * noise)


def shrink_noise(denoising: Denoising, clean: torch.Tensor, by: float) -> None:
    """Multiply what is left of the latents without the signal, which is (1 - sigma) x̂0."""
    signal = (1 - denoising.sigma) * clean
    denoising.change(signal + by * (denoising.latents - signal))


@dataclass(frozen=True)
class _Groups:
    """Merges the rows of each group, and gives each row its group's."""

    merge: Merge
    seeds: int
    things: int = 0
    """Axes after the row's that number what is merged each by itself: 1 for tokens."""

    def of(self, rows: torch.Tensor) -> Merger:
        """What merges tensors (row, ...) that go with these rows; gives (row, ...)."""
        return partial(self._spread, self._merger(self._apart(rows)))

    def _merger(self, rows: torch.Tensor) -> Merger:
        if self.merge.how == "core":
            return lambda given: _core(given)
        return merger(rows, self.merge.how, each=1 + self.things)

    def _spread(self, merged: Merger, rows: torch.Tensor) -> torch.Tensor:
        group = merged(self._apart(rows)).repeat_interleave(self.seeds, dim=0)
        return group if self.merge.share == 1 else rows + self.merge.share * (group - rows)

    def _apart(self, rows: torch.Tensor) -> torch.Tensor:
        """(seed, group, ...) of (row, ...)."""
        return rows.unflatten(0, (-1, self.seeds)).transpose(0, 1)


def _core(rows: torch.Tensor) -> torch.Tensor:
    """(group, ...) of (seed, group, ...): the mean of the medoid and the seeds nearest to it."""
    flat = rows.flatten(2).transpose(0, 1)
    apart = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    medoid = apart.sum(dim=-1).argmin(dim=-1)
    from_medoid = apart[torch.arange(len(apart), device=apart.device), medoid]
    nearest = from_medoid.argsort(dim=-1, stable=True)[:, : len(rows) // 2 + 1]
    return flat.take_along_dim(nearest[..., None], dim=1).mean(dim=1).view(rows.shape[1:])


@contextmanager
def _merging_hidden(denoising: Denoising, solver: Solver, scheme: Scheme) -> Iterator[None]:
    """Within the block, the residual stream of the step under way is merged where the scheme says so."""
    merges = scheme.merged_at(denoising.step, "hidden")
    blocks: Sequence[Any] = solver.transformer.blocks  # pyright: ignore[reportAssignmentType]

    def merged(merge: Merge, hidden: torch.Tensor) -> torch.Tensor:
        if denoising.branch not in merge.branches:
            return hidden
        return _Groups(merge, scheme.seeds, things=1).of(hidden)(hidden)

    def entering(merge: Merge, _: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (merged(merge, inputs[0]), *inputs[1:])

    def leaving(merge: Merge, _: Any, __: Any, output: torch.Tensor) -> torch.Tensor:
        return merged(merge, output)

    handles = [
        blocks[0].register_forward_pre_hook(partial(entering, merge))
        if layer == 0
        else blocks[layer - 1].register_forward_hook(partial(leaving, merge))
        for merge in merges
        for layer in merge.layers
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
