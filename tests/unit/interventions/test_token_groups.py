"""The language of token groups: read once, written back, and true to the algebra of sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cosinterp.errors import SampleError, SelectionError
from cosinterp.interventions.token_groups import Both, Either, Expression, Not, TokenGroup
from cosinterp.interventions.token_places import (
    MAZE_PLACES,
    Box,
    Everything,
    Frames,
    MaskFile,
    MazePlace,
    TruthPlace,
)
from cosinterp.organism import mazes, tasks

GRID = (3, 12, 12)
MAZE = mazes.generate_maze(3, 5)
RED, BLUE = tasks.truth(MAZE, "red"), tasks.truth(MAZE, "blue")
RISING = np.arange(3 * 12 * 12).reshape(GRID) % 7
RECIPIENT = {**RED, "heat": RISING > 3, "column": np.eye(12)}
DONOR = {**BLUE, "heat": RISING > 4, "column": 1 - np.eye(12)}


def mask(text: str, grid=GRID) -> np.ndarray:
    return TokenGroup.parse(text).mask(grid, RECIPIENT, DONOR)


def cells(text: str) -> set[tuple[int, int]]:
    """The (row, col) of a group that is the same in all frames."""
    found = mask(text)
    assert found.dtype == bool
    assert found.shape == GRID
    assert (found == found[:1]).all()
    return {(int(row), int(col)) for row, col in np.argwhere(found[0])}


def test_all_is_every_token():
    assert mask("all").all()


@pytest.mark.parametrize(
    ("text", "frames"),
    [("frames:0", {0}), ("frames:0-1", {0, 1}), ("frames:-1", {2}), ("frames:0,2", {0, 2})],
)
def test_frames_are_selected_as_steps_are(text, frames):
    found = mask(text)
    assert {frame for frame in range(3) if found[frame].all()} == frames
    assert found.sum() == len(frames) * 144


def test_a_box_includes_both_ends():
    assert cells("box:2-3,5-6") == {(2, 5), (2, 6), (3, 5), (3, 6)}
    assert cells("box:-1,4") == {(11, 4)}
    assert cells("box:7,all") == {(7, col) for col in range(12)}


def test_a_truth_is_where_it_is_not_zero():
    assert (mask("truth:heat") == (RISING > 3)).all()
    assert (mask("donor:truth:heat") == (RISING > 4)).all()
    assert cells("truth:column") == {(i, i) for i in range(12)}
    assert (mask("recipient:truth:heat") == mask("truth:heat")).all()


def test_what_is_not_known_of_a_token_does_not_count_as_marked():
    known = {"depth": np.where(np.eye(12) > 0, np.nan, 1.0)}
    assert (TokenGroup.parse("truth:depth").mask(GRID, known)[0] == ~np.eye(12, dtype=bool)).all()


def test_the_places_of_a_maze_are_those_of_its_drawing():
    path = set(MAZE.path("red")[1:-1])
    walls = {(r, c) for r in range(12) for c in range(12) if r > 10 or c > 10 or MAZE.walls[r, c]}
    ends = {MAZE.start, *MAZE.goals.values()}
    everywhere = {(r, c) for r in range(12) for c in range(12)}
    assert cells("path") == path
    assert cells("walls") == walls
    assert cells("floor") == everywhere - walls - ends
    assert cells("start") == {MAZE.start}
    assert cells("red_goal") == {MAZE.goals["red"]}
    assert cells("blue_goal") == {MAZE.goals["blue"]}
    assert cells("goals") == set(MAZE.goals.values())


def test_the_donor_has_its_own_path():
    assert cells("donor:path") == set(MAZE.path("blue")[1:-1])
    assert cells("donor:path & ~path") == set(MAZE.path("blue")[1:-1]) - set(MAZE.path("red")[1:-1])


def test_not_binds_before_and_and_and_before_or():
    assert cells("start + path & ~path") == cells("start")
    assert cells("(start + path) & path") == cells("path")
    assert cells("~path & walls") == cells("walls")
    assert cells("~(path & walls)") == cells("all")
    assert cells("~ ~path") == cells("path")


def test_a_mask_in_numpy_marks_rows_and_columns_or_single_tokens(tmp_path: Path):
    np.save(tmp_path / "flat.npy", np.eye(12, dtype=bool))
    np.save(tmp_path / "full.npy", RISING > 5)
    assert cells(f"mask:{tmp_path}/flat.npy") == {(i, i) for i in range(12)}
    assert (mask(f'mask:"{tmp_path}/full.npy"') == (RISING > 5)).all()


def image(folder: Path, light: np.ndarray, name: str = "mask.png") -> str:
    Image.fromarray(np.where(light, 255, 0).astype(np.uint8)).save(folder / name)
    return f'mask:"{folder / name}"'


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_larger_image_of_the_same_picture_is_the_same_mask(tmp_path: Path, factor: int):
    light = RISING[0] > 3
    large = light.repeat(factor, 0).repeat(factor, 1)
    assert (mask(image(tmp_path, large))[0] == light).all()


def test_a_smaller_image_is_laid_over_the_grid(tmp_path: Path):
    assert cells(image(tmp_path, np.array([[1, 0, 0]] * 2))) == {(r, c) for r in range(12) for c in range(4)}


def test_half_of_a_token_is_enough_and_less_is_not(tmp_path: Path):
    text = image(tmp_path, np.array([[1, 0], [0, 0]]))
    assert TokenGroup.parse(text).mask((1, 1, 2))[0].tolist() == [[True, False]]
    with pytest.raises(SelectionError, match="no token of the 1x1x1 grid"):
        TokenGroup.parse(text).mask((1, 1, 1))


@given(
    st.integers(1, 7).flatmap(
        lambda h: st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=h, max_size=h)
    ),
    st.integers(1, 6),
    st.integers(1, 6),
)
def test_an_image_is_brought_to_the_grid_by_area(tmp_path_factory, light, height, width):
    """Against counting points of a lattice so fine that cells and pixels are made of whole ones."""
    marked = np.array(light)
    fine = marked.repeat(height, 0).repeat(width, 1)
    tall, wide = marked.shape
    share = fine.reshape(height, tall, width, wide).mean((1, 3))
    text = image(tmp_path_factory.mktemp("masks"), marked)
    everywhere = TokenGroup.parse(f"{text} + frames:0").mask((2, height, width))[1]
    assert (everywhere == (share >= 0.5)).all()


places = st.one_of(
    st.just(Everything()),
    st.sampled_from(["0", "0-1", "1,2", "-1", "0--1", "all"]).map(Frames),
    st.builds(Box, st.sampled_from(["0", "2-7", "-3--1", "all"]), st.sampled_from(["1", "0-10", "all"])),
    st.builds(TruthPlace, st.sampled_from(["heat", "column"]), st.sampled_from(["donor", "recipient"])),
    st.builds(MazePlace, st.sampled_from(MAZE_PLACES), st.sampled_from(["donor", "recipient"])),
)
expressions = st.recursive(
    places,
    lambda parts: st.one_of(
        st.builds(Not, parts), st.builds(Both, parts, parts), st.builds(Either, parts, parts)
    ),
    max_leaves=12,
)


def tokens_of(expression: Expression) -> set[tuple[int, ...]]:
    """The tokens of a group by sets of (frame, row, col): a reference that shares no code with masks."""
    everything = set(np.ndindex(GRID))
    if isinstance(expression, Not):
        return everything - tokens_of(expression.part)
    if isinstance(expression, Both):
        return tokens_of(expression.first) & tokens_of(expression.second)
    if isinstance(expression, Either):
        return tokens_of(expression.first) | tokens_of(expression.second)
    if isinstance(expression, Frames):
        chosen = {"0": [0], "0-1": [0, 1], "1,2": [1, 2], "-1": [2]}.get(expression.frames, [0, 1, 2])
        return {token for token in everything if token[0] in chosen}
    if isinstance(expression, Box):
        rows = {"0": [0], "2-7": range(2, 8), "-3--1": [9, 10, 11]}.get(expression.rows, range(12))
        cols = {"1": [1], "0-10": range(11)}.get(expression.cols, range(12))
        return {token for token in everything if token[1] in rows and token[2] in cols}
    if isinstance(expression, TruthPlace):
        heat = {"donor": RISING > 4, "recipient": RISING > 3}[expression.owner]
        if expression.name == "heat":
            return {token for token in everything if heat[token]}
        return {t for t in everything if (t[1] == t[2]) == (expression.owner == "recipient")}
    if isinstance(expression, MazePlace):
        goal = "red" if expression.owner == "recipient" else "blue"
        ends = {MAZE.start, *MAZE.goals.values()}
        open_cells = {(int(r), int(c)) for r, c in np.argwhere(~MAZE.walls)}
        where = {
            "path": set(MAZE.path(goal)[1:-1]),
            "walls": {token[1:] for token in everything} - open_cells,
            "floor": open_cells - ends,
            "start": {MAZE.start},
            "goals": set(MAZE.goals.values()),
            "red_goal": {MAZE.goals["red"]},
            "blue_goal": {MAZE.goals["blue"]},
        }[expression.name]
        return {token for token in everything if token[1:] in where}
    return everything


def found_by(expression: Expression) -> set[tuple[int, ...]]:
    try:
        found = TokenGroup(expression).mask(GRID, RECIPIENT, DONOR)
    except SelectionError as error:
        if "no token of the 3x12x12 grid is in this group" not in str(error):
            raise
        return set()
    return {tuple(map(int, token)) for token in np.argwhere(found)}


@given(expressions)
def test_a_group_is_the_set_that_it_says(expression):
    assert found_by(expression) == tokens_of(expression)


@given(expressions)
def test_a_group_can_be_read_back_from_its_text(expression):
    group = TokenGroup(expression)
    assert TokenGroup.parse(str(group)) == group
    assert TokenGroup.parse(str(group).replace(" ", "")) == group


@given(expressions, expressions)
def test_de_morgan(a, b):
    assert found_by(Not(Both(a, b))) == found_by(Either(Not(a), Not(b)))
    assert found_by(Not(Either(a, b))) == found_by(Both(Not(a), Not(b)))


@given(expressions, expressions, expressions)
def test_and_distributes_over_or(a, b, c):
    assert found_by(Both(a, Either(b, c))) == found_by(Either(Both(a, b), Both(a, c)))


@given(st.text(st.characters(exclude_characters='"', exclude_categories=("C",)), min_size=1))
def test_any_name_can_be_read_back(name):
    for place in (MaskFile(name), TruthPlace(name), TruthPlace(name, "donor")):
        group = TokenGroup(Both(place, Everything()))
        assert TokenGroup.parse(str(group)) == group


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        group = TokenGroup.parse(text)
    except SelectionError:
        return
    assert TokenGroup.parse(str(group)) == group


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "tokens: nothing is named; there are all, frames:0-2"),
        ("pth", 'tokens "pth": cannot read "pth"; did you mean path?'),
        ("path &", 'tokens "path &": a place is missing after "&"'),
        ("& path", "a place is missing at the beginning"),
        ("(path", 'a "(" is not closed'),
        ("(path walls)", 'a "(" is not closed before "walls"'),
        ("path)", 'a ")" closes no "("'),
        ("()", 'a place is missing after "("'),
        ("path walls", '"&" or "+" is missing before "walls"'),
        ("path | walls", "write a + b for what is in either"),
        ("path ~walls", "write a & ~b for a without b"),
        ("frames:x", 'cannot read "frames:x"; write frames such as frames:0-2'),
        ("box:2-5", 'cannot read "box:2-5"; write rows and columns, such as box:2-5,3-8'),
        ("donor:all", "of a donor there are path, .* and truth:NAME"),
        ("donor:frames:0", "of a donor there are path"),
        ("truth:", "write truth:NAME"),
        ('mask:a"b"', "all of the name in quotes or none of it"),
        ('mask:"a', "opens a name that no second one closes"),
        ("mask:a+b.png", 'cannot read "b.png"; a file name that has a space or one of'),
    ],
)
def test_what_cannot_be_read_is_named(text, message):
    with pytest.raises(
        SelectionError, match=message.replace("(", r"\(").replace(")", r"\)").replace("+", r"\+")
    ):
        TokenGroup.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frames:0-3", r'frames "0-3": there is no frame 3; this token grid has frames 0-2'),
        ("box:0-20,1", r'rows "0-20": there is no row 20'),
        (
            "truth:depth",
            'tokens "truth:depth": the recipient\'s truth has no depth; it has blue_goal, .*heat',
        ),
        ("donor:truth:depth", "the donor's truth has no depth"),
        ("truth:goal", 'truth "goal" of the recipient: holds no numbers'),
        ("truth:start", r"has the shape 2; tokens are marked by 12x12 \(row, col\) or 3x12x12 \(frame, row"),
        ("truth:rooms", "has a single value; tokens are marked by"),
        ("path & walls", 'tokens "path & walls": no token of the 3x12x12 grid is in this group'),
        ("mask:nowhere.npy", "nowhere.npy: no such mask"),
    ],
)
def test_what_is_not_there_is_named(text, message):
    with pytest.raises(SelectionError, match=message):
        mask(text)


def test_a_maze_that_is_not_of_the_grid_is_refused():
    with pytest.raises(SelectionError, match=r"the maze of the donor .*: has the shape 12x12; .* by 16x16"):
        mask("donor:path", grid=(3, 16, 16))


def test_a_sample_of_which_nothing_is_known_has_no_places():
    with pytest.raises(
        SelectionError, match='tokens "path": the recipient\'s truth has no walls; there is none'
    ):
        TokenGroup.parse("path").mask(GRID)


def test_a_mask_that_does_not_fit_or_is_damaged_is_refused(tmp_path: Path):
    np.save(tmp_path / "small.npy", np.ones((4, 4)))
    with pytest.raises(SelectionError, match=r"small.npy: has the shape 4x4; tokens are marked by 12x12"):
        mask(f"mask:{tmp_path}/small.npy")
    (tmp_path / "bad.npy").write_bytes(b"no array")
    with pytest.raises(SelectionError, match=r"bad.npy: cannot be read as an array of numbers"):
        mask(f"mask:{tmp_path}/bad.npy")
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(SampleError, match=r"bad.png: cannot be read as an image"):
        mask(f"mask:{tmp_path}/bad.png")
