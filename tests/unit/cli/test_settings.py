"""Sampling settings from ``--set``."""

from __future__ import annotations

from typing import Any

import pytest

from cosinterp.cli.settings import merged, parse_settings
from cosinterp.errors import TraceError


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("stg_scale=1.5", "stg_scale", 1.5),
        ("blocks=[28, 29]", "blocks", [28, 29]),
        ("use_cross_timestep=true", "use_cross_timestep", True),
        ("system_prompt=a=b, c", "system_prompt", "a=b, c"),
        ("nothing=", "nothing", ""),
    ],
)
def test_a_value_is_read_as_json_where_it_is_some(word: str, name: str, value: Any) -> None:
    assert parse_settings([word]) == {name: value}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stg_scale"], "give a name and a value"),
        (["=3"], "give a name and a value"),
        (["a=1", "a=2"], "--set a: given twice"),
    ],
)
def test_what_is_no_setting_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(TraceError, match=message):
        parse_settings(words)


def test_a_setting_with_a_flag_of_its_own_is_given_once() -> None:
    assert merged({"num_steps": 3, "height": None}, {"height": 32}) == {"num_steps": 3, "height": 32}
    with pytest.raises(TraceError, match="--set num_steps: also given as --num-steps"):
        merged({"num_steps": 3}, {"num_steps": 4})
