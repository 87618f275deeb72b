"""A vector that was planted in a store is found, and comes back from its file as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosinterp.errors import InterventionError, SelectionError, StoreError, UserError
from cosinterp.interventions.edits import Place
from cosinterp.interventions.vectors import SteeringVectors, digest_of, read_vectors, steering_vectors
from stores import Store
from tests.unit.interventions import planted
from tests.unit.interventions.planted import BRANCHES, CHANNELS, LAYERS, PAIRS, SEEDS, STEPS


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return planted.planted_store(tmp_path_factory.mktemp("planted") / "store")


def found(store: Store, **asked: Any) -> SteeringVectors:
    return steering_vectors(store, **{"positive": "red-*", "negative": "blue-*", **asked})


def small(steps: tuple[int, ...] = (0, 2)) -> SteeringVectors:
    values = np.arange(len(steps) * 2 * 3, dtype=np.float32).reshape(len(steps), 2, 3)
    norms = np.ones(values.shape[:2], np.float32)
    return SteeringVectors("resid", steps, (4, 7), values, norms, 2 * norms, {"store": "mine"})


def place(step: int = 0, layer: int = 4, site: str = "resid") -> Place:
    return Place(site, step, layer, "cond")


@pytest.mark.parametrize("branch", BRANCHES)
def test_the_planted_vector_is_found_at_the_tokens_that_have_it(store, branch):
    vectors = found(store, tokens="truth:path", branch=branch)
    assert (vectors.steps, vectors.layers) == (STEPS, LAYERS)
    assert vectors.vectors.shape == (len(STEPS), len(LAYERS), CHANNELS)
    assert vectors.vectors.dtype == np.float32
    for step in STEPS:
        for layer in LAYERS:
            at = vectors.at(place(step, layer))
            np.testing.assert_allclose(at, planted.vector(step, layer, branch), atol=1e-6)


def test_over_all_tokens_each_run_counts_alike(store):
    """However many tokens of it have the vector."""
    share = np.mean([planted.path_of(maze, seed).mean() for maze in range(PAIRS) for seed in SEEDS])
    vectors = found(store, steps="3", layers="2")
    np.testing.assert_allclose(vectors.at(place(3, 2)), share * planted.vector(3, 2), atol=1e-6)
    assert not np.allclose(found(store, steps="3", layers="2", seeds="1").vectors, vectors.vectors)


def test_what_it_is_the_difference_of_is_told(store):
    vectors = found(store, negative=["blue-0", "blue-2"], tokens="frames:1", seeds=[0])
    means = {
        group: np.mean([planted.tokens(maze, 0, group, 1, 2, "cond")[1] for maze in mazes], axis=(0, 1, 2))
        for group, mazes in (("red", (0, 1, 2)), ("blue", (0, 2)))
    }
    at = vectors.steps.index(1), vectors.layers.index(2)
    np.testing.assert_allclose(vectors.vectors[at], means["red"] - means["blue"], atol=1e-6)
    assert vectors.positive_norms[at] == pytest.approx(np.linalg.norm(means["red"]), rel=1e-5)
    assert vectors.negative_norms[at] == pytest.approx(np.linalg.norm(means["blue"]), rel=1e-5)
    assert vectors.norms[at] == pytest.approx(np.linalg.norm(means["red"] - means["blue"]), rel=1e-5)
    about = vectors.about
    assert about["positive"] == {"samples": "red-*", "runs": 3}
    assert about["negative"] == {"samples": ["blue-0", "blue-2"], "runs": 2}
    assert (about["store"], about["branch"], about["tokens"]) == (str(store.path), "cond", "frames:1")


def test_one_activation_is_read_at_a_time(store, monkeypatch):
    """Nothing is kept of them: each is written over as soon as the next is asked for."""
    expected = found(store, tokens="truth:path")
    iterate = Store.iter

    def overwriting(self: Store, *args: Any, **kwargs: Any) -> Any:
        last = None
        for item in iterate(self, *args, **kwargs):
            if last is not None:
                last.fill(np.nan)
            last = item[-1]
            yield item

    monkeypatch.setattr(Store, "iter", overwriting)
    np.testing.assert_array_equal(found(store, tokens="truth:path").vectors, expected.vectors)


def test_means_over_all_tokens_are_all_that_is_needed_of_a_store(store, tmp_path):
    reduced = planted.planted_store(tmp_path / "reduced", reduction="mean")
    np.testing.assert_allclose(found(reduced).vectors, found(store).vectors, atol=1e-6)
    with pytest.raises(StoreError, match="resid.*full"):
        found(reduced, tokens="truth:path")


REFUSED: list[tuple[dict[str, Any], type[UserError], str]] = [
    (
        {"positive": "green-*"},
        SelectionError,
        "has no runs of green-*; it has blue-0, blue-1, blue-2 and 3 more",
    ),
    ({"positive": "*red*"}, SelectionError, "a pattern has one *"),
    ({"seeds": "5"}, SelectionError, "no runs of these seeds of red-*"),
    ({"negative": ["blue-0", "red-1"]}, InterventionError, "red-1 seed 0 is in both groups"),
    ({"positive": None}, InterventionError, "blue-0 seed 0 is in both groups"),
    ({"layers": "1"}, SelectionError, "there is no layer 1; this store has layers 0,2"),
    ({"steps": "2"}, SelectionError, "there is no step 2"),
    ({"branch": "other"}, InterventionError, "red-0 seed 0 is stored of cond, uncond, and other is needed"),
    ({"site": "mlp"}, StoreError, "mlp"),
    ({"tokens": "frames:9"}, SelectionError, "there is no frame 9"),
    ({"tokens": "all &"}, SelectionError, "a place is missing"),
]


@pytest.mark.parametrize(("asked", "kind", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_cannot_be_is_told_in_words(store, asked, kind, message):
    with pytest.raises(kind) as error:
        found(store, **asked)
    assert message in str(error.value)


def test_a_run_without_a_layer_that_others_have_is_named(tmp_path):
    store = planted.planted_store(tmp_path / "store", layers={"blue-1": (0,)})
    assert found(store, layers="0").layers == (0,)
    with pytest.raises(InterventionError, match="blue-1 seed 0 is stored at layers 0, and layer 2 is needed"):
        found(store)


def test_a_file_gives_back_what_was_saved(tmp_path):
    path = small().save(tmp_path / "made" / "goal.npz")
    again = read_vectors(path)
    assert (again.site, again.steps, again.layers, again.about) == (
        "resid",
        (0, 2),
        (4, 7),
        {"store": "mine"},
    )
    for name in ("vectors", "positive_norms", "negative_norms"):
        np.testing.assert_array_equal(getattr(again, name), getattr(small(), name))
        assert getattr(again, name).dtype == np.float32
    with pytest.raises(StoreError, match="this exists; replace it with --force"):
        small().save(path)
    before = digest_of(path)
    small((0,)).save(path, force=True)
    assert read_vectors(path).steps == (0,)
    assert digest_of(path) != before


def test_each_step_has_its_own_vector_and_a_single_one_serves_all():
    np.testing.assert_array_equal(small().at(place(2, 7)), [9, 10, 11])
    np.testing.assert_array_equal(small((5,)).at(place(1, 7)), [3, 4, 5])
    for where, message in (
        (place(1), "no steering vector of step 1: there are steps 0,2"),
        (place(layer=5), "no steering vector of layer 5: there are layers 4,7"),
        (place(site="mlp"), "these steering vectors are of resid, not of mlp"),
    ):
        with pytest.raises(InterventionError, match=message):
            small().at(where)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def flip(path: Path) -> None:
    """One bit of the vectors themselves."""
    content = bytearray(path.read_bytes())
    at = content.index(small().vectors.tobytes()) + 5
    content[at] ^= 4
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def another(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, weights=np.ones(3))


def an_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones(3))


@pytest.mark.parametrize("harm", [cut, flip, empty, another, an_array])
def test_a_damaged_file_is_an_error_and_never_a_vector(harm: Callable[[Path], None], tmp_path):
    path = small().save(tmp_path / "goal.npz")
    harm(path)
    with pytest.raises(InterventionError, match="goal.npz: damaged, or no steering vectors"):
        read_vectors(path)


def test_a_file_that_is_not_there_or_no_file_is_told(tmp_path):
    with pytest.raises(InterventionError, match="there is no such file of steering vectors"):
        read_vectors(tmp_path / "none.npz")
    with pytest.raises(InterventionError, match="cannot be read: Is a directory"):
        read_vectors(tmp_path)


def test_a_broken_activation_is_not_averaged(tmp_path):
    store = planted.planted_store(tmp_path / "store", broken=("red-1", 0))
    with pytest.raises(InterventionError, match="activations of resid hold NaN or infinity"):
        found(store)
    assert np.isfinite(found(store, seeds="1").vectors).all()
