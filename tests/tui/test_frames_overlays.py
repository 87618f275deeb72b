"""What is shown of tokens beside the pictures of a run: energy and principal components."""

from pathlib import Path

import numpy as np
import pytest

from probes.maps.principal import Moments, principal
from stores.errors import SelectionError
from tests.tui.store_factory import STEPS, make_store
from tui.browser.reading import read_rows
from tui.browser.rows import Row
from tui.frames.film import read_film
from tui.frames.overlays import Kind, Overlay, OverlayReader, Wanted, first_components

# Three directions of channels, along which tokens lie on one line each.
AXES = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 3)))[0].T
PLACES = np.array([[[9, 0, 0], [-9, 0, 0]], [[0, 4, 0], [0, 0, 2]]], np.float64)


def tokens(step: int, layer: int) -> np.ndarray:
    """Four tokens (frame, row, col, channel) on the axes; the later step has them at half the way."""
    return ((PLACES / (1 + step)) @ AXES + layer)[None].astype(np.float32)


@pytest.fixture
def row(tmp_path: Path) -> Row:
    store = make_store(tmp_path / "mazes", [("maze-1", 0)], activations=tokens)
    return read_rows(store, store)[0]


def read(reader: OverlayReader, row: Row, kind: Kind, step: int, layer: int = 1) -> Overlay:
    return reader.read(Wanted(row, kind, read_film(row).recorded[kind].site, step, layer))


def test_components_are_those_of_the_maps() -> None:
    generator = np.random.default_rng(1)
    drawn = (generator.normal(size=(300, 40)) * np.linspace(1, 9, 40) + 5).astype(np.float32)
    moments = Moments(40)
    moments.add(drawn)
    exact, found = principal(moments), first_components(drawn)
    assert np.allclose(found.axes, exact.axes, atol=1e-4)
    assert np.allclose(found.explained, exact.explained, rtol=1e-5)
    assert np.allclose(found.centre, exact.centre, rtol=1e-5)


@pytest.mark.parametrize(
    ("drawn", "why"),
    [
        (np.ones((9, 8), np.float32), "alike"),
        (np.ones((3, 8), np.float32), "more than 3 tokens and channels, not 3 and 8"),
        (np.ones((9, 2), np.float32), "not 9 and 2"),
    ],
)
def test_what_has_no_components_says_why(drawn: np.ndarray, why: str) -> None:
    with pytest.raises(SelectionError, match=why):
        first_components(drawn)


def test_a_colour_is_one_place_along_the_components_at_every_step(row: Row) -> None:
    reader = OverlayReader()
    first, second = (read(reader, row, Kind.COMPONENTS, step) for step in range(STEPS))
    colours = [one.pictures.reshape(4, 3).astype(int) for one in (first, second)]
    # The first two tokens are the ends of the first component; half the way at the second step.
    red = [one[:, 0] for one in colours]
    ends = sorted([int(red[0][0]), int(red[0][1])])
    assert ends[0] < 5
    assert ends[1] > 250
    assert np.sign(red[0][0] - red[0][1]) == np.sign(red[1][0] - red[1][1])
    middle = np.mean(ends)
    assert abs(abs(red[1][0] - red[1][1]) - (ends[1] - ends[0]) / 2) < 6
    assert abs((red[1][0] + red[1][1]) / 2 - middle) < 6
    # The same again, and by another reader too.
    again = read(OverlayReader(), row, Kind.COMPONENTS, 1)
    assert np.array_equal(again.pictures, second.pictures)
    assert "% of the variance of 8 tokens of steps 0-1, drawn with seed 0" in first.words
    assert first.words == second.words


def test_energy_is_the_length_of_each_token(row: Row) -> None:
    found = read(OverlayReader(), row, Kind.ENERGY, 0, layer=0)
    assert found.words == "2 to 9"
    shades = found.picture(0).astype(int).sum(axis=-1)
    assert shades[0, 0] == shades[0, 1] == shades.max()
    assert shades[1, 1] == shades.min()


def test_a_site_without_channels_has_energies_and_no_components(row: Row) -> None:
    assert set(read_film(row).recorded) == {Kind.ENERGY, Kind.COMPONENTS}
    assert read_film(row).recorded[Kind.ENERGY].has(0, 2)
    assert not read_film(row).recorded[Kind.ENERGY].has(0, 3)
