"""Settings of experiments, and what each experiment declares."""

from __future__ import annotations

import pytest

from cosinterp.errors import SelectionError
from cosinterp.experiments import NAMES, experiment_of
from cosinterp.experiments.bench import digest
from cosinterp.experiments.costs import Cost, Rates
from cosinterp.experiments.running import settings_of
from cosinterp.experiments.settings import PRESETS
from cosinterp.samples import Sample


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_has_its_presets_and_claims(name: str) -> None:
    asked = experiment_of(name)
    assert asked.name == name
    assert set(asked.presets) == set(PRESETS)
    for settings in asked.presets.values():
        claims = asked.claims(settings)
        names = [claim.name for claim in claims]
        assert len(set(names)) == len(names) > 0
        assert any(claim.source == "paper" for claim in claims)


@pytest.mark.parametrize("name", NAMES)
def test_larger_presets_cost_more(name: str) -> None:
    asked = experiment_of(name)
    steps = [asked.cost(asked.presets[preset], 8).steps for preset in PRESETS]
    assert 0 < steps[0] < steps[1] < steps[2]


@pytest.mark.parametrize("name", NAMES)
def test_the_small_preset_can_be_judged_and_the_smoke_preset_cannot(name: str) -> None:
    asked = experiment_of(name)
    small, smoke = asked.presets["small"], asked.presets["smoke"]
    # Pairs of samples are one sample each.
    per_sample = 2 if asked.data == "goals" else 1
    assert all(claim.least <= small.count // per_sample for claim in asked.claims(small))
    assert all(claim.least > smoke.count for claim in asked.claims(smoke))


def test_presets_that_share_a_store_agree_on_the_number_of_steps() -> None:
    for preset in PRESETS:
        shared = [experiment_of(name) for name in NAMES]
        steps = {one.presets[preset].num_steps for one in shared if one.data == "mazes" and one.shares_base}
        assert len(steps) == 1


def test_settings_are_changed_by_name() -> None:
    changed = settings_of("frames", "small", {"count": 24, "seeds": 0, "frames": [5, 3]})
    assert (changed.count, changed.seeds) == (24, "0")
    assert changed.model_dump()["frames"] == (5, 3)
    assert digest(changed) != digest(settings_of("frames"))
    assert digest(settings_of("frames")) == digest(settings_of("frames", "small"))


@pytest.mark.parametrize(
    ("name", "preset", "given", "words"),
    [
        ("dreams", "small", {}, 'experiment "dreams": there is chain-of-steps'),
        ("frames", "huge", {}, 'preset "huge": there is smoke, small, full'),
        ("frames", "small", {"colour": 1}, "--set colour: there is count"),
        ("frames", "small", {"count": 0}, "--set count=0"),
        ("frames", "small", {"num_steps": "many"}, "--set num_steps='many'"),
    ],
)
def test_what_cannot_be_set_is_said(name: str, preset: str, given: dict[str, object], words: str) -> None:
    with pytest.raises(SelectionError, match=words):
        settings_of(name, preset, given)


def test_costs_add_up_and_take_time_by_the_rates() -> None:
    both = Cost(10, 4, 1) + Cost(2, 1)
    assert both == Cost(12, 5, 1)
    assert Rates(0.5, 0.1).seconds(both) == pytest.approx(7.5)


def test_swaps_are_of_pairs_whatever_the_order_of_the_dataset() -> None:
    names = [f"maze-7x7-{goal}-{number:05d}" for goal in ("blue", "red") for number in range(5)]
    samples = [Sample(name, "Go.") for name in [*names, "maze-7x7-red-00009", "other"]]
    settings = settings_of("latent-swap", given={"count": 4})
    assert [sample.name for sample in settings.choose(samples)] == [
        *("maze-7x7-red-00000", "maze-7x7-blue-00000"),
        *("maze-7x7-red-00001", "maze-7x7-blue-00001"),
    ]
    with pytest.raises(SelectionError, match="has 10 samples that are pairs of maze-7x7-red-"):
        settings_of("latent-swap", given={"count": 12}).choose(samples)
