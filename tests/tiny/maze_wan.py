"""maze-wan with narrow parts, drawn at random: all that it is but able, and a few times as quick."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKLWan

from cosinterp.models.loading import bundled_folder
from cosinterp.organism.architecture import TransformerSize, build_transformer, build_vae

NARROW = TransformerSize(num_heads=1, head_dim=12, ffn_dim=16)


def narrow_maze_wan(folder: Path) -> Path:
    """Write it to `folder`, which is to be made; returns `folder`. It has as many blocks as the bundled."""
    shutil.copytree(bundled_folder("maze-wan"), folder, ignore=shutil.ignore_patterns("transformer", "vae"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformer = build_transformer(NARROW)
        # Else each block is close to the identity, and what is changed where would hardly matter.
        for parameter in transformer.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        vae = narrow_vae()
    transformer.to(torch.bfloat16).save_pretrained(folder / "transformer")
    vae.to(torch.bfloat16).save_pretrained(folder / "vae")
    return folder


def narrow_vae(
    latents_mean: list[float] | None = None, latents_std: list[float] | None = None
) -> AutoencoderKLWan:
    """As `build_vae`, with a quarter of its channels between pixels and latents."""
    config = build_vae(latents_mean, latents_std).config
    made = AutoencoderKLWan.from_config(config, base_dim=config["base_dim"] // 4)
    assert isinstance(made, AutoencoderKLWan)
    return made
