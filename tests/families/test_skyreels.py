"""What is refused of SkyReels-V2, and why."""

from __future__ import annotations

from pathlib import Path

import diffusers
import pytest

import cosinterp as ci
from cosinterp.errors import ModelError
from tests.families.skyreels import pipeline


@pytest.mark.parametrize("kind", ["", "ImageToVideo", "VideoToVideo"])
def test_diffusion_forcing_is_refused_with_the_reason(kind: str, tmp_path: Path) -> None:
    pipeline(getattr(diffusers, f"SkyReelsV2DiffusionForcing{kind}Pipeline")).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="gives each latent frame a noise level and a scheduler of its own"):
        ci.load(tmp_path, device="cpu")
