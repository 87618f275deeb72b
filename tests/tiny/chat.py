"""Text encoders that read a prompt in a chat template, Llama and Llava, and the CLIP that goes with them."""

from __future__ import annotations

from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedTokenizerFast,
)

from tests.tiny.components import WORDS

CHAT_DIM = 16
CLIP_DIM = 8
_SPECIAL = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<image>")
_IMAGE_TOKEN = 2 + _SPECIAL.index("<image>")


def tiny_chat_tokenizer() -> PreTrainedTokenizerFast:
    """Words, marks and line breaks are tokens, and each text begins with `<|begin_of_text|>`."""
    vocabulary = {token: index for index, token in enumerate(["<pad>", "<unk>", *_SPECIAL, "\n\n", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in _SPECIAL])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            # Pipelines cut off as many tokens as Llama has in their templates: one more than there are words.
            pre_tokenizers.Split(Regex(r"\n+|back|\w+|[^\w\s]"), "isolated"),
            pre_tokenizers.Split(Regex(r" +"), "removed"),
        ]
    )
    first = _SPECIAL[0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A", special_tokens=[(first, vocabulary[first])]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")


def tiny_llama() -> LlamaModel:
    return LlamaModel(_llama()).eval()


def tiny_llava() -> LlavaForConditionalGeneration:
    """Sees an image as 576 tokens."""
    vision = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=48,
        patch_size=2,
    )
    config = LlavaConfig(vision_config=vision, text_config=_llama(), image_token_index=_IMAGE_TOKEN)
    # The pipeline asks for it beside the one of the text's own configuration.
    config.pad_token_id = 0
    return LlavaForConditionalGeneration(config).eval()


def tiny_llava_images() -> CLIPImageProcessor:
    return CLIPImageProcessor(size={"shortest_edge": 48}, crop_size={"height": 48, "width": 48})


def tiny_pooling_clip() -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=32,
        hidden_size=CLIP_DIM,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=1,
    )
    return CLIPTextModel(config).eval()


def _llama() -> LlamaConfig:
    return LlamaConfig(
        vocab_size=32,
        hidden_size=CHAT_DIM,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        pad_token_id=0,
    )
