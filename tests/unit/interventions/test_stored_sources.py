"""What interventions read from stores, in the order of the token grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cosinterp.errors import SelectionError, StoreError
from cosinterp.interventions.edits import Place
from cosinterp.interventions.intervention import Mean, RunRef
from cosinterp.interventions.stored import StoreSources
from stores import Store
from tests.unit.stores import making

PLACE = Place("resid", 2, 10, "uncond")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return making.make_store(tmp_path / "store", [("red", 3), ("red", 4), ("blue", 3)], dtype="fp32")


@pytest.fixture
def sources() -> StoreSources:
    return StoreSources(torch.device("cpu"))


def ref(store: Store, sample: str = "red", seed: int = 3) -> RunRef:
    return RunRef(store=str(store.path), sample=sample, seed=seed)


def stored(sample: str, seed: int, place: Place = PLACE) -> torch.Tensor:
    bits = making.bits(sample, seed, place.step, place.layer, place.branch, "fp32")
    return torch.from_numpy(bits).reshape(-1, making.CHANNELS)


def test_a_donors_tokens_are_those_of_its_run_frame_by_frame(store: Store, sources: StoreSources) -> None:
    found = sources.donor(ref(store), PLACE)
    assert found.shape == (1, int(np.prod(making.GRID)), making.CHANNELS)
    assert torch.equal(found[0], stored("red", 3))


def test_each_place_has_its_own(store: Store, sources: StoreSources) -> None:
    """Also after more of them than are kept."""
    places = [
        Place("resid", step, layer, branch)
        for step in making.STEPS
        for layer in making.LAYERS
        for branch in making.BRANCHES
    ]
    for _ in range(2):
        for sample, seed in (("red", 3), ("blue", 3), ("red", 4)):
            for place in places:
                assert torch.equal(
                    sources.donor(ref(store, sample, seed), place)[0], stored(sample, seed, place)
                )


@pytest.mark.parametrize(
    ("place", "error", "said"),
    [
        (Place("mlp", 2, 10, "cond"), StoreError, "site 'mlp': .*red/3.h5 has resid"),
        (Place("resid", 1, 10, "cond"), SelectionError, "no step 1; .* has steps 0,2"),
        (Place("resid", 2, 11, "cond"), SelectionError, "no layer 11; .* has layers 0,10,20"),
        (Place("resid", 2, 10, "text"), StoreError, "branch 'text': .* has cond, uncond"),
    ],
)
def test_what_is_not_stored_is_told_with_what_is(
    place: Place, error: type[Exception], said: str, store: Store, sources: StoreSources
) -> None:
    with pytest.raises(error, match=said):
        sources.donor(ref(store), place)


def test_runs_and_stores_that_there_are_not(store: Store, sources: StoreSources, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="green"):
        sources.donor(ref(store, "green"), PLACE)
    with pytest.raises(StoreError, match="nowhere"):
        sources.donor(RunRef(store=str(tmp_path / "nowhere"), sample="red", seed=3), PLACE)


@pytest.mark.parametrize(
    ("chosen", "runs"),
    [
        ({}, [("red", 3), ("red", 4), ("blue", 3)]),
        ({"samples": ("red",)}, [("red", 3), ("red", 4)]),
        ({"seeds": (3,)}, [("red", 3), ("blue", 3)]),
        ({"samples": ("blue",), "seeds": (3,)}, [("blue", 3)]),
    ],
)
@pytest.mark.parametrize("per", ["token", "channel"])
def test_a_mean_is_over_the_runs_that_are_chosen(
    per: str, chosen: dict, runs: list[tuple[str, int]], store: Store, sources: StoreSources
) -> None:
    found = sources.mean(Mean(store=str(store.path), per=per, **chosen), PLACE)  # type: ignore[arg-type]
    mean = torch.stack([stored(*run) for run in runs]).double().mean(dim=0)
    mean = mean if per == "token" else mean.mean(dim=0, keepdim=True)
    assert found.shape == mean.shape
    torch.testing.assert_close(found.double(), mean, rtol=1e-5, atol=1e-7)
