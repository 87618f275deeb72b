"""The tokenizer and the random text encoder tell prompts apart."""

from __future__ import annotations

import pytest
import torch

from cosinterp.organism.architecture import (
    MAX_SEQUENCE_LENGTH,
    TEXT_DIM,
    build_text_encoder,
    build_tokenizer,
    encode_prompts,
)
from cosinterp.organism.mazes import GOALS
from cosinterp.organism.tasks import PROMPTS


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(PROMPTS.values())


@pytest.fixture(scope="module")
def encoder(tokenizer):
    return build_text_encoder(len(tokenizer))


def test_the_tokenizer_is_the_same_each_time(tokenizer):
    assert build_tokenizer(PROMPTS.values()).get_vocab() == tokenizer.get_vocab()


def test_known_prompts_are_few_tokens_and_any_words_survive(tokenizer):
    assert len(tokenizer(PROMPTS["red"][0]).input_ids) <= 8
    text = "Zigzag quickly, then walk to the green goal!"
    ids = tokenizer(text).input_ids
    assert tokenizer.unk_token_id not in ids
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == text


def test_the_encoder_is_the_same_each_time_and_leaves_the_generator_alone(tokenizer, encoder):
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    again = build_text_encoder(len(tokenizer)).state_dict()
    assert torch.equal(torch.randn(3), expected)
    assert all(torch.equal(again[name], value) for name, value in encoder.state_dict().items())
    other = build_text_encoder(len(tokenizer), seed=1).state_dict()
    assert not torch.equal(other["shared.weight"], again["shared.weight"])


def test_every_prompt_has_an_embedding_of_its_own(tokenizer, encoder):
    prompts = [prompt for goal in GOALS for prompt in PROMPTS[goal]] + [""]
    embeds = encode_prompts(tokenizer, encoder, prompts)
    assert embeds.shape == (len(prompts), MAX_SEQUENCE_LENGTH, TEXT_DIM)
    apart = torch.cdist(embeds.flatten(1), embeds.flatten(1)) + torch.eye(len(prompts)) * 1e9
    assert apart.min() > 1


def test_embeddings_are_zero_after_the_end_and_do_not_depend_on_the_batch(tokenizer, encoder):
    short, long = PROMPTS["red"][0], PROMPTS["blue"][3]
    embeds = encode_prompts(tokenizer, encoder, [short, long])
    for row, prompt in zip(embeds, [short, long], strict=True):
        length = len(tokenizer(prompt).input_ids)
        assert (row[length:] == 0).all()
        assert (row[:length].abs().sum(dim=-1) > 0).all()
    torch.testing.assert_close(encode_prompts(tokenizer, encoder, [short])[0], embeds[0])
