"""A result of a kind that this version does not know shows what any result has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from probes import kinds
from probes.results.result import Result
from stores import StoreError


def odd(kind: str | None = "telepathy") -> Result:
    dataset = xr.Dataset(
        {
            "score": (("step", "layer"), np.array([[1.0, np.nan], [3.0, 2.0]]), {"long_name": "how good"}),
            "who": ("step", np.array(["a", "b"])),
            "done": ("step", np.array([True, False])),
        }
    )
    return Result(dataset, {} if kind is None else {"kind": kind})


def test_its_variables_are_shown_with_a_clear_word() -> None:
    made = odd()
    assert not made.is_known
    assert made.title == "Unknown kind: telepathy"
    [line] = made.summary()
    assert line.startswith(
        'Results of the kind "telepathy" are not known to this version of cosinterp; shown'
    )
    table = made.table().set_index("variable")
    assert table.loc["score", "dimensions"] == "step 2, layer 2"
    assert table.loc["score", "what"] == "how good"
    assert table.loc["score", ["mean", "least", "greatest", "not known"]].tolist() == [2, 1, 3, 1]
    assert table.loc["who", "type"] == "text"
    assert np.isnan(table.loc["done", "mean"])


def test_it_has_no_figures_and_says_so(tmp_path: Path) -> None:
    assert odd().figures() == []
    with pytest.raises(StoreError, match="figure: this result, of the kind telepathy, has none"):
        odd().plot(tmp_path / "a.png")


def test_a_result_that_names_no_kind_is_one_of_them() -> None:
    assert odd(None).kind == ""
    assert odd(None).title == "Unknown kind: none named"
    assert repr(odd(None)) == "<Result (not saved), of no kind>"


def test_a_kind_whose_module_is_not_there_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kinds._HOMES, "telepathy", "probes.kinds.telepathy")
    assert not kinds.is_known("telepathy")
    assert odd().title == "Unknown kind: telepathy"


def test_every_kind_that_is_named_is_there() -> None:
    for name in kinds._HOMES:
        assert kinds.is_known(name), name
        assert kinds.kind_of(name).title
    with pytest.raises(StoreError, match='the kind "telepathy" are not known here; there are ablation, '):
        kinds.kind_of("telepathy")


def test_a_result_that_lacks_what_its_kind_tells_of_is_one_line() -> None:
    made = Result(odd().dataset, {"kind": "maps", "command": "cosinterp maps mazes"})
    with pytest.raises(
        StoreError, match=r"this result: has no \w+, which .* maps have .*: cosinterp maps mazes"
    ):
        made.summary()


def test_other_keys_that_are_not_there_are_no_mistakes_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(dataset: xr.Dataset) -> list[str]:
        raise KeyError("colour")

    kind = replace(kinds.kind_of("maps"), summary=broken)
    monkeypatch.setattr("probes.results.result.kind_of", lambda name: kind)
    with pytest.raises(KeyError, match="colour"):
        Result(odd().dataset, {"kind": "maps"}).summary()
