"""maze-wan with a narrow denoiser, drawn at random: all that it is but able, and a few times as quick."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from cosinterp.models.loading import bundled_folder
from cosinterp.organism.architecture import TransformerSize, build_transformer

NARROW = TransformerSize(num_heads=1, head_dim=12, ffn_dim=16)


def narrow_maze_wan(folder: Path) -> Path:
    """Write it to `folder`, which is to be made; returns `folder`. It has as many blocks as the bundled."""
    shutil.copytree(bundled_folder("maze-wan"), folder, ignore=shutil.ignore_patterns("transformer"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformer = build_transformer(NARROW)
        # Else each block is close to the identity, and what is changed where would hardly matter.
        for parameter in transformer.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    transformer.to(torch.bfloat16).save_pretrained(folder / "transformer")
    return folder
