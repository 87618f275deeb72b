"""HunyuanVideo-1.5: guidance by a guider, text streams in which the tokens that are there come first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

from diffusers import (
    AutoencoderKLHunyuanVideo15,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideo15ImageToVideoPipeline,
    HunyuanVideo15Pipeline,
    HunyuanVideo15Transformer3DModel,
)
from diffusers.guiders.classifier_free_guidance import ClassifierFreeGuidance
from transformers import (
    ByT5Tokenizer,
    PreTrainedTokenizerFast,
    Qwen2_5_VLTextConfig,
    Qwen2_5_VLTextModel,
    SiglipImageProcessor,
    SiglipVisionConfig,
    SiglipVisionModel,
    T5Config,
    T5EncoderModel,
)

from tests.families.row import FamilyRow, Hook, item
from tests.tiny.components import tiny_tokenizer

_CHANNELS = 4
_TEXT_DIM, _BYTE_DIM, _IMAGE_DIM = 16, 8, 8
_BLOCKS = ("transformer_blocks",)
_PROMPT, _BYTES, _PATCHES = 12, 24, 9
_TEXT = _PROMPT + _BYTES + _PATCHES
# Of this many pixels a side the buckets are those of 6 latent cells.
_TARGET = 10


def _tokenizer() -> PreTrainedTokenizerFast:
    """Its template has as many tokens before the prompt as the pipeline cuts off, and one after it."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ 'a ' * 108 }}{{ messages[1]['content'] }} it"
    return tokenizer


def _qwen() -> Qwen2_5_VLTextModel:
    config = Qwen2_5_VLTextConfig(
        vocab_size=32,
        hidden_size=_TEXT_DIM,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        bos_token_id=0,
        eos_token_id=1,
        rope_parameters={"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6},
    )
    return Qwen2_5_VLTextModel(config).eval()


def _byte_encoder() -> T5EncoderModel:
    config = T5Config(
        vocab_size=384, d_model=_BYTE_DIM, d_kv=4, d_ff=16, num_layers=1, num_heads=2, dropout_rate=0.0
    )
    return T5EncoderModel(config).eval()


def _image_encoder() -> SiglipVisionModel:
    config = SiglipVisionConfig(
        hidden_size=_IMAGE_DIM,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=6,
        patch_size=2,
    )
    return SiglipVisionModel(config).eval()


def _pipeline(cls: type, task: str, **components: Any) -> Any:
    vae = AutoencoderKLHunyuanVideo15(
        latent_channels=_CHANNELS,
        block_out_channels=(16, 16, 16),
        layers_per_block=1,
        spatial_compression_ratio=4,
        temporal_compression_ratio=4,
    ).eval()
    transformer = HunyuanVideo15Transformer3DModel(
        in_channels=2 * _CHANNELS + 1,
        out_channels=_CHANNELS,
        num_attention_heads=1,
        attention_head_dim=12,
        num_layers=2,
        num_refiner_layers=1,
        mlp_ratio=2.0,
        text_embed_dim=_TEXT_DIM,
        text_embed_2_dim=_BYTE_DIM,
        image_embed_dim=_IMAGE_DIM,
        rope_axes_dim=(4, 4, 4),
        target_size=_TARGET,
        task_type=task,
    ).eval()
    return cls(
        text_encoder=_qwen(),
        tokenizer=_tokenizer(),
        transformer=transformer,
        vae=vae,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
        text_encoder_2=_byte_encoder(),
        tokenizer_2=ByT5Tokenizer(),
        guider=ClassifierFreeGuidance(guidance_scale=6.0),
        **components,
    )


def _from_image() -> HunyuanVideo15ImageToVideoPipeline:
    return _pipeline(
        HunyuanVideo15ImageToVideoPipeline,
        "i2v",
        image_encoder=_image_encoder(),
        feature_extractor=SiglipImageProcessor(size={"height": 6, "width": 6}),
    )


@contextmanager
def short_texts() -> Iterator[None]:
    """Pipelines made within have few text tokens; the 1985 that they have else are nothing's argument."""
    with (
        patch.object(HunyuanVideo15Pipeline, "__init__", _short(HunyuanVideo15Pipeline.__init__)),
        patch.object(
            HunyuanVideo15ImageToVideoPipeline,
            "__init__",
            _short(HunyuanVideo15ImageToVideoPipeline.__init__),
        ),
    ):
        yield


def _short(made: Callable[..., None]) -> Callable[..., None]:
    @wraps(made)
    def shortened(self: Any, *args: Any, **components: Any) -> None:
        made(self, *args, **components)
        self.tokenizer_max_length = _PROMPT
        self.tokenizer_2_max_length = _BYTES
        self.vision_num_semantic_tokens = _PATCHES

    return shortened


def _row(name: str, build: Any, **more: Any) -> FamilyRow:
    return FamilyRow(
        name=name,
        build=build,
        hooks={
            "resid": Hook(_BLOCKS, take=item(0)),
            "text": Hook(_BLOCKS, take=item(1)),
            "self_attn.raw": Hook(_BLOCKS, "attn", item(0)),
            "mlp.raw": Hook(_BLOCKS, "ff"),
        },
        entering={"resid": "hidden_states", "text": "encoder_hidden_states"},
        positions={"resid": 0, "text": 1},
        calls=(("cond",), ("uncond",)),
        size={"height": 8, "width": 12, "num_frames": 9},
        grids={"resid": (3, 2, 3), "text": (1, 1, _TEXT)},
        installed=short_texts,
        **more,
    )


ROWS = [
    _row("HunyuanVideo-1.5 T2V", lambda: _pipeline(HunyuanVideo15Pipeline, "t2v")),
    _row("HunyuanVideo-1.5 I2V", _from_image, image=True, prompt='find the "red goal"'),
]
