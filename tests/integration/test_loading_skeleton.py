"""A skeleton says all that configs say, and reads no weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch

from cosinterp.errors import ModelError
from cosinterp.models.loading import load, prepare, skeleton
from cosinterp.models.model import Model
from cosinterp.planning.plan import TracePlan, make_plan
from tests.integration.large import a14b
from tests.tiny import KINDS, sample_for

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def bare(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A tiny Wan's folder by its kind, whose weight files hold nothing."""

    def folder(kind: str) -> Path:
        copied = shutil.copytree(tiny_folder(kind), tmp_path / kind)
        for path in copied.rglob("*.safetensors"):
            path.write_bytes(b"")
        return copied

    return folder


def plan_of(model: Model, kind: str) -> TracePlan:
    return make_plan(
        model,
        [sample_for(kind)],
        seeds="0-3",
        layers="all",
        sites="all",
        save_steps="all",
        branches="all",
        dtype="auto",
        batch=1,
        save_video=True,
        host_memory=2**30,
        sampling={},
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_skeleton_plans_what_the_model_does(
    kind: str, dtype: str, tiny_folder: Callable[[str], Path], tiny_model: Callable[..., Model]
) -> None:
    of_skeleton = plan_of(skeleton(tiny_folder(kind), device="cpu", dtype=dtype), kind)
    of_model = plan_of(tiny_model(kind, dtype), kind)
    assert of_skeleton.settings == of_model.settings
    assert [one.shape for one in of_skeleton.samples] == [one.shape for one in of_model.samples]
    assert [one.settings for one in of_skeleton.samples] == [one.settings for one in of_model.samples]
    assert of_skeleton.kept == of_model.kept
    assert of_skeleton.run_branches == of_model.run_branches


@pytest.mark.parametrize("kind", KINDS)
def test_a_skeleton_reads_no_weights(kind: str, bare: Callable[[str], Path]) -> None:
    pipeline = skeleton(bare(kind), device="cpu").pipeline
    models = [part for part in pipeline.components.values() if isinstance(part, torch.nn.Module)]
    assert len(models) == 1 + KINDS[kind].experts
    assert all(tensor.is_meta for model in models for tensor in model.parameters())


def test_nothing_but_the_bundled_models_settings_is_lost() -> None:
    model = skeleton("maze-wan", device="cpu")
    loaded = load("maze-wan", device="cpu")
    assert (model.name, model.task, model.own_sampling) == (loaded.name, loaded.task, loaded.own_sampling)
    assert model.sampling_defaults == loaded.sampling_defaults


def test_28_billion_parameters_are_described_by_their_configs(tmp_path: Path) -> None:
    model = skeleton(a14b(tmp_path / "a14b"), device="cpu", dtype="bf16")
    assert model.anatomy.experts == ("transformer", "transformer_2")
    assert (model.num_layers, model.anatomy.channels) == (40, 5120)
    tensors = [
        tensor
        for expert in model.anatomy.experts
        for tensor in getattr(model.pipeline, expert).state_dict().values()
    ]
    assert sum(tensor.numel() for tensor in tensors if tensor.is_meta) > 28e9
    assert sum(tensor.nbytes for tensor in tensors if not tensor.is_meta) < 1e6
    sizes = {"height": 480, "width": 832, "num_frames": 81}
    plan = make_plan(
        model,
        [sample_for("wan2.2-i2v-a14b")],
        seeds="0",
        layers="0-40",
        sites="resid",
        save_steps="0",
        branches="cond",
        dtype="auto",
        batch=1,
        save_video=False,
        host_memory=2**30,
        sampling=sizes,
    )
    assert plan.samples[0].grid == (21, 30, 52)


def test_a_model_without_weights_is_refused_only_when_they_are_wanted(tmp_path: Path) -> None:
    prepared = prepare(a14b(tmp_path / "a14b"), device="cpu")
    with pytest.raises(ModelError, match="the weights of the component .* are missing"):
        prepared.load()


class TestWithoutASkeleton:
    """A pipeline that cannot be made without its tokenizer, as those that ask it for its template."""

    @pytest.fixture(autouse=True)
    def needs_its_tokenizer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        plain = diffusers.WanPipeline.__init__

        def __init__(self: Any, tokenizer: Any, *args: Any, **settings: Any) -> None:
            assert tokenizer.pad_token  # an AttributeError of None
            plain(self, tokenizer, *args, **settings)

        __init__.__wrapped__ = plain  # type: ignore[attr-defined]
        monkeypatch.setattr(diffusers.WanPipeline, "__init__", __init__)

    def test_the_weights_are_loaded_at_once_and_it_says_why(self, tiny_folder: Callable[[str], Path]) -> None:
        prepared = prepare(tiny_folder("wan2.1-t2v"), device="cpu")
        assert prepared.reason is not None
        assert "WanPipeline cannot be made: 'NoneType' object has no attribute" in prepared.reason
        assert prepared.load() is prepared.model
        video = prepared.model.generate(sample_for("wan2.1-t2v"), 0, num_steps=2)
        assert video.shape == (5, 32, 32, 3)
