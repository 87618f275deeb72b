"""What decoded latents drew: the path cells of the last frame, and how cleanly they are drawn."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKLWan

from cosinterp.organism.bulk_ensembles.outcomes import Drawn
from cosinterp.organism.rendering import PATH, colour, read_cells
from cosinterp.organism.sampling import decode_video


def read_latents(vae: AutoencoderKLWan, latents: torch.Tensor, batch: int) -> Drawn:
    """Decode latents (video, channel, frame, row, col), ``batch`` at a time, and read what they drew."""
    cells, blur = [], []
    for part in latents.split(batch):
        last = decode_video(vae, part)[:, -1].cpu().numpy()
        classes = read_cells(last)
        cells.append(classes == PATH)
        apart = np.abs(last.astype(np.int16) - colour(classes))
        blur.append(apart.mean(axis=(1, 2, 3), dtype=np.float32))
    return Drawn(np.concatenate(cells), np.concatenate(blur))
