"""Rows as a Dataset, and what tells patches apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cosinterp.interventions.intervention import Intervention, Replace, RunRef, Zero
from cosinterp.patching.running import dataset_of, key_of
from cosinterp.patching.trial import Trial
from cosinterp.scorers import Metric

RUN, DONOR = (RunRef(store="s", sample=sample, seed=3) for sample in ("blue", "red"))
ONE = Intervention(layers=(1,), steps=(0, 1), what=Replace(donor=DONOR))
TRIAL = Trial(RUN, DONOR, (ONE,), {"pair": "p", "layer": 1})
METRIC = Metric("solved", "solved", "solved", "share", (0.0, 1.0))


def test_the_same_patch_has_the_same_key() -> None:
    again = Trial(
        RunRef.model_validate_json(RUN.model_dump_json()),
        DONOR.model_copy(),
        (Intervention.of(ONE.to_json()),),
        {"layer": 1, "pair": "p"},
    )
    assert key_of(again) == key_of(TRIAL)


@pytest.mark.parametrize(
    "other",
    [
        replace(TRIAL, run=DONOR, toward=RUN),
        replace(TRIAL, run=RUN.model_copy(update={"seed": 4})),
        replace(TRIAL, toward=RUN),
        replace(TRIAL, interventions=()),
        replace(TRIAL, interventions=(ONE, ONE)),
        replace(TRIAL, interventions=(ONE.model_copy(update={"elsewhere": 0}),)),
        replace(TRIAL, interventions=(ONE.model_copy(update={"what": Zero()}),)),
        replace(TRIAL, labels={"pair": "p", "layer": 2}),
        replace(TRIAL, labels={"pair": "p"}),
    ],
)
def test_any_other_patch_has_another(other: Trial) -> None:
    assert key_of(other) != key_of(TRIAL)


def test_the_order_of_interventions_matters() -> None:
    zero = Intervention(layers=(1,), steps=(0,), what=Zero())
    first, second = (replace(TRIAL, interventions=pair) for pair in ((ONE, zero), (zero, ONE)))
    assert key_of(first) != key_of(second)


def test_a_column_has_the_type_of_what_is_in_it() -> None:
    rows = [
        {"pair": "a", "layer": 1, "x0_moved": 0.5, "error": "", "solved": 1.0},
        {"pair": "bcd", "layer": 2, "x0_moved": 1.0, "error": "measure m: failed"},
        {"pair": "e", "layer": 3, "error": "the clean estimate holds NaN", "mood": 2},
    ]
    found = dataset_of(rows, {"solved": METRIC}, {"pair", "layer"})
    assert dict(found.sizes) == {"patch": 3}
    assert found.pair.dtype.kind == found.error.dtype.kind == "U"
    assert found.pair.values.tolist() == ["a", "bcd", "e"]
    assert (found.layer.dtype, found.layer.values.tolist()) == (np.int64, [1, 2, 3])
    np.testing.assert_array_equal(found.x0_moved.values, [0.5, 1.0, np.nan])
    # What was measured of some is not known of the others.
    np.testing.assert_array_equal(found.solved.values, [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(found.mood.values, [np.nan, np.nan, 2.0])


def test_effects_and_labels_say_what_they_are() -> None:
    found = dataset_of([{"pair": "a", "solved": 1.0, "blocks": 3}], {"solved": METRIC}, {"pair"})
    assert found.solved.attrs == {"long_name": "solved", "kind": "share", "valid_min": 0.0, "valid_max": 1.0}
    assert found.pair.attrs == {"kind": "label"}
    assert found.blocks.attrs == {}
