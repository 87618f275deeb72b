"""Ensembles as data: what they may be, and how they are told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosinterp.ensembles.spec import Ensemble, Merge, Select
from cosinterp.ensembles.ways import HOWS
from cosinterp.errors import InterventionError

STEPS = st.lists(st.integers(0, 50), min_size=1, max_size=4, unique=True).map(tuple)
OF_LATENTS = st.builds(Merge, what=st.just("latent"), steps=STEPS, how=st.sampled_from(HOWS))
OF_PREDICTIONS = st.builds(
    Merge,
    what=st.sampled_from(["x0", "prediction"]),
    steps=STEPS,
    how=st.sampled_from(["mean", "norm-mean"]),
    weights=st.none() | st.lists(st.floats(0.1, 9), min_size=1, max_size=4).map(tuple),
)
HIDDEN = st.builds(
    Merge,
    what=st.just("hidden"),
    steps=STEPS,
    site=st.sampled_from(["resid", "mlp"]),
    layers=STEPS,
    branches=st.none() | st.just(("cond",)),
)
SELECTS = st.builds(
    Select,
    step=st.integers(0, 9),
    by=st.sampled_from(["agreement", "-walls_broken", "my.own:scorer"]),
    keep=st.integers(1, 5),
)
ENSEMBLES = st.builds(
    Ensemble,
    merges=st.tuples(OF_LATENTS, OF_PREDICTIONS, HIDDEN) | st.tuples(OF_LATENTS),
    select=st.none() | SELECTS,
    then=st.sampled_from(["one", "all"]),
)


@given(ENSEMBLES)
def test_json_brings_every_ensemble_back(one: Ensemble) -> None:
    text = one.to_json()
    assert Ensemble.of(text) == one
    assert Ensemble.of(json.loads(text)) == one
    assert hash(Ensemble.of(text)) == hash(one)
    assert "\n" not in str(one)


@pytest.mark.parametrize(
    ("merges", "select", "then", "one_goes_on"),
    [
        ([(0, 3)], None, "one", True),
        ([(0, 3)], None, "all", False),
        ([(0, 3)], 2, "one", True),
        ([(0, 3)], 3, "one", False),
        ([(0, 3)], 5, "one", False),
        ([], 2, "one", False),
    ],
)
def test_who_goes_on(merges, select, then, one_goes_on):
    ensemble = Ensemble(
        merges=tuple(Merge(what="x0", steps=steps) for steps in merges),
        select=None if select is None else Select(step=select),
        then=then,
    )
    assert ensemble.one_goes_on == one_goes_on
    assert ensemble.last_merge == (3 if merges else None)
    assert [step for step in range(5) if ensemble.merges_at(step)] == ([0, 3] if merges else [])


MERGE: dict[str, Any] = {"what": "latent", "steps": [0]}
HIDDEN_AT: dict[str, Any] = {"what": "hidden", "steps": [0], "site": "resid", "layers": [1]}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "nothing is merged and nothing selected"),
        ({"merges": [{**MERGE, "what": "noise"}]}, "merges.0.what: Input should be 'latent'"),
        ({"merges": [{**MERGE, "steps": []}]}, "merges.0.steps: .*at least 1 item"),
        ({"merges": [{**MERGE, "steps": [-1]}]}, "merges.0.steps.0: .*greater than or equal to 0"),
        ({"merges": [{**MERGE, "colour": 1}]}, "merges.0.colour: Extra inputs"),
        ({"merges": [{**MERGE, "layers": [1]}]}, "go with hidden states, not with latent"),
        ({"merges": [{**HIDDEN_AT, "layers": None}]}, "merged at layers of a site; name both"),
        ({"merges": [{**MERGE, "how": "median", "weights": [1]}]}, "weights do not go with median"),
        ({"merges": [{**MERGE, "weights": [1, -1]}]}, "add up to a positive number"),
        ({"merges": [{**MERGE, "weights": [1, float("nan")]}]}, "finite number"),
        ({"merges": [MERGE, {**MERGE, "steps": [0, 1]}]}, "latent of step 0 is merged twice"),
        (
            {"merges": [{**MERGE, "what": "x0"}, {**MERGE, "what": "prediction"}]},
            "prediction of step 0 is merged twice",
        ),
        ({"merges": [HIDDEN_AT, HIDDEN_AT]}, r"hidden of step 0 \(resid, layer 1\) is merged twice"),
        ({"select": {"step": 0, "keep": 0}}, "select.keep: .*greater than or equal to 1"),
        ({"select": {"step": 0, "by": ""}}, "select.by: .*at least 1 character"),
        ({"merges": [MERGE], "then": "none"}, "then: Input should be 'one' or 'all'"),
        ("{", "Invalid JSON"),
    ],
)
def test_what_is_no_ensemble_is_told_in_a_line(data, said):
    with pytest.raises(InterventionError, match=f"^not an ensemble: .*{said}") as raised:
        Ensemble.of(data)
    assert "\n" not in str(raised.value)


def test_an_ensemble_in_words():
    merges = (
        Merge(what="latent", steps=(0,), weights=(1, 0.5)),
        Merge(what="hidden", steps=(0, 1), site="resid", layers=(20, 21, 22), branches=("cond",)),
    )
    assert str(Ensemble(merges=merges, select=Select(step=1, by="solved", keep=2), then="all")) == (
        "mean of latent at step 0 with weights 1, 0.5; mean of resid at layers 20-22, branch cond at steps "
        "0-1; best 2 by solved after step 1; all go on"
    )
