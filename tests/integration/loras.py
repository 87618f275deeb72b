"""LoRAs of every naming, made of the same changes of a tiny Wan, and what they have to change."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from cosinterp.models.loading import load
from cosinterp.models.model import Model
from tests.tiny.wan import NUM_BLOCKS

KIND = "wan2.2-t2v-a14b"
RANK = 2
BLOCKS = range(NUM_BLOCKS)
# The module's name in diffusers, and in the code that Wan was published with.
NAMES = {
    "attn1.to_q": "self_attn.q",
    "attn1.to_k": "self_attn.k",
    "attn1.to_v": "self_attn.v",
    "attn1.to_out.0": "self_attn.o",
    "attn2.to_q": "cross_attn.q",
    "attn2.to_k": "cross_attn.k",
    "attn2.to_v": "cross_attn.v",
    "attn2.to_out.0": "cross_attn.o",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
}

Tensors = dict[str, torch.Tensor]
Changes = dict[str, tuple[torch.Tensor, torch.Tensor]]


def changes(folder: Path, seed: int = 0, expert: str = "transformer") -> Changes:
    """Random factors (down, up) for modules of the expert's blocks, by the module's name in diffusers."""
    generator = torch.Generator().manual_seed(seed)
    weights = expert_weights(folder, expert)
    made = {}
    for block in BLOCKS:
        for name in NAMES:
            out, into = weights[f"blocks.{block}.{name}.weight"].shape
            down = torch.randn(RANK, into, generator=generator) / math.sqrt(into)
            made[f"blocks.{block}.{name}"] = down, torch.randn(out, RANK, generator=generator)
    return made


def expert_weights(folder: Path, expert: str) -> Tensors:
    return load_file(folder / expert / "diffusion_pytorch_model.safetensors")


def original(name: str) -> str:
    blocks, number, module = name.split(".", 2)
    return f"{blocks}.{number}.{NAMES[module]}"


def as_diffusers(made: Changes) -> Tensors:
    return {
        f"transformer.{name}.{end}.weight": tensor
        for name, pair in made.items()
        for end, tensor in zip(("lora_A", "lora_B"), pair, strict=True)
    }


def as_peft(made: Changes) -> Tensors:
    return {key.replace("transformer.", "base_model.model.", 1): t for key, t in as_diffusers(made).items()}


def as_diffsynth(made: Changes, ends: tuple[str, str] = ("lora_A.default", "lora_B.default")) -> Tensors:
    return {
        f"{original(name)}.{end}.weight": tensor
        for name, pair in made.items()
        for end, tensor in zip(ends, pair, strict=True)
    }


def as_comfy(made: Changes, alpha: float) -> Tensors:
    tensors = {f"diffusion_model.{key}": t for key, t in as_diffsynth(made, ("lora_down", "lora_up")).items()}
    alphas = {f"diffusion_model.{original(name)}.alpha": torch.tensor(alpha) for name in made}
    return tensors | alphas


def as_kohya(made: Changes, alpha: float) -> Tensors:
    tensors: Tensors = {}
    for name, (down, up) in made.items():
        flat = f"lora_unet_{original(name).replace('.', '_')}"
        tensors |= {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up}
        tensors[f"{flat}.alpha"] = torch.tensor(alpha)
    return tensors


def reference(folder: Path, made: Changes, scale: float, expert: str = "transformer") -> Any:
    """The expert with its weights changed by hand: W + scale B A."""
    denoiser = getattr(load(folder, device="cpu").pipeline, expert)
    weights = expert_weights(folder, expert)
    for name, (down, up) in made.items():
        weights[f"{name}.weight"] = weights[f"{name}.weight"] + scale * (up @ down)
    denoiser.load_state_dict(weights)
    return denoiser


@torch.no_grad()
def output(denoiser: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    config = denoiser.config
    return denoiser(
        hidden_states=torch.randn(1, config.in_channels, 3, 8, 8, generator=generator),
        timestep=torch.tensor([500]),
        encoder_hidden_states=torch.randn(1, 4, config.text_dim, generator=generator),
        return_dict=False,
    )[0]


def assert_changed_by(
    model: Model, folder: Path, made: Changes, scale: float, expert: str = "transformer"
) -> None:
    """The expert computes what changed weights compute, up to rounding, and nothing like the unchanged."""
    got = output(getattr(model.pipeline, expert))
    wanted = output(reference(folder, made, scale, expert))
    unchanged = output(getattr(load(folder, device="cpu").pipeline, expert))
    moved = (wanted - unchanged).abs().max()
    assert (got - wanted).abs().max() < 1e-4 * moved


def written(tensors: Tensors, path: Path) -> Path:
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    return path


def with_metadata(tensors: Tensors, path: Path, metadata: Any) -> Path:
    """Write a LoRA with settings as diffusers keeps them."""
    save_file(
        {key: tensor.contiguous() for key, tensor in tensors.items()},
        path,
        {"lora_adapter_metadata": json.dumps(metadata)},
    )
    return path
