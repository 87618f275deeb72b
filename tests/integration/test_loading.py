"""Loading pipelines: what comes of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pytest
import torch

from cosinterp.models.loading import load
from cosinterp.models.model import Model
from cosinterp.verification import verify
from tests.families import cogvideox
from tests.tiny import KINDS, sample_for


@pytest.fixture
def copied(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny Wan's folder that a test may break."""
    return shutil.copytree(tiny_folder("wan2.2-t2v-a14b"), tmp_path / "model")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_described(kind: str, tiny_model: Callable[..., Model]) -> None:
    model = tiny_model(kind)
    assert len(model.anatomy.experts) == KINDS[kind].experts
    assert (model.anatomy.image == "required") == KINDS[kind].image
    assert list(model.layers) == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_verified_in_bfloat16(kind: str, tiny_model: Callable[..., Model]) -> None:
    """The tests of families verify them in float32."""
    failed = [check for check in verify(tiny_model(kind, "bf16")) if not check.passed]
    assert failed == []


def test_the_vae_stays_in_float32(tiny_model: Callable[..., Model]) -> None:
    pipeline = tiny_model("wan2.1-t2v", "bf16").pipeline
    assert pipeline.vae.dtype == torch.float32
    assert pipeline.transformer.dtype == torch.bfloat16
    assert pipeline.text_encoder.dtype == torch.bfloat16


def test_a_vae_has_the_models_dtype_where_its_pipeline_does_not_cast_latents(tmp_path: Path) -> None:
    cogvideox.ROWS[0].build().save_pretrained(tmp_path)
    model = load(tmp_path, device="cpu", dtype="bf16")
    assert model.pipeline.vae.dtype == torch.bfloat16
    sample, settings = cogvideox.ROWS[0].sample(), {**cogvideox.ROWS[0].settings, "num_steps": 2}
    assert model.generate(sample, seed=0, **settings).shape == (9, 32, 48, 3)


@pytest.mark.parametrize("revision", [None, "main"])
def test_a_hub_model_knows_the_commit_that_it_was_loaded_from(
    revision: str | None,
    tiny_folder: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commit = "0123456789abcdef" * 2 + "01234567"
    cached = tmp_path / "models--someone--tiny-wan"
    shutil.copytree(tiny_folder("wan2.1-t2v"), cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    model = load("someone/tiny-wan", revision=revision, device="cpu", local_files_only=True)
    assert (model.name, model.revision) == ("someone/tiny-wan", commit)


def test_a_models_own_sampling_comes_before_the_pipelines(copied: Path) -> None:
    own = {"task": "maze", "sampling": {"num_steps": 3, "height": 32, "width": 32, "num_frames": 5}}
    (copied / "cosinterp.json").write_text(json.dumps(own))
    model = load(copied, device="cpu")
    assert model.task == "maze"
    sample = sample_for("wan2.2-t2v-a14b")
    settings = model.sampling(sample, {"num_steps": None})
    assert (settings["num_steps"], settings["guidance_scale"]) == (3, 5.0)
    assert model.sampling(sample, {"num_steps": 9})["num_steps"] == 9


def test_models_with_other_weights_have_other_hashes(tiny_model: Callable[..., Model], copied: Path) -> None:
    same = load(copied, device="cpu")
    assert same.weights_sha256 == tiny_model("wan2.2-t2v-a14b").weights_sha256
    weights = copied / "transformer_2" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert load(copied, device="cpu").weights_sha256 != same.weights_sha256


def test_a_text_to_video_folder_can_be_loaded_for_images(tiny_folder: Callable[[str], Path]) -> None:
    model = load(tiny_folder("wan2.2-ti2v-5b"), device="cpu", pipeline="WanImageToVideoPipeline")
    assert model.anatomy.image == "required"
    assert all(check.passed for check in verify(model))
