"""Steering adds what its file says: what it comes to is what plain hooks make of the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cosinterp.errors import InterventionError, SelectionError, UserError
from cosinterp.interventions.vectors import SteeringVectors, read_vectors, steering_vectors
from cosinterp.patching.measures import Outcome, latent_effects
from cosinterp.patching.steer import steer
from probes.effects import CELL, cells, over_control
from probes.patches import effects_of
from probes.results.files import open_result, provenance_of
from stores.errors import StoreError
from tests.integration.sweeping import SEEDS, Bench, Where, bench_of

WAN, SITE = "Wan2.1 T2V", "resid"
NUM_STEPS, STEP, LAYER = 3, 1, 2
QUICK: dict[str, Any] = {"videos": False, "controls": "none", "horizon": 0}
ONE: dict[str, Any] = {**QUICK, "samples": "blue", "seeds": [SEEDS[0]], "steps": STEP, "layers": LAYER}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    path = tmp_path_factory.mktemp("steered") / "store"
    return bench_of(WAN, path, num_steps=NUM_STEPS, layers="all", save_steps="all")


@pytest.fixture(scope="module")
def goal(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tiny model has more where its prompt names the red goal."""
    made = steering_vectors(bench.store, positive="red", negative="blue", layers="1-2")
    return made.save(tmp_path_factory.mktemp("vectors") / "goal.npz")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Of a result that no other test makes."""
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name)


def adding(bench: Bench, vector: np.ndarray, tokens: slice = slice(None)) -> dict[str, float]:
    """The effects of a run of the plain pipeline to which a vector is added, toward the red one."""

    def change(where: Where, now: torch.Tensor) -> torch.Tensor | None:
        if where[:3] != (SITE, STEP, LAYER):
            return None
        changed = now.clone()
        changed[tokens] += torch.from_numpy(vector)
        return changed

    blue, red = (bench.store.shared_run(sample, SEEDS[0]) for sample in ("blue", "red"))
    patched = Outcome(STEP, bench.plain(change=change).clean[STEP])
    return latent_effects(patched, *(Outcome(STEP, run.clean_estimate(STEP)) for run in (blue, red)))


def test_the_vector_is_added_at_each_scale(bench: Bench, goal: Path, name: str) -> None:
    found = steer(bench.model, bench.store, vectors=goal, scales=[-1.5, 40], toward="red", name=name, **ONE)
    vector = read_vectors(goal).vectors[STEP, LAYER - 1]
    assert found.scale.values.tolist() == [-1.5, 40.0]
    assert found.donor_sample.values.tolist() == ["red", "red"]
    for row, scale in enumerate(found.scale.values.tolist()):
        wanted = adding(bench, np.float32(scale) * vector)
        for effect in ("x0_moved", "x0_recovered", "x0_along", "x0_relative"):
            assert found[effect].values[row] == wanted[effect] != 0
    # What the red run has more leads to it, and the other way away from it.
    assert found.x0_along.values[0] < 0 < found.x0_along.values[1]


def test_only_some_tokens_are_steered(bench: Bench, goal: Path, name: str) -> None:
    found = steer(
        bench.model, bench.store, vectors=goal, scales=3, tokens="frames:2", toward="red", name=name, **ONE
    )
    wanted = adding(bench, np.float32(3) * read_vectors(goal).vectors[STEP, LAYER - 1], slice(48, 72))
    assert found.x0_along.values.tolist() == [wanted["x0_along"]]


def test_a_vector_of_one_step_serves_all(bench: Bench, tmp_path: Path, name: str) -> None:
    held = steering_vectors(bench.store, positive="red", negative="blue", layers="1", steps="0")
    file = held.save(tmp_path / "held.npz")
    found = steer(bench.model, bench.store, vectors=file, scales=1, name=name, **QUICK)
    assert sorted(set(found.steps.values.tolist())) == ["0", "1", "2"]
    assert found.sizes["patch"] == 4 * NUM_STEPS
    assert (found.x0_relative.values > 0).all()


@pytest.mark.parametrize("batch", [1, 3])
def test_each_scale_stands_beside_its_controls(batch: int, bench: Bench, goal: Path, name: str) -> None:
    found = steer(
        bench.model,
        bench.store,
        vectors=goal,
        scales=[2, 8],
        tokens="frames:0",
        batch=batch,
        name=name,
        **{**ONE, "controls": "all"},
    )
    told = list(
        zip(found.control.values.tolist(), found.scale.values.tolist(), found.x0_relative.values, strict=True)
    )
    effects = {(control, scale): value for control, scale, value in told}
    assert len(told) == len(effects)
    assert set(effects) == {
        (control, scale) for control in ("none", "random", "elsewhere") for scale in (2, 8)
    } | {("identity", 0)}
    assert effects["identity", 0] == 0
    for control in ("none", "random", "elsewhere"):
        assert 0 < effects[control, 2] < effects[control, 8]
    assert len({effects[control, 8] for control in ("none", "random", "elsewhere")}) == 3
    random = found.interventions.values[found.control.values.tolist().index("random")]
    assert '"what":{"kind":"add","file":"' in random
    assert '"scale":2.0,"random":0}' in random
    assert np.isnan(found.x0_along.values).all()


def test_scales_are_told_apart_where_results_are_summed_up(bench: Bench, goal: Path, name: str) -> None:
    asked = {**QUICK, "samples": "blue", "steps": 0, "layers": LAYER, "controls": "all"}
    made = steer(bench.model, bench.store, vectors=goal, scales=(-0.5, 4), toward="red", name=name, **asked)
    found = open_result(made.attrs["result"])
    assert "scale" not in effects_of(found)
    with pytest.raises(SelectionError, match="scale: patches of -0.5 and 0 and 4 cannot be averaged"):
        cells(found, "x0_along")
    summed = cells(found, "x0_along", by=(*CELL, "scale"))
    assert summed.sizes["cell"] == 5
    assert set(summed.n.values.tolist()) == {len(SEEDS)}
    assert over_control(found, "x0_along", by=("scale",)).scale.values.tolist() == [-0.5, 4.0]
    provenance = provenance_of(found)
    assert provenance["kind"] == "steering"
    assert provenance["asked"]["scales"] == [-0.5, 4.0]
    assert provenance["asked"]["vectors_about"]["positive"] == {"samples": "red", "runs": 2}


class Stopped(Exception):
    pass


class Stopping:
    """Ends a sweep after its first row."""

    def planned(self, total: int, done: int) -> None:
        pass

    def row(self, row: Any) -> None:
        raise Stopped


def test_a_sweep_does_not_go_on_with_other_vectors(
    bench: Bench, goal: Path, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "goal.npz"
    read_vectors(goal).save(file)
    with pytest.raises(Stopped):
        steer(bench.model, bench.store, vectors=file, name=name, progress=Stopping(), **ONE)
    other = read_vectors(goal)
    replace(other, vectors=-other.vectors).save(file, force=True)
    with pytest.raises(InterventionError, match="is of another sweep"):
        steer(bench.model, bench.store, vectors=file, name=name, resume=True, **ONE)
    read_vectors(goal).save(file, force=True)
    again = steer(bench.model, bench.store, vectors=file, name=name, resume=True, **ONE)
    whole = steer(bench.model, bench.store, vectors=file, name=f"{name}-whole", **ONE)
    np.testing.assert_array_equal(again.x0_relative.values, whole.x0_relative.values)


REFUSED: list[tuple[dict[str, Any], type[UserError], str]] = [
    ({"scales": []}, InterventionError, "scales: give one number or several"),
    ({"scales": [1, float("nan")]}, InterventionError, "scales: give one number or several"),
    ({"layers": 3}, InterventionError, "no steering vector of layer 3: there are layers 1-2"),
    ({"layers": 9}, SelectionError, "there is no layer 9"),
    ({"samples": "green"}, SelectionError, "has no runs of green"),
    ({"samples": None, "toward": "red"}, InterventionError, "give samples as one name"),
    ({"toward": "green"}, SelectionError, "green"),
    ({"vectors": "nowhere.npz"}, InterventionError, "nowhere.npz: there is no such file of steering vectors"),
    ({"name": "a/b"}, StoreError, "result name 'a/b'"),
]


@pytest.mark.parametrize(("asked", "kind", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_cannot_be_is_told_and_nothing_is_made(
    asked: dict[str, Any], kind: type[UserError], message: str, bench: Bench, goal: Path, name: str
) -> None:
    with pytest.raises(kind) as error:
        steer(bench.model, bench.store, **{"vectors": goal, "name": name, **ONE, **asked})
    assert message in str(error.value)
    assert not list((bench.store.path / "results").glob(f"{name}*"))


def test_vectors_of_another_model_are_told(bench: Bench, tmp_path: Path) -> None:
    norms = np.ones((1, 1), np.float32)
    other = SteeringVectors(SITE, (0,), (LAYER,), np.ones((1, 1, 7), np.float32), norms, norms)
    file = other.save(tmp_path / "other.npz")
    with pytest.raises(InterventionError, match="vectors of 7 channels, and resid of this model has 24"):
        steer(bench.model, bench.store, vectors=file, **ONE)
