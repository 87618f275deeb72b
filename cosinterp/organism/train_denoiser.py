"""Train a bundled model's transformer by flow matching on encoded scenes."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel

from cosinterp.organism.architecture import (
    FLOW_SHIFT,
    NUM_TRAIN_TIMESTEPS,
    autocast,
    build_transformer,
    place,
)
from cosinterp.organism.batch_pipeline import BatchPipeline, PromptTable, build_prompt_table
from cosinterp.organism.config import DenoiserTraining, TrainingConfig
from cosinterp.organism.lessons import Lessons
from cosinterp.organism.mazes import DEFAULT_ROOMS
from cosinterp.organism.pool import LatentPool
from cosinterp.organism.rendering import grid_side
from cosinterp.organism.sampling import condition_channels
from cosinterp.organism.train_autoencoder import Log

CHECKPOINT = "denoiser.pt"
# The size that `batch_size` speaks of.
_REFERENCE_SIDE = grid_side(DEFAULT_ROOMS)


@dataclass(eq=False)
class _Training:
    """All that a checkpoint keeps. What is drawn follows from the iteration alone, so it needs no more."""

    model: WanTransformer3DModel
    average: WanTransformer3DModel
    optimizer: torch.optim.Optimizer
    iteration: int = 0
    elapsed: float = 0.0

    def load(self, checkpoint: Path, device: torch.device) -> None:
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        for name in ("model", "average", "optimizer"):
            getattr(self, name).load_state_dict(state[name])
        self.iteration, self.elapsed = state["iteration"], state["elapsed"]

    def save(self, folder: Path) -> None:
        """Write the snapshot, then the checkpoint: a checkpoint's iteration always has its snapshot."""
        snapshot = {name: value.bfloat16() for name, value in self.average.state_dict().items()}
        _save(snapshot, folder / f"snapshot-{self.iteration:06d}.pt")
        parts = {name: getattr(self, name).state_dict() for name in ("model", "average", "optimizer")}
        _save(parts | {"iteration": self.iteration, "elapsed": self.elapsed}, folder / CHECKPOINT)


def train_denoiser(
    config: TrainingConfig,
    lessons: Lessons,
    pools: dict[int, LatentPool],
    vae: AutoencoderKLWan,
    folder: Path,
    device: torch.device,
    seconds: float | None,
    log: Log,
    initial: WanTransformer3DModel | None = None,
) -> WanTransformer3DModel:
    """Train, or go on from the checkpoint in ``folder``; returns the averaged (EMA) transformer.

    Without a bound on the time, a training that was stopped and gone on with equals one that was not; on CUDA
    as far as two trainings there equal each other.

    Args:
        config: the configuration.
        lessons: say what the prompts are, and look at what was learnt.
        pools: encoded scenes by grid side in cells.
        vae: decodes the evaluations.
        folder: where checkpoints and snapshots go.
        device: trains there; on CUDA in bfloat16 autocast with compiled blocks.
        seconds: end in so many seconds from now, with the learning rate decayed by then; None: no bound.
        log: called with the figures.
        initial: the transformer whose weights a training begins with; None: random ones.
    """
    settings = config.denoiser
    prompts = build_prompt_table(lessons.model.prompts, device)
    state = _begin(config, device, initial)
    if (folder / CHECKPOINT).exists():
        state.load(folder / CHECKPOINT, device)
    if device.type == "cuda":
        for block in state.model.blocks:
            block.compile(dynamic=False)
    began = time.monotonic() - state.elapsed
    bound = math.inf if seconds is None else state.elapsed + seconds
    while (progress := _share_done(settings, state, bound)) < 1:
        # Drawn anew for each iteration, so that it does not matter where a training was stopped.
        generator = torch.Generator(device).manual_seed(config.seed * 1_000_003 + state.iteration)
        rng = np.random.default_rng([config.seed, 2, state.iteration])
        rate = settings.learning_rate * _rate_factor(settings, state.iteration, progress)
        side = _draw_side(rng, settings, progress)
        loss, norm = _iterate(state, pools[side], prompts, settings, generator, rate)
        state.iteration += 1
        state.elapsed = time.monotonic() - began
        last = _share_done(settings, state, bound) >= 1
        figures = {"stage": "denoiser", "iteration": state.iteration, "seconds": state.elapsed}
        if state.iteration % settings.log_every == 0 or last:
            log(**figures, side=side, loss=loss.item(), norm=norm.item(), rate=rate)
        if state.iteration % settings.evaluate_every == 0 or last:
            pipeline = BatchPipeline(
                state.average, vae, prompts, config.num_frames, device, palette=lessons.model.palette
            )
            log(**figures, **lessons.evaluate(pipeline))
        if state.iteration % settings.checkpoint_every == 0 or last:
            state.save(folder)
    return state.average


