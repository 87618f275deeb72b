"""The parts of the bundled models: the classes that diffusers' own Wan2.2 image-to-video pipeline is made of.

Only the sizes are small. The text encoder is a random UMT5 that is never trained: the transformer's own text
projection learns to read its (fixed, distinct) token embeddings.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import (
    AutoencoderKLWan,
    ConfigMixin,
    UniPCMultistepScheduler,
    WanImageToVideoPipeline,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from cosinterp.organism.lessons import BundledModel
from cosinterp.organism.mazes import DEFAULT_ROOMS
from cosinterp.organism.rendering import CELL_PX, NUM_FRAMES, grid_side

LATENT_CHANNELS = 8
TEMPORAL_FACTOR = 2
MAX_SEQUENCE_LENGTH = 32
TEXT_DIM = 64
FLOW_SHIFT = 3.0
NUM_TRAIN_TIMESTEPS = 1000

_Module = TypeVar("_Module", bound=torch.nn.Module)


@dataclass(frozen=True)
class TransformerSize:
    """Blocks, attention heads, channels a head, and feed-forward width of the transformer."""

    num_layers: int = 8
    num_heads: int = 6
    head_dim: int = 32
    ffn_dim: int = 768


def build_tokenizer(prompts: Iterable[Sequence[str]]) -> PreTrainedTokenizerFast:
    """A byte-pair tokenizer with merges from prompts (kind, wording); other words fall apart into letters."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=["<pad>", "</s>", "<unk>"],
        initial_alphabet=[chr(code) for code in range(33, 127)] + ["▁"],
        show_progress=False,
    )
    tokenizer.train_from_iterator([prompt for wordings in prompts for prompt in wordings], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", tokenizer.token_to_id("</s>"))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=MAX_SEQUENCE_LENGTH,
    )


def build_text_encoder(vocab_size: int, seed: int = 0) -> UMT5EncoderModel:
    """A random UMT5 encoder of 2 layers, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = UMT5Config(
            vocab_size=vocab_size,
            d_model=TEXT_DIM,
            d_kv=16,
            d_ff=128,
            num_layers=2,
            num_heads=4,
            dropout_rate=0.0,
        )
        return UMT5EncoderModel(config).eval()


def build_vae(
    latents_mean: list[float] | None = None, latents_std: list[float] | None = None
) -> AutoencoderKLWan:
    """The video autoencoder: 4 px and 2 frames a latent cell, 8 channels; the first frame stands alone."""
    return AutoencoderKLWan(
        base_dim=16,
        z_dim=LATENT_CHANNELS,
        dim_mult=[1, 2, 2],
        num_res_blocks=1,
        attn_scales=[],
        temperal_downsample=[False, True],
        latents_mean=latents_mean or [0.0] * LATENT_CHANNELS,
        latents_std=latents_std or [1.0] * LATENT_CHANNELS,
        scale_factor_spatial=CELL_PX,
        scale_factor_temporal=TEMPORAL_FACTOR,
    )


def build_transformer(size: TransformerSize) -> WanTransformer3DModel:
    """The denoiser. Its input channels are the noisy latent, the frame mask and the encoded first frame."""
    return WanTransformer3DModel(
        patch_size=(1, 1, 1),
        num_attention_heads=size.num_heads,
        attention_head_dim=size.head_dim,
        in_channels=2 * LATENT_CHANNELS + TEMPORAL_FACTOR,
        out_channels=LATENT_CHANNELS,
        text_dim=TEXT_DIM,
        freq_dim=256,
        ffn_dim=size.ffn_dim,
        num_layers=size.num_layers,
        cross_attn_norm=True,
        rope_max_seq_len=64,
    )


def build_scheduler() -> UniPCMultistepScheduler:
    """Wan's own scheduler settings: UniPC on flow sigmas."""
    return UniPCMultistepScheduler(
        num_train_timesteps=NUM_TRAIN_TIMESTEPS,
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=FLOW_SHIFT,
        solver_order=2,
    )


@torch.no_grad()
def encode_prompts(
    tokenizer: PreTrainedTokenizerFast, text_encoder: UMT5EncoderModel, prompts: list[str]
) -> torch.Tensor:
    """Prompt embeddings as the pipeline makes them, (prompt, token, channel), zero after a prompt's end."""
    tokens = tokenizer(
        prompts, padding="max_length", max_length=MAX_SEQUENCE_LENGTH, truncation=True, return_tensors="pt"
    )
    embeds = text_encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
    return embeds * tokens.attention_mask[..., None]


def place(module: _Module, device: torch.device) -> _Module:
    """``module.to(device)``, which diffusers' models declare without its arguments."""
    torch.nn.Module.to(module, device)
    return module


def autocast(device: torch.device) -> torch.autocast:
    """Computing in bfloat16 on CUDA, in the weights' own dtype elsewhere."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


@torch.no_grad()
def round_weights(module: torch.nn.Module, dtype: torch.dtype = torch.bfloat16) -> None:
    """Round parameters to what ``dtype`` can hold, in place, keeping their own dtype."""
    for parameter in module.parameters():
        parameter.copy_(parameter.to(dtype))


def ready_to_save(module: _Module, dtype: torch.dtype = torch.bfloat16) -> _Module:
    """The module with its weights in ``dtype``, in place, and without the folder that it was read from.

    Not by ``module.to(dtype)``, which warns of layers that want float32 in use.
    """
    for parameter in module.parameters():
        parameter.data = parameter.data.to(dtype)
    if isinstance(module, ConfigMixin):
        module.register_to_config(_name_or_path="")
    return module


def save_pipeline(
    folder: Path,
    vae: AutoencoderKLWan,
    transformer: WanTransformer3DModel,
    model: BundledModel,
    dtype: torch.dtype = torch.bfloat16,
) -> None:
    """Write the pipeline in diffusers' layout, with its sampling defaults beside it in ``cosinterp.json``.

    Args:
        folder: made if missing; its name is the model's.
        vae: cast to ``dtype`` in place.
        transformer: cast to ``dtype`` in place.
        model: says the prompts that the tokenizer is made for, the task and the sampling defaults.
        dtype: of the saved weights.
    """
    tokenizer = build_tokenizer(model.prompts)
    pipeline = WanImageToVideoPipeline(
        tokenizer=tokenizer,  # pyright: ignore[reportArgumentType]
        text_encoder=ready_to_save(build_text_encoder(len(tokenizer)), dtype),  # pyright: ignore[reportArgumentType]
        vae=ready_to_save(vae, dtype),
        scheduler=build_scheduler(),  # pyright: ignore[reportArgumentType]
        transformer=ready_to_save(transformer, dtype),
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    size = grid_side(DEFAULT_ROOMS) * CELL_PX
    defaults: dict[str, float] = {
        "height": size,
        "width": size,
        "num_frames": NUM_FRAMES,
        "max_sequence_length": MAX_SEQUENCE_LENGTH,
    } | dict(model.sampling)
    manifest = {"name": folder.name, "task": model.task, "sampling": defaults}
    (folder / "cosinterp.json").write_text(json.dumps(manifest, indent=2) + "\n")
