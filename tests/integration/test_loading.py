"""Loading pipelines: what is refused, what is never asked of the network, LoRA."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from cosinterp.errors import ModelError
from cosinterp.models.loading import load
from cosinterp.models.model import Model
from cosinterp.verification import verify
from tests.families import cogvideox
from tests.tiny import KINDS, sample_for

REPOSITORY = Path(__file__).parents[2]
NO_NETWORK = """
import os, socket, sys
def refuse(*args, **kwargs):
    print("asked the network:", args[1:], file=sys.stderr)
    os._exit(99)
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
from cosinterp.models.loading import load
model = load(sys.argv[1], device="cpu")
model.nn
print(model.num_layers)
"""


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
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_each_kind_is_verified(kind: str, dtype: str, tiny_model: Callable[..., Model]) -> None:
    failed = [check for check in verify(tiny_model(kind, dtype)) if not check.passed]
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


def test_a_local_folder_asks_nothing_of_the_network(tiny_folder: Callable[[str], Path]) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    words = [sys.executable, "-c", NO_NETWORK, str(tiny_folder("wan2.1-t2v"))]
    done = subprocess.run(
        words, env={**environment, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "3"), done.stderr


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


class TestRefused:
    def test_a_missing_component(self, copied: Path) -> None:
        shutil.rmtree(copied / "transformer_2")
        with pytest.raises(ModelError, match=r"component transformer_2 \(WanTransformer3DModel\) is missing"):
            load(copied)

    def test_missing_weights(self, copied: Path) -> None:
        (copied / "vae" / "diffusion_pytorch_model.safetensors").unlink()
        with pytest.raises(ModelError, match="cannot be loaded") as raised:
            load(copied)
        assert len(str(raised.value).splitlines()) == 1

    def test_damaged_weights(self, copied: Path) -> None:
        (copied / "transformer" / "diffusion_pytorch_model.safetensors").write_bytes(b"\0" * 100)
        with pytest.raises(ModelError, match="cannot be loaded") as raised:
            load(copied)
        assert len(str(raised.value).splitlines()) == 1

    @pytest.mark.parametrize("content", ["{", "[]", "{}"])
    def test_a_damaged_index(self, content: str, copied: Path) -> None:
        (copied / "model_index.json").write_text(content)
        with pytest.raises(ModelError, match=r"model_index\.json"):
            load(copied)

    def test_a_folder_that_is_no_pipeline(self, tmp_path: Path) -> None:
        with pytest.raises(ModelError, match="not a diffusers pipeline folder"):
            load(tmp_path)

    def test_a_file(self, copied: Path) -> None:
        with pytest.raises(ModelError, match="is a file; give the pipeline's folder"):
            load(copied / "model_index.json")

    @pytest.mark.parametrize("name", ["nothing", "./nothing/here", "/nothing/here", "a/b/c", ""])
    def test_an_unknown_name(self, name: str) -> None:
        with pytest.raises(ModelError):
            load(name)

    def test_a_hub_id_without_a_network(self) -> None:
        with pytest.raises(ModelError, match=r"neither bundled .* nor in the local cache"):
            load("nobody/nothing", local_files_only=True)

    def test_a_scheduler_that_predicts_noise(self, copied: Path) -> None:
        path = copied / "scheduler" / "scheduler_config.json"
        config = json.loads(path.read_text())
        path.write_text(json.dumps({**config, "prediction_type": "epsilon", "use_flow_sigmas": False}))
        with pytest.raises(ModelError, match="takes predictions for epsilon, but this denoiser predicts flow"):
            load(copied)

    @pytest.mark.parametrize("content", ["{", "[]", '{"sampling": 3}'])
    def test_damaged_settings(self, content: str, copied: Path) -> None:
        (copied / "cosinterp.json").write_text(content)
        with pytest.raises(ModelError, match=r"cosinterp\.json"):
            load(copied)

    def test_a_gpu_where_there_is_none(self, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(ModelError, match="torch sees no GPU here"):
            load(copied, device="cuda:0")


@pytest.fixture
def loras(tiny_folder: Callable[[str], Path], tmp_path: Path) -> list[Path]:
    """Two LoRAs for the tiny two-expert Wan, with weights that show."""
    folders = []
    for number in range(2):
        pipeline = load(tiny_folder("wan2.2-t2v-a14b"), device="cpu").pipeline
        torch.manual_seed(number)
        pipeline.transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"]))
        for name, parameter in pipeline.transformer.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(parameter.data)
        folder = tmp_path / f"lora-{number}"
        pipeline.save_lora_weights(folder, get_peft_model_state_dict(pipeline.transformer))
        folders.append(folder)
    return folders


def test_loras_change_their_expert_and_are_traced_exactly(
    loras: list[Path], tiny_folder: Callable[[str], Path]
) -> None:
    kind = "wan2.2-t2v-a14b"
    sample = sample_for(kind)
    videos = [
        load(tiny_folder(kind), device="cpu", lora=lora).generate(sample, 0, num_steps=4)
        for lora in (None, loras[0], loras, loras[::-1])
    ]
    for number, video in enumerate(videos):
        for other in videos[:number]:
            assert not np.array_equal(video, other)
    model = load(tiny_folder(kind), device="cpu", lora=loras)
    assert all(check.passed for check in verify(model))
    assert model.lora == tuple(map(str, loras))


def test_a_lora_of_something_else_is_refused(
    loras: list[Path], tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    weights = load_file(loras[0] / "pytorch_lora_weights.safetensors")
    renamed = {key.replace("transformer.", "unet."): value for key, value in weights.items()}
    save_file(renamed, tmp_path / "unet.safetensors")
    with pytest.raises(
        ModelError, match=r"unet\.safetensors: holds no LoRA weights of a WanTransformer3DModel"
    ):
        load(tiny_folder("wan2.1-t2v"), device="cpu", lora=tmp_path / "unet.safetensors")


def test_the_number_of_loras_has_to_fit(loras: list[Path], tiny_folder: Callable[[str], Path]) -> None:
    with pytest.raises(ModelError, match=r"3 LoRAs for 2 expert\(s\)"):
        load(tiny_folder("wan2.2-t2v-a14b"), device="cpu", lora=[*loras, loras[0]])
