"""Seeds that do not fit on the GPU at once: fewer go at a time, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from cosinterp.errors import UserError
from cosinterp.models.model import Model
from cosinterp.planning.plan import PlannedSample
from tests.integration.ensembling import Heard, made, merging, planned, row_by_row
from tests.tiny import sample_for

KIND = "wan2.1-t2v"
NUM_STEPS = 3
SEEDS = (3, 4, 5)


@pytest.fixture
def model(tiny_model: Callable[..., Model]) -> Model:
    return tiny_model(KIND)


@pytest.fixture
def sample(model: Model) -> PlannedSample:
    return planned(model, sample_for(KIND), num_steps=NUM_STEPS, guidance_scale=3.0)


@contextmanager
def room_for(model: Model, rows: int, since: int = 0) -> Iterator[list[int]]:
    """Within the block, so many rows at most fit through a block of the denoiser, from its call ``since`` on.

    What is yielded are the rows of the calls.
    """
    calls: list[int] = []

    def fill(_: Any, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        calls.append(len(output))
        if len(calls) > since and len(output) > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    # Within a block: it does not run where the block is skipped.
    handle = model.pipeline.transformer.blocks[1].attn1.register_forward_hook(fill)
    try:
        yield calls
    finally:
        handle.remove()


def check_same(one: Heard, other: Heard) -> None:
    here, there = one.tensors(), other.tensors()
    assert here.keys() == there.keys()
    for name, tensor in here.items():
        assert torch.equal(tensor, there[name]), name


@pytest.mark.parametrize(
    ("what", "steps", "then", "since"),
    [
        ("latent", (0, 1), "one", 0),
        ("x0", (0, 1), "all", 3),
        ("prediction", (1,), "one", 2),
        ("hidden", (0, 2), "all", 5),
    ],
)
def test_fewer_seeds_go_on_from_the_step_at_which_they_did_not_fit(what, steps, then, since, model, sample):
    """With the very numbers that they have where all fit, and with no step made twice."""
    asked, layers = merging(what, *steps, then=then), {"resid": (1, 2)}
    with row_by_row():
        whole = made(model, sample, asked, SEEDS, layers=layers)
        with room_for(model, 1, since) as calls:
            heard = made(model, sample, asked, SEEDS, layers=layers)
    check_same(heard, whole)
    assert heard.retries == len(heard.notes)
    assert set(heard.activations) == set(whole.activations)
    assert all(torch.equal(tokens, whole.activations[key]) for key, tokens in heard.activations.items())
    assert heard.notes == [
        f"3 seeds at once did not fit at step {since // 2}: going on with 2 at a time",
        f"2 seeds at once did not fit at step {since // 2}: going on with 1 at a time",
    ]
    refused = sum(rows for rows in calls[since:] if rows > 1)
    if since % 2 == 0 and what != "hidden":
        assert sum(calls) - refused == heard.evaluations == whole.evaluations


def test_a_chunk_that_was_asked_for_and_does_not_fit_is_refused_with_one_that_is_smaller(model, sample):
    with room_for(model, 1), pytest.raises(UserError) as refused:
        made(model, sample, merging("x0", 0), SEEDS, chunk=3)
    assert str(refused.value) == (
        "out of GPU memory at step 0 with 3 seeds at once; use --chunk 2 (chunk=2), or --offload model, or "
        "--chunk auto"
    )
    with room_for(model, 1):
        made(model, sample, merging("x0", 0), SEEDS, chunk=1)


@pytest.mark.parametrize(
    ("offload", "hint"),
    [
        (None, "--offload model"),
        ("model", "--offload group"),
        ("sequential", "a smaller size or fewer frames"),
    ],
)
def test_a_single_seed_that_does_not_fit_is_refused(offload, hint, model, sample, monkeypatch):
    monkeypatch.setattr(model, "offload", offload)
    with room_for(model, 0, since=2), pytest.raises(UserError) as refused:
        made(model, sample, merging("latent", 0), SEEDS[:2])
    assert str(refused.value) == f"out of GPU memory at step 1 with a single seed at a time; use {hint}"


def test_a_video_decoder_that_does_not_fit_all_decodes_fewer(model, sample, monkeypatch):
    """All steps are made by then, and none is made again."""
    decode, rows = model.pipeline.vae.decode, []

    def decoded(latents: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        rows.append(len(latents))
        if len(latents) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return decode(latents, *args, **kwargs)

    monkeypatch.setattr(model.pipeline.vae, "decode", decoded)
    heard = made(model, sample, merging("x0", 0), SEEDS, output_type="np")
    assert rows == [3, 2, 1, 1, 1]
    assert heard.evaluations == len(SEEDS) * NUM_STEPS * 2
    assert sorted(heard.final) == list(range(len(SEEDS)))
