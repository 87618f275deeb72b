"""Let maze-wan solve mazes in bulk, and score what it drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

from cosinterp.organism.architecture import (
    autocast,
    build_scheduler,
    build_text_encoder,
    build_tokenizer,
    encode_prompts,
    round_weights,
)
from cosinterp.organism.mazes import GOALS
from cosinterp.organism.measures import Attempt
from cosinterp.organism.pool import condition_pixels, encode_mode
from cosinterp.organism.rendering import PATH, first_cells, read_cells
from cosinterp.organism.sampling import decode_video, initial_noise, sample_latents
from cosinterp.organism.scoring import score_video
from cosinterp.organism.tasks import PROMPTS, truth


@dataclass(frozen=True, eq=False)
class PromptTable:
    """The task's prompts, embedded.

    Attributes:
        prompts: (goal, paraphrase, token, channel), goals as in ``mazes.GOALS``.
        empty: (1, token, channel), of the empty prompt.
    """

    prompts: torch.Tensor
    empty: torch.Tensor


def build_prompt_table(device: torch.device) -> PromptTable:
    """Embed every prompt with the text encoder as it is shipped, its weights rounded to bfloat16."""
    tokenizer = build_tokenizer()
    encoder = build_text_encoder(len(tokenizer))
    round_weights(encoder)
    return embed_prompts(tokenizer, encoder, device)


def embed_prompts(
    tokenizer: PreTrainedTokenizerFast, encoder: UMT5EncoderModel, device: torch.device
) -> PromptTable:
    """Embed every prompt; ``encoder`` is on the CPU, the table on ``device``."""
    prompts = [encode_prompts(tokenizer, encoder, list(PROMPTS[goal])) for goal in GOALS]
    return PromptTable(torch.stack(prompts).to(device), encode_prompts(tokenizer, encoder, [""]).to(device))


@dataclass(frozen=True, eq=False)
class Outcomes:
    """What came of a list of attempts.

    The step axis holds the clean estimates of all steps if those were asked for, else the final video alone.

    Attributes:
        solved: bool (step, attempt).
        valid: bool (step, attempt): a path from the start to one goal and nothing else.
        named: bool (step, attempt): the goal reached is the one that the prompt names.
        drawn: bool (step, attempt, row, col): the last frame's path cells.
        path_length: int (attempt,): cells of the true path, both ends included.
    """

    solved: np.ndarray
    valid: np.ndarray
    named: np.ndarray
    drawn: np.ndarray
    path_length: np.ndarray


@dataclass(frozen=True)
class Solver:
    """The model's parts on a device. On CUDA it computes in bfloat16 autocast."""

    transformer: WanTransformer3DModel
    vae: AutoencoderKLWan
    prompts: PromptTable
    num_frames: int
    device: torch.device
    batch_size: int = 256

    def solve(
        self, attempts: Sequence[Attempt], num_steps: int, guidance_scale: float, each_step: bool = False
    ) -> Outcomes:
        """Denoise, decode and score; all mazes of one drawn size.

        Args:
            attempts: what to solve.
            num_steps: denoising steps.
            guidance_scale: 1 or less runs the ``cond`` branch alone.
            each_step: score the clean estimate of every step; the last step's is the final video.
        """
        batches = [
            self._solve_batch(attempts[start : start + self.batch_size], num_steps, guidance_scale, each_step)
            for start in range(0, len(attempts), self.batch_size)
        ]
        return Outcomes(
            solved=np.concatenate([batch.solved for batch in batches], axis=1),
            valid=np.concatenate([batch.valid for batch in batches], axis=1),
            named=np.concatenate([batch.named for batch in batches], axis=1),
            drawn=np.concatenate([batch.drawn for batch in batches], axis=1),
            path_length=np.concatenate([batch.path_length for batch in batches]),
        )

    @torch.no_grad()
    def _solve_batch(
        self, attempts: Sequence[Attempt], num_steps: int, guidance_scale: float, each_step: bool
    ) -> Outcomes:
        cells = np.stack([first_cells(attempt.maze) for attempt in attempts])
        condition = encode_mode(self.vae, condition_pixels(cells, self.num_frames, self.device))
        embeds = torch.stack([self.prompts.prompts[GOALS.index(attempt.goal), 0] for attempt in attempts])
        noise = initial_noise([attempt.seed for attempt in attempts], *condition.shape[2:]).to(self.device)
        estimates: list[torch.Tensor] = []
        with autocast(self.device):
            latents = sample_latents(
                self.transformer,
                build_scheduler(),
                noise,
                condition,
                embeds,
                self.prompts.empty,
                num_steps,
                guidance_scale,
                on_step=(lambda _, estimate: estimates.append(estimate)) if each_step else None,
            )
        truths = [truth(attempt.maze, attempt.goal) for attempt in attempts]
        solved, valid, named, drawn = [], [], [], []
        for latent in estimates or [latents]:
            videos = torch.cat([decode_video(self.vae, part) for part in latent.split(64)]).cpu().numpy()
            scores = [score_video(video, known) for video, known in zip(videos, truths, strict=True)]
            solved.append([score.solved for score in scores])
            valid.append([score.valid_path for score in scores])
            named.append([s.goal_reached == a.goal for s, a in zip(scores, attempts, strict=True)])
            drawn.append(read_cells(videos[:, -1]) == PATH)
        return Outcomes(
            solved=np.array(solved),
            valid=np.array(valid),
            named=np.array(named),
            drawn=np.stack(drawn),
            path_length=np.array([known["path_length"] for known in truths]),
        )
