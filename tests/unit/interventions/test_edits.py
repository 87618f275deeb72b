"""What is put into tokens, and how far away controls put it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cosinterp.ensembles.merging import HOWS, WEIGHTED, merge
from cosinterp.errors import InterventionError
from cosinterp.interventions.edits import Edit, Edits, Place, Sources
from cosinterp.interventions.intervention import (
    Add,
    Average,
    Bypass,
    Intervention,
    Mean,
    RandomLike,
    Replace,
    RunRef,
    What,
    Zero,
)
from cosinterp.interventions.stored import StoreSources
from cosinterp.interventions.vectors import SteeringVectors
from stores import Store
from tests.unit.interventions import planted

ROWS, TOKENS, CHANNELS = 2, 7, 5
RUN = RunRef(store="store", sample="red-0", seed=0)
MASK = torch.arange(TOKENS) % 3 == 0
ANATOMY: Any = SimpleNamespace(
    sites=("resid", "mlp"),
    is_stream=lambda site: site == "resid",
    layers_of=lambda site, layers: layers,
)


def values(seed: int, rows: int = ROWS) -> torch.Tensor:
    return torch.randn((rows, TOKENS, CHANNELS), generator=torch.Generator().manual_seed(seed))


class Known(Sources):
    """A donor, a mean and a vector."""

    def donor(self, run: RunRef, place: Place) -> torch.Tensor:
        return values(1, rows=1)

    def mean(self, over: Mean, place: Place) -> torch.Tensor:
        mean = values(2)[0]
        return mean if over.per == "token" else mean.mean(dim=0, keepdim=True)

    def vector(self, file: str, place: Place) -> torch.Tensor:
        return values(3)[0, 0]


def call(step: int = 0, branch: str = "cond") -> Any:
    return SimpleNamespace(step=step, branch=branch)


def changed(
    what: What,
    *,
    row: int | None = None,
    mask: torch.Tensor | None = None,
    dtype: torch.dtype = torch.float32,
    step: int = 0,
    branch: str = "cond",
) -> torch.Tensor:
    one = Intervention(layers=(1,), steps=(0, 1), what=what)
    edits = Edits([Edit(row, one, mask)], ANATOMY, Known())
    edits.on_tensor("resid", 0, values(4).to(dtype), call(step, branch))
    found = edits.on_tensor("resid", 1, values(0).to(dtype), call(step, branch))
    assert found is not None
    return found


LIKES = [
    (Replace(donor=RUN), values(1, rows=1)),
    (Zero(), torch.zeros(1, TOKENS, CHANNELS)),
    (Mean(store="store"), values(2)[:1]),
    (Mean(store="store", per="channel"), values(2)[:1].mean(dim=1, keepdim=True)),
    (Bypass(), values(4)),
]


@pytest.mark.parametrize(("like", "there"), LIKES, ids=lambda value: getattr(value, "kind", ""))
def test_the_random_control_goes_as_far_as_the_change_and_elsewhere(like, there):
    tokens = values(0)
    torch.testing.assert_close(changed(like), there.expand_as(tokens), rtol=0, atol=0)
    moved, change = changed(RandomLike(like=like)) - tokens, there - tokens
    torch.testing.assert_close(moved.norm(dim=-1), change.norm(dim=-1))
    along = torch.nn.functional.cosine_similarity(moved, change, dim=-1)
    assert along.abs().mean() < 0.8
    again, other = changed(RandomLike(like=like)), changed(RandomLike(like=like, seed=1))
    assert torch.equal(again - tokens, moved)
    assert not torch.isclose(other - tokens, moved).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("like", [Zero(), Bypass(), Mean(store="store")], ids=lambda like: like.kind)
def test_other_rows_and_tokens_stay_as_they_are(like, dtype):
    mask = None if isinstance(like, Bypass) else MASK
    found, tokens = changed(RandomLike(like=like), row=1, mask=mask, dtype=dtype), values(0).to(dtype)
    assert found.dtype == dtype
    assert torch.equal(found[0], tokens[0])
    is_changed = (found[1] != tokens[1]).any(dim=-1)
    assert torch.equal(is_changed, torch.ones(TOKENS).bool() if mask is None else mask)


@pytest.mark.parametrize("kind", [Bypass(), RandomLike(like=Bypass())], ids=["bypass", "random-like"])
def test_a_block_is_skipped_as_a_whole(kind):
    for where in ({"site": "mlp"}, {"tokens": "frames:0"}, {"layers": (0, 1)}):
        with pytest.raises(InterventionError, match="bypass skips blocks"):
            Intervention.of({"layers": (1,), "steps": (0,), "what": kind.model_dump(), **where})


@pytest.mark.parametrize(
    "what", [*(RandomLike(like=like, seed=3) for like, _ in LIKES), Add(file="a.npz", scale=-2, random=5)]
)
def test_what_was_done_is_read_back_from_its_json(what):
    one = Intervention(layers=(1,), steps=(0,), what=what)
    assert Intervention.of(one.to_json()) == one


def test_a_vector_is_added_times_its_scale():
    tokens, vector = values(0), values(3)[0, 0]
    assert torch.equal(changed(Add(file="a", scale=-1.5)), tokens + -1.5 * vector)
    assert torch.equal(changed(Add(file="a", scale=0.0)), tokens)
    assert torch.equal(changed(Add(file="a", scale=0.0, random=1)), tokens)


@pytest.mark.parametrize("scale", [0.5, -2.0])
def test_the_random_vector_is_one_vector_of_the_same_norm(scale):
    """One for all tokens, steps and branches, as a steering vector is; and another for another seed."""
    tokens, vector = values(0), values(3)[0, 0]
    moved = changed(Add(file="a", scale=scale, random=1)) - tokens
    torch.testing.assert_close(moved.norm(dim=-1), abs(scale) * vector.norm().expand(ROWS, TOKENS))
    torch.testing.assert_close(moved, moved[:1, :1].expand_as(moved))
    elsewhere = changed(Add(file="a", scale=scale, random=1), step=1, branch="uncond") - tokens
    torch.testing.assert_close(elsewhere, moved)
    other = changed(Add(file="a", scale=scale, random=2)) - tokens
    assert not torch.isclose(other, moved).any(dim=-1).all()


def test_a_mean_of_another_grid_is_told():
    class Larger(Known):
        def mean(self, over: Mean, place: Place) -> torch.Tensor:
            return torch.zeros(TOKENS + 1, CHANNELS)

    one = Intervention(layers=(1,), steps=(0,), what=Mean(store="runs"))
    with pytest.raises(
        InterventionError, match="runs: the mean has 8 tokens of 5 channels at resid, layer 1"
    ):
        Edits([Edit(None, one)], ANATOMY, Larger()).on_tensor("resid", 1, values(0), call())


@pytest.mark.parametrize("per", ["token", "channel"])
def test_a_mean_over_a_store_is_that_of_its_runs_and_is_made_once(per, tmp_path, monkeypatch):
    monkeypatch.setattr("cosinterp.interventions.stored._KEPT", 1)
    store = planted.planted_store(tmp_path / "store")
    sources = StoreSources(torch.device("cpu"))
    over = Mean(store=str(store.path), samples=("red-0", "red-2"), seeds=(1,), per=per)
    expected = np.mean([planted.tokens(maze, 1, "red", 3, 2, "uncond") for maze in (0, 2)], axis=0)
    expected = expected.reshape(-1, planted.CHANNELS)
    if per == "channel":
        expected = expected.mean(axis=0, keepdims=True)
    where = Place("resid", 3, 2, "uncond")
    np.testing.assert_allclose(sources.mean(over, where), expected, atol=1e-6)
    made = {place: sources.mean(over, place) for place in places()}
    reads: list[None] = []
    monkeypatch.setattr(Store, "iter", lambda *_, **__: reads.append(None) or iter(()))
    for _ in range(2):
        for place, mean in made.items():
            assert torch.equal(sources.mean(over, place), mean)
    assert not reads


def places() -> list[Place]:
    return [
        Place("resid", step, layer, branch)
        for branch in planted.BRANCHES
        for step in planted.STEPS
        for layer in planted.LAYERS
    ]


def test_means_that_there_is_no_room_for_are_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("cosinterp.interventions.stored._BYTES_OF_MEANS", 0)
    monkeypatch.setattr("cosinterp.interventions.stored._KEPT", 1)
    store = planted.planted_store(tmp_path / "store")
    sources, over = StoreSources(torch.device("cpu")), Mean(store=str(store.path))
    made = [sources.mean(over, place) for place in places()]
    again = [sources.mean(over, place) for place in places()]
    for one, other in zip(made, again, strict=True):
        assert one is not other
        assert torch.equal(one, other)


def test_vectors_are_those_of_their_place(tmp_path: Path):
    held = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    norms = np.ones((2, 2), np.float32)
    file = str(SteeringVectors("mlp", (0, 1), (3, 4), held, norms, norms).save(tmp_path / "held.npz"))
    sources = StoreSources(torch.device("cpu"))
    assert sources.vector(file, Place("mlp", 1, 3, "uncond")).tolist() == [6, 7, 8]
    with pytest.raises(InterventionError, match="of mlp, not of resid"):
        sources.vector(file, Place("resid", 1, 3, "cond"))


@pytest.mark.parametrize("how", HOWS)
def test_rows_are_merged_a_token_at_a_time(how):
    """All rows get what they are merged into, at the tokens that are chosen."""
    tokens, weights = values(0, rows=3), (1.0, 2.0, 3.0) if how in WEIGHTED else None
    one = Intervention(layers=(1,), steps=(0,), what=Average(how=how, weights=weights))
    changed = Edits([Edit(None, one, MASK)], ANATOMY).on_tensor("resid", 1, tokens.clone(), call())
    assert changed is not None
    for token, is_in in enumerate(MASK.tolist()):
        merged = merge(tokens[:, token], how, weights).expand(3, -1) if is_in else tokens[:, token]
        torch.testing.assert_close(changed[:, token], merged)
