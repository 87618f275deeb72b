"""What encoders are answered from memory, and what is asked of them anew."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from transformers.modeling_outputs import BaseModelOutput

from cosinterp.replaying.preamble import Preamble


class TextEncoder(torch.nn.Module):
    """Returns what it was given, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Any] = []

    def forward(self, ids: Any, attention_mask: Any = None, **kwargs: Any) -> BaseModelOutput:
        self.calls.append((ids, attention_mask, kwargs))
        hidden = ids.double() if isinstance(ids, torch.Tensor) else torch.zeros(1)
        return BaseModelOutput(last_hidden_state=hidden, hidden_states=(hidden, hidden + 1))


class Vae(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def encode(self, x: torch.Tensor) -> AutoencoderKLOutput:
        self.calls += 1
        return AutoencoderKLOutput(latent_dist=DiagonalGaussianDistribution(x.clone()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Denoiser(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@dataclass
class Parts:
    text: TextEncoder
    other: TextEncoder
    vae: Vae
    denoiser: Denoiser
    preamble: Preamble


@pytest.fixture
def parts() -> Parts:
    text, other, vae, denoiser = TextEncoder(), TextEncoder(), Vae(), Denoiser()
    components = {
        "text_encoder": text,
        "text_encoder_2": other,
        "vae": vae,
        "transformer": denoiser,
        "tokenizer": object(),
        "image_encoder": None,
    }
    model = SimpleNamespace(
        pipeline=SimpleNamespace(components=components), anatomy=SimpleNamespace(experts=("transformer",))
    )
    return Parts(text, other, vae, denoiser, Preamble(cast("Any", model)))


IDS, MASK = torch.arange(6).view(1, 6), torch.tensor([[1, 1, 1, 0, 0, 0]])


def asked_again(parts: Parts, first: tuple[Any, dict[str, Any]], second: tuple[Any, dict[str, Any]]) -> bool:
    """Whether the second call of a text encoder had to run it."""
    with parts.preamble.remembered():
        parts.text(*first[0], **first[1])
        parts.text(*second[0], **second[1])
    return len(parts.text.calls) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (((IDS,), {}), ((IDS.clone(),), {})),
        (((IDS, MASK), {}), ((IDS, MASK.clone()), {})),
        (((IDS,), {"attention_mask": None}), ((IDS,), {"attention_mask": None})),
        (
            ((IDS,), {"output_hidden_states": True, "scale": 0.5, "task": "t2v", "dtype": torch.float32}),
            ((IDS,), {"output_hidden_states": True, "scale": 0.5, "task": "t2v", "dtype": torch.float32}),
        ),
        (((IDS,), {"inputs": [MASK, (IDS,)]}), ((IDS,), {"inputs": [MASK, (IDS,)]})),
        # As they lie in memory does not matter, nor do numbers that are not looked at.
        (((IDS.t(),), {}), ((IDS.t().contiguous(),), {})),
        (((torch.tensor(3),), {}), ((torch.tensor(3),), {})),
        (((torch.zeros(0, 4),), {}), ((torch.zeros(0, 4),), {})),
        (((torch.ones(3, dtype=torch.bool),), {}), ((torch.ones(3, dtype=torch.bool),), {})),
        (((torch.ones(3, dtype=torch.bfloat16),), {}), ((torch.ones(3, dtype=torch.bfloat16),), {})),
    ],
)
def test_equal_arguments_are_answered_from_memory(parts: Parts, first: Any, second: Any) -> None:
    assert not asked_again(parts, first, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (((IDS,), {}), ((IDS + 1,), {})),
        (((IDS,), {}), ((IDS.float(),), {})),
        (((IDS,), {}), ((IDS.view(2, 3),), {})),
        (((IDS,), {}), ((IDS, MASK), {})),
        (((IDS, MASK), {}), ((IDS,), {"attention_mask": MASK})),
        (((IDS,), {"output_hidden_states": True}), ((IDS,), {"output_hidden_states": 1})),
        (((IDS,), {"output_hidden_states": True}), ((IDS,), {"return_dict": True})),
        (((IDS,), {"a": 1, "b": 2}), ((IDS,), {"a": 2, "b": 1})),
        (((IDS,), {"inputs": [IDS, MASK]}), ((IDS,), {"inputs": [[IDS], MASK]})),
        (((torch.zeros(1),), {}), ((-torch.zeros(1),), {})),
        (((torch.ones(2, dtype=torch.float16),), {}), ((torch.ones(2, dtype=torch.bfloat16),), {})),
    ],
)
def test_other_arguments_are_not(parts: Parts, first: Any, second: Any) -> None:
    assert asked_again(parts, first, second)


@pytest.mark.parametrize("what", [object(), torch.Generator(), {1, 2}, IDS.numpy()])
def test_what_is_not_plain_is_passed_through(parts: Parts, what: Any) -> None:
    assert asked_again(parts, ((what,), {}), ((what,), {}))
    assert parts.text.calls[0][0] is what


def test_the_answer_is_that_of_the_encoder(parts: Parts) -> None:
    plain = parts.text(IDS)
    with parts.preamble.remembered():
        for _ in range(2):
            answer = parts.text(IDS)
            assert type(answer) is BaseModelOutput
            assert torch.equal(answer.last_hidden_state, plain.last_hidden_state)
            assert all(map(torch.equal, answer.hidden_states, plain.hidden_states))


def test_who_writes_into_an_answer_does_not_change_the_memory(parts: Parts) -> None:
    pixels = torch.randn(1, 4, 2, 2)
    with parts.preamble.remembered():
        for _ in range(3):
            text = parts.text(IDS).last_hidden_state
            assert torch.equal(text, IDS.double())
            text.zero_()
            # A distribution is no tensor, and holds some.
            latents = parts.vae.encode(pixels).latent_dist
            assert torch.equal(latents.mode(), pixels[:, :2])
            latents.mean.zero_()
    assert (len(parts.text.calls), parts.vae.calls) == (1, 1)


def test_who_writes_into_an_argument_does_not_change_the_memory(parts: Parts) -> None:
    ids = IDS.double()
    with parts.preamble.remembered():
        assert parts.text(ids).last_hidden_state is ids
        ids.add_(1)
        assert torch.equal(parts.text(IDS.double()).last_hidden_state, IDS.double())


def test_encoders_do_not_answer_for_each_other(parts: Parts) -> None:
    with parts.preamble.remembered():
        parts.text(IDS)
        parts.other(IDS)
    assert (len(parts.text.calls), len(parts.other.calls)) == (1, 1)


def test_the_last_few_of_each_encoder_are_kept(parts: Parts) -> None:
    def ask(*values: int) -> list[int]:
        """The values that the encoder had to run for."""
        parts.text.calls.clear()
        with parts.preamble.remembered():
            for value in values:
                parts.text(torch.tensor([value]))
        return [int(ids) for ids, _, _ in parts.text.calls]

    with parts.preamble.remembered():
        parts.other(IDS)
    assert ask(*range(8)) == list(range(8))
    assert ask(0, *range(8)) == []
    # The one that was asked for longest ago makes room.
    assert ask(0, 8) == [8]
    assert ask(0, 2, 8) == []
    assert ask(1) == [1]
    parts.other.calls.clear()
    with parts.preamble.remembered():
        parts.other(IDS)
    assert parts.other.calls == []


def test_modules_are_put_back_also_after_an_error(parts: Parts) -> None:
    def own(x: torch.Tensor) -> torch.Tensor:
        return x

    def fails() -> None:
        assert "forward" in vars(parts.text)
        assert parts.vae.encode is not own
        assert not {"forward", "encode"} & set(vars(parts.denoiser))
        raise ValueError("a fault")

    parts.vae.encode = own  # type: ignore[method-assign, assignment]
    with pytest.raises(ValueError, match="a fault"), parts.preamble.remembered():
        fails()
    assert "forward" not in vars(parts.text)
    assert parts.vae.encode is own


def test_an_error_of_an_encoder_is_not_remembered(parts: Parts) -> None:
    class Failing(torch.nn.Module):
        calls = 0

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("out of memory")
            return ids

    encoder = Failing()
    model = SimpleNamespace(
        pipeline=SimpleNamespace(components={"text_encoder": encoder}), anatomy=SimpleNamespace(experts=())
    )
    preamble = Preamble(cast("Any", model))
    with pytest.raises(RuntimeError, match="out of memory"), preamble.remembered():
        encoder(IDS)
    with preamble.remembered():
        assert torch.equal(encoder(IDS), IDS)
        assert torch.equal(encoder(IDS), IDS)
    assert encoder.calls == 2