def _begin(config: TrainingConfig, device: torch.device, initial: WanTransformer3DModel | None) -> _Training:
    settings = config.denoiser
    torch.manual_seed(config.seed)
    model = build_transformer(config.transformer)
    if initial is not None:
        model.load_state_dict(initial.state_dict())
    model = place(model, device).train()
    optimizer = torch.optim.AdamW(
        model.parameters(),
        settings.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=settings.weight_decay,
        fused=device.type == "cuda",
    )
    return _Training(model, copy.deepcopy(model).eval().requires_grad_(False), optimizer)


def _iterate(
    state: _Training,
    pool: LatentPool,
    prompts: PromptTable,
    settings: DenoiserTraining,
    generator: torch.Generator,
    rate: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One update of the model and of its average; the loss and the gradient's norm."""
    device, side = pool.latents.device, pool.latents.shape[-1]
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    # Compiling takes longer than the few batches of other sizes gain from it.
    stance = torch.compiler.set_stance("default" if side == _REFERENCE_SIDE else "force_eager")
    with stance, autocast(device):
        loss = _flow_matching_loss(state.model, pool, prompts, settings, generator)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
    state.optimizer.step()
    decay = min(settings.ema_decay, (2 + state.iteration) / (11 + state.iteration))
    with torch.no_grad():
        torch._foreach_lerp_(list(state.average.parameters()), list(state.model.parameters()), 1 - decay)
    return loss.detach(), norm


def _share_done(settings: DenoiserTraining, state: _Training, bound: float) -> float:
    """Share of the training that is done, by iterations or by time, whichever is further."""
    by_time = 1.0 if state.elapsed >= bound else state.elapsed / bound
    return max(state.iteration / settings.iterations, by_time)


def _rate_factor(settings: DenoiserTraining, iteration: int, progress: float) -> float:
    """Warm-up, a plateau, then linear decay over the last ``decay_share`` of training."""
    warmup = min(1.0, (iteration + 1) / settings.warmup_iterations)
    return warmup * min(1.0, max(0.0, 1 - progress) / settings.decay_share)


def _draw_side(rng: np.random.Generator, settings: DenoiserTraining, progress: float) -> int:
    phase = next((phase for phase in settings.curriculum if progress < phase.until), settings.curriculum[-1])
    sides = sorted(phase.shares)
    return int(rng.choice(sides, p=[phase.shares[side] for side in sides]))


def _flow_matching_loss(
    model: WanTransformer3DModel,
    pool: LatentPool,
    prompts: PromptTable,
    settings: DenoiserTraining,
    generator: torch.Generator,
) -> torch.Tensor:
    """Squared error of the velocity (noise - clean) at logit-normal noise levels, shifted as in sampling.

    The weights are a function of the condition alone: they speed learning up and leave its optimum in place.
    """
    device, side = pool.latents.device, pool.latents.shape[-1]
    count = round(settings.batch_size * (_REFERENCE_SIDE / side) ** 2)
    rows = torch.randint(len(pool.latents), (count,), device=device, generator=generator)
    answer = torch.randint(pool.kinds.shape[1], (count,), device=device, generator=generator)
    words = torch.randint(prompts.prompts.shape[1], (count,), device=device, generator=generator)
    clean = pool.latents[rows, answer].float()
    condition = pool.condition[rows].float()
    embeds = prompts.prompts[pool.kinds[rows, answer], words]
    is_empty = torch.rand(count, device=device, generator=generator) < settings.empty_prompt_share
    embeds = torch.where(is_empty[:, None, None], prompts.empty, embeds)

    uniform = torch.sigmoid(torch.randn(count, device=device, generator=generator))
    sigma = FLOW_SHIFT * uniform / (1 + (FLOW_SHIFT - 1) * uniform)
    noise = torch.randn(clean.shape, device=device, generator=generator)
    level = sigma.view(-1, 1, 1, 1, 1)
    noisy = (1 - level) * clean + level * noise
    hidden = torch.cat([noisy, condition_channels(condition)], dim=1)
    prediction = model(hidden, sigma * NUM_TRAIN_TIMESTEPS, embeds, return_dict=False)[0]
    weight = 1 + (settings.crossed_weight - 1) * pool.crossed[rows].float()[:, None, None]
    return (weight * (prediction.float() - (noise - clean)).square()).mean() / weight.mean()


def load_snapshot(config: TrainingConfig, path: Path) -> WanTransformer3DModel:
    """The averaged transformer of a snapshot file, float32 of its bfloat16 weights."""
    model = build_transformer(config.transformer)
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return model.eval()


def snapshots(folder: Path) -> dict[int, Path]:
    """Snapshot files by iteration."""
    return {int(path.stem.split("-")[1]): path for path in sorted(folder.glob("snapshot-*.pt"))}


def _save(value: Any, path: Path) -> None:
    """Whole or not at all, so that a training that was killed while it wrote goes on from what was there."""
    partial = path.with_suffix(".partial")
    torch.save(value, partial)
    partial.replace(path)
