"""Samples in groups by their truth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.groups import grouped, truth_groups
from stores.errors import SelectionError
from tests.unit.probes.convergence.test_convergence import SHARES, mixed, plant


def test_texts_and_few_numbers_have_a_group_each():
    found = grouped({"a": "red", "b": "blue", "c": "red"}, "goal")
    assert [(group.name, sorted(group.samples)) for group in found] == [
        ("goal blue", ["b"]),
        ("goal red", ["a", "c"]),
    ]
    assert [group.name for group in grouped({"a": 5.0, "b": 7.0, "c": 9.0}, "rooms")] == [
        "rooms 5",
        "rooms 7",
        "rooms 9",
    ]


def test_many_numbers_are_cut_into_thirds():
    found = grouped({f"s{number}": float(number) for number in range(9)}, "path_length")
    assert [group.name for group in found] == [
        "path_length 0 to 2",
        "path_length 3 to 5",
        "path_length 6 to 8",
    ]


@given(st.lists(st.integers(0, 12), min_size=2, max_size=40))
def test_every_sample_is_in_one_group_and_equal_values_in_the_same(values):
    by_sample = {f"s{place}": float(value) for place, value in enumerate(values)}
    found = grouped(by_sample, "x")
    assert sorted(sample for group in found for sample in group.samples) == sorted(by_sample)
    of = {sample: group.name for group in found for sample in group.samples}
    for one, value in by_sample.items():
        assert all(of[one] == of[other] for other, same in by_sample.items() if same == value)


def test_a_truth_that_is_not_there_or_is_the_same_everywhere(tmp_path):
    runs = {(f"maze-{sample}", 0): mixed(0, SHARES, sample) for sample in range(2)}
    truths = {name: {"goal": "red", "length": 3 + place} for place, (name, _) in enumerate(runs)}
    store = plant(tmp_path / "store", runs, truths)
    of = {"maze-0": 0, "maze-1": 0}
    with pytest.raises(SelectionError, match="there is goal, length"):
        truth_groups(store, of, "width", "base")
    with pytest.raises(SelectionError, match="all samples have red"):
        truth_groups(store, of, "goal", "base")
    assert [group.name for group in truth_groups(store, of, "length", "base")] == ["length 3", "length 4"]
