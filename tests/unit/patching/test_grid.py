"""The cells of a grid, written out."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from cosinterp.errors import InterventionError, SelectionError, UserError
from cosinterp.interventions.intervention import Zero
from cosinterp.patching.grid import Cell, Grid
from tests.unit.models.test_anatomy import JOINED

SETTINGS = {"num_steps": 4, "guidance_scale": 3.0}


def cells(**grid: Any) -> list[Cell]:
    return Grid(**grid).cells(JOINED, SETTINGS)


def test_it_is_all_steps_and_layers_of_the_stream_unless_asked_otherwise() -> None:
    assert [(cell.steps, cell.layers) for cell in cells()] == [
        ((step,), (layer,)) for layer, step in product(range(6), range(4))
    ]
    assert {(cell.site, cell.tokens, cell.branch) for cell in cells()} == {("resid", "all", "all")}


@pytest.mark.parametrize(
    ("steps", "window", "expected"),
    [
        ("all", 1, [(0,), (1,), (2,), (3,)]),
        ("all", 2, [(0, 1), (1, 2), (2, 3)]),
        ("all", "3", [(0, 1, 2), (1, 2, 3)]),
        ("all", 4, [(0, 1, 2, 3)]),
        ("all", "cumulative", [(0,), (0, 1), (0, 1, 2), (0, 1, 2, 3)]),
        ("1-3", "cumulative", [(1,), (1, 2), (1, 2, 3)]),
        ("0-1,3", "onward", [(0, 1, 3), (1, 3), (3,)]),
        ("0,2-3", 2, [(0, 2), (2, 3)]),
        ("-1", 1, [(3,)]),
        ([2, 0], 1, [(0,), (2,)]),
    ],
)
def test_windows_of_steps(steps: Any, window: int | str, expected: list[tuple[int, ...]]) -> None:
    assert [cell.steps for cell in cells(steps=steps, layers="0", window=window)] == expected


@pytest.mark.parametrize(
    ("layers", "window", "expected"),
    [("0-3", 2, [(0, 1), (1, 2), (2, 3)]), ("1,5", 2, [(1, 5)]), ("0-2", 3, [(0, 1, 2)])],
)
def test_windows_of_layers(layers: str, window: int, expected: list[tuple[int, ...]]) -> None:
    assert [cell.layers for cell in cells(steps="0", layers=layers, layer_window=window)] == expected


def test_each_site_has_its_own_layers() -> None:
    found = cells(sites="all", steps="0")
    by_site = {site: [cell.layers[0] for cell in found if cell.site == site] for site in JOINED.sites}
    assert by_site["resid"] == [0, 1, 2, 3, 4, 5]
    assert by_site["text"] == [0, 1, 2]
    assert by_site["mlp"] == by_site["self_attn.raw"] == [1, 2]
    assert by_site["parallel"] == [3, 4, 5]


def test_it_is_every_combination() -> None:
    asked: dict[str, Any] = {
        "sites": ("resid", "mlp"),
        "layers": "1-2",
        "steps": "0,3",
        "tokens": ("all", "frames:0"),
        "branches": ("all", "cond", "uncond"),
    }
    found = cells(**asked)
    assert len(found) == len(set(found)) == 2 * 2 * 2 * 2 * 3


@pytest.mark.parametrize(
    "branches", [("all", "cond", "uncond"), ("all,cond", "uncond"), ("all, cond, uncond",)]
)
def test_branches_are_named_as_elsewhere(branches: tuple[str, ...]) -> None:
    found = cells(steps="0", layers="0", branches=branches)
    assert [cell.branch for cell in found] == ["all", "cond", "uncond"]


def test_tokens_are_named_in_one_way() -> None:
    (cell,) = cells(steps="0", layers="0", tokens=("frames:0&~box:1,1",))
    assert cell.tokens == "frames:0 & ~box:1,1"


def test_what_is_asked_for_twice_is_one_cell() -> None:
    """Its patches would count twice among those of a mean."""
    asked: dict[str, Any] = {"sites": ("resid", "resid"), "layers": "1,1", "steps": "0,0"}
    asked |= {"tokens": ("frames:0 & box:1,1", "frames:0&box:1,1"), "branches": ("cond", "cond")}
    assert len(cells(**asked)) == 1


def test_a_cell_is_named_by_its_labels_and_makes_an_intervention() -> None:
    cell = Cell("mlp", (1, 2), (0, 1, 3), "frames:0", "cond")
    assert cell.labels == {
        "site": "mlp",
        "layer": 1,
        "layers": "1-2",
        "steps": "0-1,3",
        "tokens": "frames:0",
        "branch": "cond",
    }
    made = cell.intervention(Zero(), elsewhere=5)
    assert (made.site, made.layers, made.steps, made.branches) == ("mlp", (1, 2), (0, 1, 3), ("cond",))
    assert (made.tokens, made.elsewhere, made.what) == ("frames:0", 5, Zero())
    assert Cell("mlp", (1,), (0,), "all", "all").intervention(Zero()).branches is None


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"steps": "4"}, "no step 4; this run has steps 0-3"),
        ({"layers": "6"}, "no layer 6; this model has layers 0-5"),
        ({"sites": "attention"}, 'unknown site "attention"'),
        ({"branches": ("negative",)}, 'unknown branch "negative"'),
        ({"window": 5}, "nothing to patch: resid"),
        ({"layer_window": 7}, "nothing to patch"),
        ({"sites": "parallel", "layers": "1"}, "nothing to patch: parallel at layers 1"),
        ({"window": 0}, "window 0: give a number of steps, cumulative or onward"),
        ({"window": "half"}, "window 'half': give"),
        ({"window": -1}, "window -1: give"),
        ({"window": "²"}, "window '²': give"),
        ({"layer_window": "cumulative"}, "layer window 'cumulative': give a number of layers"),
        ({"tokens": ("roof",)}, 'cannot read "roof"'),
    ],
)
def test_what_there_is_not(grid: dict[str, Any], said: str) -> None:
    with pytest.raises(SelectionError, match=said):
        cells(**grid)


def test_a_branch_that_is_not_computed() -> None:
    with pytest.raises(SelectionError, match="branch uncond is not computed by this run"):
        Grid(branches=("uncond",)).cells(JOINED, {**SETTINGS, "guidance_scale": 1.0})


def test_tokens_of_a_text() -> None:
    with pytest.raises(InterventionError, match='tokens "frames:0": text has no places on the token grid'):
        cells(sites=("resid", "text"), tokens=("frames:0",))
    assert issubclass(InterventionError, UserError)
