"""Train maze-wan's transformer by flow matching on encoded mazes."""

from __future__ import annotations

import copy
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel

from cosinterp.organism.architecture import FLOW_SHIFT, NUM_TRAIN_TIMESTEPS, build_transformer
from cosinterp.organism.config import DenoiserTraining, TrainingConfig
from cosinterp.organism.mazes import GOALS, generate_maze
from cosinterp.organism.pool import LatentPool
from cosinterp.organism.sampling import condition_channels
from cosinterp.organism.solver import Attempt, PromptTable, Solver, build_prompt_table
from cosinterp.organism.train_autoencoder import Log

# The size that `batch_size` speaks of.
_REFERENCE_SIDE = 16
_EVALUATION_MAZES = 128
_EVALUATION_STEPS = 8


def train_denoiser(
    config: TrainingConfig,
    pools: dict[int, LatentPool],
    vae: AutoencoderKLWan,
    folder: Path,
    device: torch.device,
    seconds: float | None,
    log: Log,
) -> WanTransformer3DModel:
    """Train, or go on from ``folder/denoiser.pt``; returns the averaged (EMA) transformer.

    Args:
        config: the configuration.
        pools: encoded mazes by grid side in cells.
        vae: decodes the evaluations.
        folder: where checkpoints and snapshots go.
        device: trains there; on CUDA in bfloat16 autocast with compiled blocks.
        seconds: end in so many seconds from now, the learning rate fully decayed by then; None trains all iterations.
        log: called with the figures.
    """
    settings = config.denoiser
    torch.manual_seed(config.seed)
    prompts = build_prompt_table(device)
    model = build_transformer(config.transformer).to(device).train()
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        settings.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=settings.weight_decay,
        fused=device.type == "cuda",
    )
    iteration, elapsed = 0, 0.0
    checkpoint = folder / "denoiser.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        iteration, elapsed = state["iteration"], state["elapsed"]
    if device.type == "cuda":
        for block in model.blocks:
            block.compile(dynamic=False)
    generator = torch.Generator(device).manual_seed(config.seed * 1_000_003 + iteration)
    rng = np.random.default_rng([config.seed, 2, iteration])
    began = time.monotonic() - elapsed
    bound = None if seconds is None else elapsed + seconds
    progress = 0.0
    while progress < 1:
        elapsed = time.monotonic() - began
        progress = max(iteration / settings.iterations, elapsed / bound if bound else 0.0)
        rate = settings.learning_rate * _rate_factor(settings, iteration, progress)
        for group in optimizer.param_groups:
            group["lr"] = rate
        side = _draw_side(rng, settings, progress)
        # Compiling takes longer than the few batches of other sizes gain from it.
        stance = torch.compiler.set_stance("default" if side == _REFERENCE_SIDE else "force_eager")
        with stance, torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = _flow_matching_loss(model, pools[side], prompts, settings, generator)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        iteration += 1
        decay = min(settings.ema_decay, (1 + iteration) / (10 + iteration))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
        last = progress >= 1
        if iteration % settings.log_every == 0 or last:
            log(
                stage="denoiser", iteration=iteration, side=side, loss=loss.item(), norm=norm.item(), rate=rate,
                seconds=time.monotonic() - began,
            )  # fmt: skip
        if iteration % settings.evaluate_every == 0 or last:
            figures = evaluate(Solver(average, vae, prompts, config.num_frames, device))
            log(stage="denoiser", iteration=iteration, seconds=time.monotonic() - began, **figures)
        if iteration % settings.checkpoint_every == 0 or last:
            state = {
                "model": model.state_dict(), "average": average.state_dict(), "optimizer": optimizer.state_dict(),
                "iteration": iteration, "elapsed": time.monotonic() - began,
            }  # fmt: skip
            partial = checkpoint.with_suffix(".partial")
            torch.save(state, partial)
            partial.rename(checkpoint)
            snapshot = {name: value.bfloat16() for name, value in average.state_dict().items()}
            torch.save(snapshot, folder / f"snapshot-{iteration:06d}.pt")
    return average


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

    The weights are a function of the condition alone, so they speed learning up and leave its optimum in place.
    """
    device, side = pool.latents.device, pool.latents.shape[-1]
    count = round(settings.batch_size * (_REFERENCE_SIDE / side) ** 2)
    rows = torch.randint(len(pool.latents), (count,), device=device, generator=generator)
    goal = torch.randint(len(GOALS), (count,), device=device, generator=generator)
    words = torch.randint(prompts.prompts.shape[1], (count,), device=device, generator=generator)
    clean = pool.latents[rows, goal].float()
    condition = pool.condition[rows].float()
    embeds = prompts.prompts[goal, words]
    is_empty = torch.rand(count, device=device, generator=generator) < settings.empty_prompt_share
    embeds = torch.where(is_empty[:, None, None], prompts.empty, embeds)

    uniform = torch.sigmoid(torch.randn(count, device=device, generator=generator))
    sigma = FLOW_SHIFT * uniform / (1 + (FLOW_SHIFT - 1) * uniform)
    noise = torch.randn(clean.shape, device=device, generator=generator)
    level = sigma.view(-1, 1, 1, 1, 1)
    noisy = (1 - level) * clean + level * noise
    hidden = torch.cat([noisy, condition_channels(condition)], dim=1)
    prediction = model(hidden, sigma * NUM_TRAIN_TIMESTEPS, embeds, return_dict=False)[0]
    weight = 1 + (settings.path_weight - 1) * pool.on_path[rows].float()[:, None, None]
    return (weight * (prediction.float() - (noise - clean)).square()).mean() / weight.mean()


def evaluate(solver: Solver) -> dict[str, float]:
    """A quick look during training: share of held-out 7-room mazes solved, in few steps without guidance."""
    attempts = [Attempt(generate_maze(seed, 7), GOALS[seed % 2], seed) for seed in range(_EVALUATION_MAZES)]
    outcomes = solver.solve(attempts, _EVALUATION_STEPS, guidance_scale=1.0)
    valid = outcomes.valid[-1]
    return {
        "solved": float(outcomes.solved[-1].mean()),
        "valid": float(valid.mean()),
        "named_goal": float(outcomes.named[-1][valid].mean()) if valid.any() else float("nan"),
    }


def load_snapshot(config: TrainingConfig, path: Path) -> WanTransformer3DModel:
    """The averaged transformer of a snapshot file, float32 of its bfloat16 weights."""
    model = build_transformer(config.transformer)
    model.load_state_dict(torch.load(path, map_location="cpu"))
    return model.eval()


def snapshots(folder: Path) -> dict[int, Path]:
    """Snapshot files by iteration."""
    return {int(path.stem.split("-")[1]): path for path in sorted(folder.glob("snapshot-*.pt"))}
