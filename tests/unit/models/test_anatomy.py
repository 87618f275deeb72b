"""The anatomy's arithmetic: layers, sites, branches, grids and sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from cosinterp.errors import ModelError, SampleError, SelectionError
from cosinterp.models.anatomy import Anatomy
from cosinterp.models.blocks import Stack, Stream, Sublayer
from cosinterp.models.geometry import Geometry, Size
from cosinterp.models.guidance import classifier_free

WAN_14B = Anatomy(
    family="wan",
    experts=("transformer", "transformer_2"),
    stacks=(
        Stack(
            blocks="blocks",
            count=40,
            streams=(Stream("resid", 5120, "hidden_states"),),
            sublayers=(
                Sublayer("self_attn", "attn1"),
                Sublayer("cross_attn", "attn2"),
                Sublayer("mlp", "ffn"),
            ),
        ),
    ),
    geometry=Geometry(
        patch_size=(1, 2, 2),
        latent_channels=16,
        spatial_scale=8,
        temporal_scale=4,
        size_multiple=(16, 16),
    ),
    guidance=classifier_free("sequential"),
    prediction_type="flow",
    decode=lambda pipeline, latents, num_frames: latents.numpy(),
    two_guidance_scales=True,
)
JOINED = replace(
    WAN_14B,
    stacks=(
        Stack(
            blocks="double",
            count=2,
            streams=(
                Stream("resid", 8, "hidden_states", output=0),
                Stream("text", 8, "encoder_hidden_states", output=1, grid=lambda size, settings: (1, 1, 7)),
            ),
            sublayers=(Sublayer("self_attn", "attn"), Sublayer("mlp", "ff")),
        ),
        Stack(
            blocks="single",
            count=3,
            streams=(Stream("resid", 8, "hidden_states", output=1),),
            sublayers=(Sublayer("parallel", "proj_out"),),
        ),
    ),
)
GUIDED, UNGUIDED = {"guidance_scale": 5.0}, {"guidance_scale": 1.0}


def test_forty_blocks_are_forty_one_layers() -> None:
    assert list(WAN_14B.layers) == list(range(41))


def test_the_published_size_has_32760_tokens() -> None:
    size = Size(480, 832, 81)
    assert WAN_14B.geometry.latent_shape(size) == (16, 21, 60, 104)
    assert WAN_14B.geometry.grid(size) == (21, 30, 52)


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
    assert WAN_14B.select_branches("all", GUIDED) == ("cond", "uncond")
    assert WAN_14B.select_branches("all", UNGUIDED) == ("cond",)
    assert WAN_14B.select_branches(["uncond"], GUIDED) == ("uncond",)
    with pytest.raises(SelectionError, match="it needs guidance_scale above 1"):
        WAN_14B.select_branches("uncond", UNGUIDED)
    with pytest.raises(SelectionError, match='unknown branch "stg"; this model has cond, uncond'):
        WAN_14B.select_branches("cond,stg", GUIDED)


def test_stacks_are_one_run_of_layers() -> None:
    assert list(JOINED.layers) == [0, 1, 2, 3, 4, 5]
    assert [JOINED.stack_of(layer)[0].blocks for layer in range(1, 6)] == ["double"] * 2 + ["single"] * 3
    assert [JOINED.stack_of(layer)[1] for layer in range(1, 6)] == [0, 1, 0, 1, 2]
    with pytest.raises(IndexError, match="no block 6 in 5"):
        JOINED.stack_of(6)


def test_a_list_may_hold_blocks_of_several_kinds() -> None:
    double, single = JOINED.stacks
    mixed = replace(JOINED, stacks=(double, replace(single, blocks="double", first=2)))
    assert [mixed.stack_of(layer) for layer in (1, 2, 3, 5)] == [
        (mixed.stacks[0], 0),
        (mixed.stacks[0], 1),
        (mixed.stacks[1], 2),
        (mixed.stacks[1], 4),
    ]


def test_a_site_is_at_the_layers_of_the_stacks_that_have_it() -> None:
    layers = tuple(JOINED.layers)
    assert JOINED.sites == (
        *("resid", "text", "self_attn", "mlp", "parallel"),
        *("self_attn.raw", "mlp.raw", "parallel.raw"),
    )
    assert JOINED.layers_of("resid", layers) == layers
    assert JOINED.layers_of("text", layers) == (0, 1, 2)
    assert JOINED.layers_of("mlp", layers) == (1, 2)
    assert JOINED.layers_of("parallel.raw", layers) == (3, 4, 5)


def test_a_stream_may_have_a_grid_of_its_own() -> None:
    size = Size(32, 48, 5)
    assert JOINED.stream_grid("text", size, {}) == (1, 1, 7)
    assert JOINED.stream_grid("resid", size, {}) == (2, 2, 3)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (Size(480, 830, 81), "multiples of 16 and 16"),
        (Size(0, 832, 81), "multiples of 16 and 16"),
        (Size(480, 832, 80), "such as 77 or 81"),
        (Size(480, 832, 2), "such as 1 or 5"),
        (Size(480, 832, 0), "makes at least 1"),
    ],
)
def test_sizes_that_the_pipeline_would_round_are_refused(size: Size, message: str) -> None:
    with pytest.raises(SampleError, match=f"here: .*{message}"):
        WAN_14B.geometry.check(size, "here")


def test_good_sizes_pass() -> None:
    WAN_14B.geometry.check(Size(480, 832, 81), "here")
    replace(WAN_14B.geometry, size_multiple=(32, 32)).check(Size(704, 1280, 1), "here")


def test_latent_frames_are_filled_up_to_a_patch() -> None:
    padded = replace(WAN_14B.geometry, patch_size=(2, 2, 2), latent_frame_multiple=2)
    assert padded.latent_shape(Size(480, 720, 81))[1] == 22
    assert padded.grid(Size(480, 720, 81)) == (11, 30, 45)


@pytest.mark.parametrize(
    ("geometry", "size", "grid"),
    [
        (WAN_14B.geometry, Size(32, 32, 9), (3, 2, 2)),
        # LTX-Video: a token is 32 pixels wide.
        (
            replace(WAN_14B.geometry, patch_size=(1, 1, 1), spatial_scale=32, size_multiple=(32, 32)),
            Size(64, 64, 9),
            (3, 2, 2),
        ),
    ],
)
def test_the_smallest_size_has_several_tokens_along_each_axis(
    geometry: Geometry, size: Size, grid: tuple[int, int, int]
) -> None:
    assert geometry.smallest() == size
    assert geometry.grid(size) == grid


def test_an_image_model_makes_one_frame_and_a_fixed_size_is_the_only_one() -> None:
    image = Geometry(patch_size=(1, 2, 2), latent_channels=4, spatial_scale=8, is_image=True)
    assert image.grid(Size(64, 96)) == (1, 4, 6)
    with pytest.raises(SampleError, match="makes images"):
        image.check(Size(64, 96, 5), "here")
    fixed = replace(image, fixed_size=Size(256, 256))
    assert fixed.smallest() == Size(256, 256)
    with pytest.raises(SampleError, match="takes 256x256 pixels only"):
        fixed.check(Size(64, 96), "here")


@pytest.mark.parametrize(
    "unpack",
    [None, lambda seen, size: seen.transpose(1, 2), lambda seen, size: seen.permute(0, 4, 1, 2, 3)],
    ids=["as they are", "frames first", "channels last"],
)
def test_latents_are_packed_as_the_scheduler_sees_them(unpack: Callable[..., torch.Tensor] | None) -> None:
    anatomy, size = replace(WAN_14B, unpack=unpack), Size(16, 24, 9)
    seen = torch.randn(2, 3, 4, 5, 6)
    latents = seen if unpack is None else unpack(seen, size)
    packed = anatomy.packed_like(latents.double(), torch.zeros_like(seen), size)
    assert torch.equal(packed, seen)
    assert packed.dtype == seen.dtype


def test_first_frames_that_the_scheduler_is_not_shown_are_left_out() -> None:
    latents = torch.randn(1, 4, 3, 2, 2)
    seen = latents[:, :, 1:]
    assert torch.equal(WAN_14B.packed_like(latents, torch.zeros_like(seen), Size(16, 16, 9)), seen)


@pytest.mark.parametrize(
    "unpack",
    [
        lambda seen, size: torch.zeros_like(seen),
        lambda seen, size: seen[:, :, 1:],
        lambda seen, size: torch.cat([seen, seen[:, :, :1]], dim=2),
    ],
    ids=["all of one place", "some left out", "some twice"],
)
def test_latents_that_are_not_only_rearranged_are_not_packed(unpack: Callable[..., torch.Tensor]) -> None:
    seen = torch.randn(1, 4, 3, 2, 2)
    with pytest.raises(ModelError, match=r"where the scheduler sees \(1, 4, 3, 2, 2\).* \(wan\)"):
        replace(WAN_14B, unpack=unpack).packed_like(unpack(seen, Size(16, 16)), seen, Size(16, 16))


@pytest.mark.parametrize("shape", [(2, 4, 3, 2, 2), (1, 5, 3, 2, 2), (1, 4, 2, 2, 2)])
def test_latents_of_another_shape_are_not_packed(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="cannot be packed as"):
        WAN_14B.packed_like(torch.zeros(shape), torch.zeros(1, 4, 3, 2, 2), Size(16, 16))
