"""What Allegro refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cosinterp.errors import ModelError, SampleError
from cosinterp.models.families import anatomy_of
from cosinterp.models.geometry import Size, Tiles
from cosinterp.models.model import Model
from tests.families.allegro import ROWS
from tests.families.row import FamilyRow

(ROW,) = ROWS
FamilyModel = Callable[[FamilyRow], Model]


@pytest.mark.parametrize(
    ("size", "refused"),
    [
        (Size(720, 1280, 88), None),
        (Size(320, 320, 24), None),
        (Size(320, 320, 88), None),
        (Size(720, 1280, 84), "num_frames 84, .* has to be 24, 40, 56 and so on"),
        (Size(720, 1280, 16), "num_frames 16"),
        (Size(520, 1280, 88), "height 520, .* has to be 320, 720, 1120 and so on"),
        (Size(720, 1216, 88), "width 1216, .* has to be 320, 560, 800 and so on"),
    ],
)
def test_sizes_of_which_the_vae_would_leave_a_part_black_are_refused(size: Size, refused: str | None) -> None:
    """Of the published model: tiles of 320 pixels, 200 and 240 behind one another, and tokens of 16."""
    tiles = Tiles(size=(24, 320, 320), stride=(16, 400, 240))
    if refused is None:
        tiles.check(size, "here")
    else:
        with pytest.raises(SampleError, match=f"here: {refused}"):
            tiles.check(size, "here")


def test_the_tiles_are_read_from_the_vae(family_model: FamilyModel) -> None:
    geometry = family_model(ROW).anatomy.geometry
    assert geometry.tiles == Tiles(size=(24, 128, 128), stride=(16, 16, 48))
    assert geometry.smallest() == Size(128, 128, 24)
    with pytest.raises(SampleError, match="width 160"):
        geometry.check(Size(128, 160, 24), "here")


def test_another_pipeline_of_the_denoiser_is_refused(family_model: FamilyModel) -> None:
    pipeline = family_model(ROW).pipeline
    other = type("AllegroEditPipeline", (type(pipeline),), {})(**pipeline.components)
    with pytest.raises(ModelError, match="AllegroEditPipeline is not known; known for this transformer: "):
        anatomy_of(other, "here")
