"""The anatomy's arithmetic: layers, sites, branches, grids and sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosinterp.errors import SampleError, SelectionError
from cosinterp.models.anatomy import Anatomy, Size, Sublayer

WAN_14B = Anatomy(
    family="wan",
    experts=("transformer", "transformer_2"),
    blocks="blocks",
    num_layers=40,
    channels=5120,
    sublayers=(Sublayer("self_attn", "attn1"), Sublayer("cross_attn", "attn2"), Sublayer("mlp", "ffn")),
    block_arguments=("hidden_states",),
    patch_size=(1, 2, 2),
    latent_channels=16,
    spatial_scale=8,
    temporal_scale=4,
    size_multiple=(16, 16),
    image="none",
    image_hint="",
    guidance="sequential",
    prediction_type="flow",
    two_guidance_scales=True,
    expert_at=lambda pipeline, timestep: 0,
    fixed_text_length=None,
    pinned=lambda prepared: None,
    decode=lambda pipeline, latents: latents.numpy(),
)


def test_forty_blocks_are_forty_one_layers() -> None:
    assert list(WAN_14B.layers) == list(range(41))


def test_the_published_size_has_32760_tokens() -> None:
    size = Size(480, 832, 81)
    assert WAN_14B.latent_shape(size) == (16, 21, 60, 104)
    assert WAN_14B.grid(size) == (21, 30, 52)


def test_layer_0_has_the_residual_stream_only() -> None:
    assert WAN_14B.layers_of("resid", (0, 1, 40)) == (0, 1, 40)
    assert WAN_14B.layers_of("mlp.raw", (0, 1, 40)) == (1, 40)


def test_sites_come_in_the_anatomys_order_and_once() -> None:
    assert WAN_14B.select_sites("mlp.raw, resid,mlp.raw") == ("resid", "mlp.raw")
    assert WAN_14B.select_sites("all") == WAN_14B.sites
    assert len(set(WAN_14B.sites)) == 7


@pytest.mark.parametrize("names", ["", "resid,", "q_proj", [], ["raw"]])
def test_unknown_sites_are_refused_with_those_there_are(names: str | list[str]) -> None:
    with pytest.raises(SelectionError, match=r"this model has sites resid, self_attn, .*mlp\.raw"):
        WAN_14B.select_sites(names)


def test_branches() -> None:
    assert WAN_14B.select_branches("all", guided=True) == ("cond", "uncond")
    assert WAN_14B.select_branches("all", guided=False) == ("cond",)
    assert WAN_14B.select_branches(["uncond"], guided=True) == ("uncond",)
    with pytest.raises(SelectionError, match="use a guidance scale above 1"):
        WAN_14B.select_branches("uncond", guided=False)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (Size(480, 830, 81), "multiples of 16 and 16"),
        (Size(0, 832, 81), "multiples of 16 and 16"),
        (Size(480, 832, 80), "such as 77 or 81"),
        (Size(480, 832, 2), "such as 1 or 5"),
        (Size(480, 832, 0), "1 more than a multiple of 4"),
    ],
)
def test_sizes_that_the_pipeline_would_round_are_refused(size: Size, message: str) -> None:
    with pytest.raises(SampleError, match=f"here: .*{message}"):
        WAN_14B.check_size(size, "here")


def test_good_sizes_pass() -> None:
    WAN_14B.check_size(Size(480, 832, 81), "here")
    replace(WAN_14B, size_multiple=(32, 32)).check_size(Size(704, 1280, 1), "here")
