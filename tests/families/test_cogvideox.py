"""What CogVideoX refuses where its positions come from a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cosinterp.errors import SampleError, TraceError
from cosinterp.models.model import Model
from cosinterp.models.probe import probe_sample
from tests.families.cogvideox import ROWS
from tests.families.row import FamilyRow

BY_NAME = {row.name: row for row in ROWS}
ADDED = BY_NAME["CogVideoX 1.0 (2B): DDIM, v"]
TURNED = BY_NAME["CogVideoX: DDIM, epsilon"]
LEARNED = BY_NAME["CogVideoX 1.0 I2V (5B): DPM, v"]
FamilyModel = Callable[[FamilyRow], Model]


@pytest.mark.parametrize("row", [ADDED, LEARNED], ids=lambda row: row.name)
def test_a_table_of_positions_takes_one_text_length(family_model: FamilyModel, row: FamilyRow) -> None:
    model = family_model(row)
    assert model.sampling_defaults["max_sequence_length"] == 7
    with pytest.raises(TraceError, match="takes a max_sequence_length of 7 only"):
        model.sampling(row.sample(), {"max_sequence_length": 8})


def test_positions_that_are_turned_take_any_text_length(family_model: FamilyModel) -> None:
    settings = family_model(TURNED).sampling(TURNED.sample(), {"max_sequence_length": 8})
    assert settings["max_sequence_length"] == 8


@pytest.mark.parametrize("size", [{"height": 64}, {"width": 64}])
def test_learned_positions_take_one_height_and_width(family_model: FamilyModel, size: dict[str, int]) -> None:
    model = family_model(LEARNED)
    with pytest.raises(SampleError, match="this model takes 32x48 pixels only"):
        model.sampling(replace(LEARNED.sample(), **size), {})
    # The table of the first 2B is computed anew for another size.
    family_model(ADDED).sampling(replace(ADDED.sample(), **size), {})


def test_the_sample_of_verify_is_one_that_the_model_takes(family_model: FamilyModel) -> None:
    model = family_model(LEARNED)
    sample = probe_sample(model)
    assert (sample.height, sample.width, sample.num_frames) == (32, 48, 9)
    model.sampling(sample, {})
