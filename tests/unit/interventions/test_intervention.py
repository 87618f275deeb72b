"""Interventions as data: what is written is read back, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosinterp.ensembles.ways import HOWS
from cosinterp.errors import InterventionError
from cosinterp.interventions.intervention import (
    Add,
    Average,
    Bypass,
    Intervention,
    Mean,
    Noise,
    RandomLike,
    Replace,
    RunRef,
    Scale,
    What,
    Zero,
)

numbers = st.floats(allow_nan=False, allow_infinity=False)
seeds = st.integers(0, 2**63)
places = st.integers(0, 60)
texts = st.text(max_size=12)
runs = st.builds(RunRef, store=texts, sample=texts, seed=seeds, variant=texts)
replaces = st.builds(
    Replace,
    donor=runs,
    step=st.none() | places,
    layer=st.none() | places,
    branch=st.none() | st.sampled_from(["cond", "uncond"]),
)
means = st.builds(
    Mean,
    store=texts,
    samples=st.none() | st.lists(texts, max_size=3).map(tuple),
    seeds=st.none() | st.lists(seeds, max_size=3).map(tuple),
    per=st.sampled_from(["token", "channel"]),
)
bypasses = st.builds(Bypass)
at_tokens: dict[type, st.SearchStrategy[Any]] = {
    Replace: replaces,
    RandomLike: st.builds(RandomLike, like=replaces | means | st.builds(Zero), seed=seeds),
    Add: st.builds(Add, file=texts, scale=numbers, random=st.none() | seeds),
    Scale: st.builds(Scale, factor=numbers),
    Zero: st.builds(Zero),
    Mean: means,
    Noise: st.builds(Noise, scale=st.floats(0, 1e6), seed=seeds),
    Average: st.builds(
        Average, how=st.sampled_from(HOWS), weights=st.none() | st.lists(numbers, max_size=3).map(tuple)
    ),
}
of_blocks = bypasses | st.builds(RandomLike, like=bypasses, seed=seeds)


@st.composite
def interventions(
    draw: st.DrawFn, whats: st.SearchStrategy[Any], first_layer: int = 0, **fixed: Any
) -> Intervention:
    chosen: dict[str, Any] = {"site": texts, "tokens": texts, "elsewhere": st.none() | seeds}
    return Intervention(
        layers=tuple(draw(st.lists(st.integers(first_layer, 60), min_size=1, max_size=4))),
        steps=tuple(draw(st.lists(places, min_size=1, max_size=4))),
        branches=draw(st.none() | st.lists(st.sampled_from(["cond", "uncond"]), max_size=2).map(tuple)),
        what=draw(whats),
        **{name: draw(value) for name, value in chosen.items() if not fixed},
    )


every = interventions(st.one_of(*at_tokens.values())) | interventions(of_blocks, 1, site="resid")


def test_the_table_of_this_file_has_every_kind() -> None:
    kinds = set(What.__origin__.__args__)  # type: ignore[attr-defined]
    assert {*at_tokens, Bypass} == kinds


@given(every)
def test_json_brings_every_intervention_back(one: Intervention) -> None:
    text = one.to_json()
    assert "\n" not in text
    assert Intervention.of(text) == one
    assert Intervention.of(json.loads(text)) == one
    assert Intervention.of(one.model_dump()) == one
    assert hash(Intervention.of(text)) == hash(one)


@given(every, st.sampled_from(["", "what", "what.donor"]))
def test_a_field_that_there_is_not_is_refused(one: Intervention, path: str) -> None:
    data: dict[str, Any] = json.loads(one.to_json())
    inner = data
    for name in filter(None, path.split(".")):
        inner = inner.get(name, inner)
    inner["colour"] = 1
    with pytest.raises(InterventionError, match=r"^not an intervention: .*colour: Extra inputs") as raised:
        Intervention.of(data)
    assert "\n" not in str(raised.value)


WHERE: dict[str, Any] = {"layers": [1], "steps": [0]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({**WHERE, "what": {"kind": "explode"}}, "what: Input tag 'explode'.*'replace'.*'bypass'"),
        ({**WHERE, "what": {}}, "what: Unable to extract tag"),
        ({**WHERE}, "what: Field required"),
        ({"layers": [1], "what": {"kind": "zero"}}, "steps: Field required"),
        ({**WHERE, "layers": [], "what": {"kind": "zero"}}, "layers: .*at least 1 item"),
        ({**WHERE, "layers": [-1], "what": {"kind": "zero"}}, "layers.0: .*greater than or equal to 0"),
        ({**WHERE, "steps": [1, -2], "what": {"kind": "zero"}}, "steps.1: .*greater than or equal to 0"),
        ({**WHERE, "steps": 1.5, "what": {"kind": "zero"}}, "steps: "),
        ({**WHERE, "what": {"kind": "scale"}}, "what.scale.factor: Field required"),
        ({**WHERE, "what": {"kind": "scale", "factor": float("nan")}}, "what.scale.factor: .*finite"),
        ({**WHERE, "what": {"kind": "add", "file": "v", "scale": float("inf")}}, "what.add.scale: .*finite"),
        ({**WHERE, "what": {"kind": "noise", "scale": float("nan")}}, "what.noise.scale: "),
        ({**WHERE, "what": {"kind": "noise", "scale": -1}}, "what.noise.scale: .*greater than or equal to 0"),
        (
            {**WHERE, "what": {"kind": "mean", "store": "s", "per": "row"}},
            "what.mean.per: .*'token' or 'channel'",
        ),
        ({**WHERE, "what": {"kind": "replace", "donor": {"store": "s"}}}, "what.replace.donor.sample: Field"),
        ('{"layers": [1]', "Invalid JSON"),
        ('{"layers": [1], "steps": [0], "what": {"kind": "scale", "factor": NaN}}', "factor|JSON"),
    ],
)
def test_what_is_wrong_with_one_is_said_with_its_place(data: Any, said: str) -> None:
    with pytest.raises(InterventionError, match=f"^not an intervention: .*{said}") as raised:
        Intervention.of(data)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_one_is_not_made_with_what_is_no_number(number: float) -> None:
    for make in (
        lambda: Scale(factor=number),
        lambda: Noise(scale=number),
        lambda: Add(file="v", scale=number),
    ):
        with pytest.raises(ValueError, match=r"finite|greater"):
            make()


def test_it_cannot_be_changed() -> None:
    one = Intervention(layers=(1,), steps=(3, 2), what=Zero())
    with pytest.raises(ValueError, match="frozen"):
        one.site = "mlp"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (RunRef(store="s", sample="red", seed=3), "red seed 3"),
        (RunRef(store="s", sample="red", seed=3, variant="noised"), "red seed 3 noised"),
    ],
)
def test_a_run_is_called_by_its_sample_and_seed(run: RunRef, text: str) -> None:
    assert str(run) == text
