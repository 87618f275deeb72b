"""Which runs, steps and layers are mapped, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probes.maps.making import maps
from stores import StoreSettings, UserError, create_store
from tests.unit.probes.maps.planting import LAYERS, Float32, noise, plant


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"layers": "5"}, 'layers "5": there is no layer 5; every chosen run has layers 0,3,7'),
        ({"steps": "0-9"}, 'steps "0-9": there is no step 9'),
        ({"samples": "c"}, "has no runs of c; it has a, b"),
        ({"seeds": "4"}, "has no runs of these seeds; it has seeds 0-1"),
        ({"variant": "patched"}, "has no runs of the variant patched; it has base"),
        ({"branch": "uncond"}, "branch 'uncond': .* has cond"),
        ({"site": "mlp"}, "site 'mlp': .* has resid"),
        ({"reduction": "norm"}, "site 'resid' as norm: .* has it as full"),
        ({"channels": "16"}, 'channels "16": there is no channel 16'),
        ({"pca": "step"}, "pca 'step': choose sweep, layer or none"),
        ({"fit_tokens": 0}, "on one token of each slab or more, not 0"),
        ({"show_layer": 2}, "there is no layer 2; what is chosen has layers 0,3,7"),
        ({"against": "a/1"}, "but 3 are chosen beside the other"),
        ({"samples": "b", "against": "a"}, "write SAMPLE/SEED"),
        ({"samples": "b", "against": "a/7"}, "has no runs of these seeds of a; it has seeds 0-1"),
        ({"samples": "b", "against": "b/0"}, "run b/0 stands beside itself"),
        ({"max_bytes": 1000}, "maps of 3 runs, 3 steps and 3 layers take .* more than .*; choose fewer"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path: Path, asked: dict[str, Any], message: str) -> None:
    store = plant(tmp_path / "s")
    with pytest.raises(UserError, match=message) as refused:
        maps(store, **asked)
    assert "\n" not in str(refused.value)


def test_a_store_without_activations_is_refused(tmp_path: Path) -> None:
    store = create_store(tmp_path / "s", StoreSettings({"name": "planted"}, {"sites": []}))
    with store.writer("a", 0) as writer:
        writer.set_schedule([1000.0], [1.0, 0.0])
        writer.finish()
    with pytest.raises(UserError, match="holds no activations; trace it with --sites resid"):
        maps(store)


def test_numbers_that_are_not_finite_are_named(tmp_path: Path) -> None:
    def content(sample: str, seed: int, step: int, layer: int) -> Float32:
        slab = noise(sample, seed, step, layer)
        if (sample, seed, step, layer) == ("a", 1, 5, 3):
            slab[0, 1, 2, 3], slab[2, 0, 0, 0] = np.nan, np.inf
        return slab

    store = plant(tmp_path / "s", content)
    with pytest.raises(
        UserError, match="run a/1 has NaN or infinity in 2 of 60 tokens of resid at step 5"
    ) as told:
        maps(store)
    assert "\n" not in str(told.value)
    assert maps(store, steps="0,2").dataset.sizes["step"] == 2


def test_samples_are_chosen_by_pattern_and_seeds_by_selection(tmp_path: Path) -> None:
    store = plant(tmp_path / "s", runs=[("red-1", 0), ("red-2", 0), ("red-2", 5), ("blue-1", 0)])
    assert maps(store, samples="red-*").dataset["run"].values.tolist() == ["red-1/0", "red-2/0", "red-2/5"]
    assert maps(store, samples=["*-1"]).dataset["run"].values.tolist() == ["blue-1/0", "red-1/0"]
    assert maps(store, seeds="5").dataset["run"].values.tolist() == ["red-2/5"]
    assert maps(store, layers="-1", steps="0-2").dataset["step"].values.tolist() == [0, 2]


def test_a_run_of_another_variant_or_store_stands_beside(tmp_path: Path) -> None:
    store = plant(tmp_path / "s")
    plant(tmp_path / "s", runs=[("a", 0)], variant="patched")
    other = plant(tmp_path / "t", runs=[("a", 0)])
    found = maps(store, samples="a", seeds=0, against="a/0.patched").dataset
    assert found["run"].values.tolist() == ["a/0", "a/0.patched"]
    found = maps(store, samples="a", seeds=0, against_store=other).dataset
    assert found["run"].values.tolist() == ["s:a/0", "t:a/0"]
    assert np.array_equal(found["energy"][0], found["energy"][1])
    # They are no repetitions of one another, so nothing is averaged.
    assert "frame_energy_mean" not in found


def test_runs_that_hold_other_layers_share_those_of_both(tmp_path: Path) -> None:
    store = plant(tmp_path / "s", runs=[("a", 0)])
    other = plant(tmp_path / "t", runs=[("a", 0)], layers=(3, 7, 9))
    result = maps(store, against_store=other)
    assert result.dataset["layer"].values.tolist() == [3, 7]
    assert "note: only the layers that all runs hold: 3,7" in result.summary()
    with pytest.raises(UserError, match='layers "0": there is no layer 0; every chosen run has layers 3,7'):
        maps(store, against_store=other, layers="0")


def test_runs_whose_maps_do_not_compare_are_refused(tmp_path: Path) -> None:
    store = plant(tmp_path / "s", runs=[("a", 0)])
    other = plant(tmp_path / "t", runs=[("a", 0)], reductions=["tokens:6"])
    with pytest.raises(UserError, match="keep other tokens; choose runs that have the same"):
        maps(store, against_store=other)
    third = plant(tmp_path / "u", runs=[("a", 0)], reductions=["frames"])
    with pytest.raises(UserError, match="have the token grids 3x4x5 and 3x1x1"):
        maps(store, against_store=third)


def test_the_same_question_has_the_same_answer(tmp_path: Path) -> None:
    store = plant(tmp_path / "s")
    first, again = maps(store), maps(store)
    assert first.dataset.identical(again.dataset)
    assert first.provenance == again.provenance
    assert first.provenance["asked"]["layers"] == ",".join(map(str, LAYERS))


def test_progress_counts_every_slab_read(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    maps(plant(tmp_path / "s"), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 54) for number in range(1, 55)]
