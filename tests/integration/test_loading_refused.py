"""What is wrong with a model is said in one line that names it; before any weights are read, if it can be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from safetensors.torch import load_file, save_file

from cosinterp.errors import ModelError
from cosinterp.models.loading import load, quantizing, skeleton

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def copied(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A tiny Wan's folder that a test may break."""
    return shutil.copytree(tiny_folder("wan2.2-t2v-a14b"), tmp_path / "model")


def change(path: Path, **entries: Any) -> None:
    """Change entries of a JSON file; None removes one."""
    content = {**json.loads(path.read_text()), **entries}
    path.write_text(json.dumps({name: value for name, value in content.items() if value is not None}))


def refusal(model: Any, read: Callable[..., Any] = skeleton, **settings: Any) -> str:
    """The one line that a model is refused with."""
    with pytest.raises(ModelError) as raised:
        read(model, **{"device": "cpu", **settings})
    message = str(raised.value)
    assert len(message.splitlines()) == 1
    return message


class TestNames:
    def test_a_folder_that_is_no_pipeline(self, tmp_path: Path) -> None:
        assert "not a diffusers pipeline folder (no model_index.json in it)" in refusal(tmp_path)

    def test_a_file(self, copied: Path) -> None:
        assert "is a file; give the pipeline's folder" in refusal(copied / "model_index.json")

    @pytest.mark.parametrize("name", ["nothing", "./nothing/here", "/nothing/here", "a/b/c"])
    def test_an_unknown_name(self, name: str) -> None:
        assert "neither bundled (maze-wan, scene-wan), nor a folder" in refusal(name)

    @pytest.mark.parametrize("name", ["", "  "])
    def test_no_name(self, name: str) -> None:
        assert refusal(name) == "the model's name is empty"

    def test_the_home_of_nobody(self) -> None:
        assert refusal("~nouser/x") == "~nouser/x: this machine has no user nouser"

    def test_a_hub_id_without_a_network(self) -> None:
        message = refusal("nobody/nothing", local_files_only=True)
        assert "neither bundled (maze-wan, scene-wan), nor a folder, nor in the local cache" in message

    def test_a_revision_of_a_folder(self, copied: Path) -> None:
        assert "leave out the revision main" in refusal(copied, revision="main")


class TestIndexes:
    @pytest.mark.parametrize("content", ["{", "[]", "{}", "\xff"])
    def test_a_damaged_index(self, content: str, copied: Path) -> None:
        (copied / "model_index.json").write_bytes(content.encode("latin-1"))
        assert "model_index.json: " in refusal(copied)

    def test_a_pipeline_that_diffusers_does_not_have(self, copied: Path) -> None:
        change(copied / "model_index.json", _class_name="Wan9Pipeline")
        message = refusal(copied)
        assert message.endswith(
            f"diffusers {diffusers.__version__} has no pipeline Wan9Pipeline; a newer diffusers may have it"
        )

    @pytest.mark.parametrize("named", ["NoPipeline", "UniPCMultistepScheduler"])
    def test_a_pipeline_that_is_asked_for_and_is_none(self, named: str, copied: Path) -> None:
        message = refusal(copied, pipeline=named)
        assert message == f"diffusers {diffusers.__version__} has no pipeline {named}"

    def test_a_pipeline_with_code_of_its_own(self, copied: Path) -> None:
        change(copied / "model_index.json", _class_name=["pipeline", "MyPipeline"])
        assert "code of its own" in refusal(copied)

    def test_a_unet(self, tmp_path: Path) -> None:
        parts = {
            "scheduler": ["diffusers", "PNDMScheduler"],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        }
        (tmp_path / "model_index.json").write_text(
            json.dumps({"_class_name": "StableDiffusionPipeline", **parts})
        )
        assert refusal(tmp_path) == (
            f"{tmp_path}: StableDiffusionPipeline denoises with a UNet (UNet2DConditionModel); "
            "only pipelines that denoise with a transformer can be traced"
        )

    @pytest.mark.parametrize("content", ["{", "[]", '{"sampling": 3}'])
    def test_damaged_settings_of_the_model(self, content: str, copied: Path) -> None:
        (copied / "cosinterp.json").write_text(content)
        assert "cosinterp.json: " in refusal(copied)

    def test_a_sampling_setting_that_the_pipeline_does_not_have(self, copied: Path) -> None:
        (copied / "cosinterp.json").write_text('{"sampling": {"num_step": 3}}')
        message = refusal(copied)
        assert message.startswith(
            f'{copied}/cosinterp.json: WanPipeline has no sampling setting "num_step"; it has '
        )
        assert "num_steps" in message


class TestComponents:
    @pytest.mark.parametrize("component", ["transformer_2", "vae", "scheduler", "text_encoder", "tokenizer"])
    def test_a_missing_one(self, component: str, copied: Path) -> None:
        shutil.rmtree(copied / component)
        kind = json.loads((copied / "model_index.json").read_text())[component][1]
        assert refusal(copied) == f"{copied}: the component {component} ({kind}) is missing"

    def test_one_that_the_pipeline_needs_and_the_index_lacks(self, copied: Path) -> None:
        change(copied / "model_index.json", vae=None)
        assert refusal(copied) == f"{copied}: WanPipeline needs the component vae, which is missing"

    def test_a_class_that_the_library_does_not_have(self, copied: Path) -> None:
        change(copied / "model_index.json", transformer=["diffusers", "Wan9Transformer"])
        message = refusal(copied)
        assert f"is a Wan9Transformer, which diffusers {diffusers.__version__} does not have" in message

    @pytest.mark.parametrize("library", ["wan9", "WanPipeline", "TYPE_CHECKING"])
    def test_a_library_that_is_none_of_diffusers(self, library: str, copied: Path) -> None:
        change(copied / "model_index.json", transformer=[library, "Wan9Transformer"])
        assert refusal(copied) == (
            f"{copied}: the component transformer (Wan9Transformer) is of {library}; "
            "only classes of diffusers, transformers, cosmos_guardrail are loaded"
        )

    @pytest.mark.skipif(find_spec("cosmos_guardrail") is not None, reason="it is installed")
    def test_a_library_that_is_not_installed(self, copied: Path) -> None:
        change(copied / "model_index.json", tokenizer=["cosmos_guardrail", "CosmosSafetyChecker"])
        assert "needs the package cosmos_guardrail, which is not installed" in refusal(copied)

    def test_no_other_module_is_imported(
        self, copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "any_module.py").write_text(
            "from pathlib import Path\nPath(__file__).with_name('ran').touch()\nclass Tokenizer: pass\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        change(copied / "model_index.json", tokenizer=["any_module", "Tokenizer"])
        assert "is of any_module" in refusal(copied)
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize(
        "spec", [["", "x"], [None, "x"], ["diffusers", 5], [".x", "x"], ["a.b", "x"], ["diffusers", ""]]
    )
    def test_what_names_no_class(self, spec: list[Any], copied: Path) -> None:
        change(copied / "model_index.json", transformer=spec)
        assert refusal(copied) == (
            f"{copied}/model_index.json: its transformer has to be the names of a library and a class, "
            f"not {spec}"
        )

    def test_an_expert_that_is_null_where_steps_need_it(self, copied: Path) -> None:
        change(copied / "model_index.json", transformer_2=[None, None])
        assert "it has no transformer_2" in refusal(copied)

    def test_code_of_its_own(self, copied: Path) -> None:
        change(copied / "model_index.json", transformer=["mine", "MyTransformer"])
        (copied / "transformer" / "mine.py").write_text("raise SystemExit('was run')")
        assert "the component transformer (MyTransformer) has code of its own" in refusal(copied)

    def test_a_class_that_the_pipeline_is_not_for(self, copied: Path) -> None:
        change(copied / "model_index.json", transformer=["diffusers", "CogVideoXTransformer3DModel"])
        change(copied / "transformer" / "config.json", _class_name="CogVideoXTransformer3DModel")
        assert refusal(copied) == (
            f"{copied}: the component transformer is a CogVideoXTransformer3DModel, "
            "where WanPipeline takes a WanTransformer3DModel"
        )

    def test_a_folder_of_another_component(self, copied: Path) -> None:
        shutil.rmtree(copied / "vae")
        shutil.copytree(copied / "transformer", copied / "vae")
        message = refusal(copied)
        assert "vae is a AutoencoderKLWan by model_index.json, but a WanTransformer3DModel by its" in message

    @pytest.mark.parametrize("component", ["transformer", "text_encoder"])
    def test_a_missing_config(self, component: str, copied: Path) -> None:
        (copied / component / "config.json").unlink()
        assert f"the component {component} lacks its config.json" in refusal(copied)

    @pytest.mark.parametrize("content", ["{", "[]", ""])
    def test_a_damaged_config(self, content: str, copied: Path) -> None:
        (copied / "transformer" / "config.json").write_text(content)
        assert f"{copied / 'transformer' / 'config.json'}: " in refusal(copied)

    def test_a_config_that_describes_nothing(self, copied: Path) -> None:
        change(copied / "transformer" / "config.json", num_layers="many")
        message = refusal(copied)
        assert (
            f"{copied / 'transformer'}: its config.json does not describe a WanTransformer3DModel" in message
        )


class TestSchedulers:
    def test_a_missing_config(self, copied: Path) -> None:
        (copied / "scheduler" / "scheduler_config.json").unlink()
        assert "the component scheduler lacks its scheduler_config.json" in refusal(copied)

    @pytest.mark.parametrize("content", ["{", "[]"])
    def test_a_damaged_config(self, content: str, copied: Path) -> None:
        (copied / "scheduler" / "scheduler_config.json").write_text(content)
        assert "scheduler_config.json: " in refusal(copied)

    @pytest.mark.parametrize("entry", [{"num_train_timesteps": "many"}, {"solver_type": "fast"}])
    def test_a_config_that_describes_nothing(self, entry: dict[str, str], copied: Path) -> None:
        change(copied / "scheduler" / "scheduler_config.json", **entry)
        assert "its config does not describe a UniPCMultistepScheduler" in refusal(copied)

    def test_one_that_predicts_noise(self, copied: Path) -> None:
        path = copied / "scheduler" / "scheduler_config.json"
        change(path, prediction_type="epsilon", use_flow_sigmas=False)
        assert "UniPCMultistepScheduler takes predictions for epsilon" in refusal(copied)


class TestWeights:
    """What only the weight files show; their headers suffice for it."""

    def test_missing_ones(self, copied: Path) -> None:
        (copied / "vae" / WEIGHTS).unlink()
        assert refusal(copied, load) == f"{copied / 'vae'}: the weights of the component vae are missing"

    def test_missing_ones_of_a_text_encoder(self, copied: Path) -> None:
        for path in (copied / "text_encoder").glob("*.safetensors"):
            path.unlink()
        assert "the weights of the component text_encoder are missing" in refusal(copied, load)

    def test_ones_under_another_name(self, copied: Path) -> None:
        (copied / "vae" / WEIGHTS).rename(copied / "vae" / "diffusion_pytorch_model.fp16.safetensors")
        assert "are missing; it has diffusion_pytorch_model.fp16.safetensors, which" in refusal(copied, load)

    @pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\xff" * 100, b"\x02" + b"\0" * 7 + b"[]"])
    def test_damaged_ones(self, content: bytes, copied: Path) -> None:
        path = copied / "transformer" / WEIGHTS
        path.write_bytes(content)
        assert f"{path}: is damaged" in refusal(copied, load)

    def test_ones_that_are_cut_off(self, copied: Path) -> None:
        path = copied / "transformer_2" / WEIGHTS
        size = path.stat().st_size
        path.write_bytes(path.read_bytes()[:-1])
        message = refusal(copied, load)
        assert (
            message == f"{path}: is damaged: it has {size - 1:,} bytes of {size:,}; was it copied to the end?"
        )

    def test_a_missing_shard(self, copied: Path) -> None:
        shards = sharded(copied / "transformer")
        shards[1].unlink()
        message = refusal(copied, load)
        assert message.startswith(f"{shards[1]}: is missing, one of {len(shards)} shards of the weights of")

    @pytest.mark.parametrize(
        "content", ["{", '{"weight_map": {}}', '{"weight_map": 3}', '{"weight_map": {"a": 3}}']
    )
    def test_a_damaged_index_of_shards(self, content: str, copied: Path) -> None:
        sharded(copied / "transformer")
        path = copied / "transformer" / f"{WEIGHTS}.index.json"
        path.write_text(content)
        assert f"{path}: " in refusal(copied, load)

    def test_a_config_of_another_width(self, copied: Path) -> None:
        change(copied / "transformer_2" / "config.json", ffn_dim=48)
        message = refusal(copied, load)
        assert message.startswith(
            f"{copied / 'transformer_2'}: its config.json does not fit its weights: blocks.0.ffn.net.0.proj."
        )
        assert message.endswith("by the config")

    def test_a_config_of_more_blocks(self, copied: Path) -> None:
        for expert in ("transformer", "transformer_2"):
            change(copied / expert / "config.json", num_layers=4)
        message = refusal(copied, load)
        assert "does not fit its weights: blocks.3.scale_shift_table and " in message
        assert "more are missing there" in message

    def test_a_config_of_fewer_blocks(self, copied: Path) -> None:
        for expert in ("transformer", "transformer_2"):
            change(copied / expert / "config.json", num_layers=2)
        message = refusal(copied, load)
        assert "does not fit its weights: blocks.2." in message
        assert "of more blocks than the config says" in message

    def test_a_tensor_that_a_pickled_file_lacks(self, copied: Path) -> None:
        tensors = load_file(copied / "transformer" / WEIGHTS)
        del tensors["proj_out.weight"]
        (copied / "transformer" / WEIGHTS).unlink()
        torch.save(tensors, copied / "transformer" / "diffusion_pytorch_model.bin")
        assert "the weights of the component transformer lack proj_out.weight" in refusal(copied, load)


def sharded(folder: Path) -> list[Path]:
    """Split a component's weights into shards, as large ones are published."""
    tensors = load_file(folder / WEIGHTS)
    names = sorted(tensors)
    shards = [
        folder / f"diffusion_pytorch_model-0000{number + 1}-of-00003.safetensors" for number in range(3)
    ]
    for number, shard in enumerate(shards):
        save_file({name: tensors[name] for name in names[number::3]}, shard, metadata={"format": "pt"})
    index = {name: shards[place % 3].name for place, name in enumerate(names)}
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (folder / WEIGHTS).unlink()
    return shards


def test_shards_are_loaded(copied: Path) -> None:
    before = load_file(copied / "transformer" / WEIGHTS)
    shards = sharded(copied / "transformer")
    assert len(shards) == 3
    loaded = load(copied, device="cpu").pipeline.transformer.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in before.items())


class TestMachine:
    def test_a_gpu_where_there_is_none(self, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert "torch sees no GPU here" in refusal(copied, device="cuda:0")

    def test_a_gpu_too_many(self, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        assert "torch sees GPUs 0-1 here" in refusal(copied, device="cuda:2")

    @pytest.mark.parametrize("device", ["tpu", "meta", "mps", "xpu", "cpu:3", "cuda:", "cuda:-1", ""])
    def test_a_device_that_runs_nothing(self, device: str, copied: Path) -> None:
        message = refusal(copied, device=device)
        assert message == f'unknown device "{device}"; use cpu, cuda or cuda:N'

    def test_an_unknown_dtype(self, copied: Path) -> None:
        assert 'unknown dtype "int4"; use bf16, fp16, fp32' in refusal(copied, dtype="int4")

    def test_an_unknown_offload(self, copied: Path) -> None:
        assert 'unknown offload "disk"; use model, group or sequential' in refusal(copied, offload="disk")

    @pytest.mark.parametrize("quantize", ["bnb-8bit", "bnb-4bit"])
    def test_bitsandbytes_on_the_cpu(
        self, quantize: str, copied: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(quantizing, "find_spec", lambda _: True)
        assert "bitsandbytes needs a GPU" in refusal(copied, quantize=quantize)

    @pytest.mark.parametrize(
        ("quantize", "offload", "instead"),
        [
            ("bnb-8bit", "group", '"model" or "sequential"'),
            ("bnb-4bit", "group", '"model"'),
            ("bnb-4bit", "sequential", '"model"'),
        ],
    )
    @pytest.mark.parametrize("saved", [False, True])
    def test_an_offloading_that_spoils_packed_weights(
        self,
        quantize: str,
        offload: str,
        instead: str,
        saved: bool,
        copied: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(quantizing, "find_spec", lambda _: True)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
        asked: dict[str, Any] = {"device": "cuda", "offload": offload}
        if saved:
            said = {"quant_method": "bitsandbytes", f"load_in_{quantize[4:]}": True}
            change(copied / "transformer" / "config.json", quantization_config=said)
        else:
            asked["quantize"] = quantize
        assert refusal(copied, **asked).endswith(
            f'it cannot be offloaded with offload "{offload}"; use {instead}'
        )

    def test_a_quantisation_that_is_not_understood(self, copied: Path) -> None:
        change(copied / "transformer" / "config.json", quantization_config="int8")
        assert "its quantization_config has to be an object" in refusal(copied)

    @pytest.mark.parametrize("offload", ["model", "sequential", "group"])
    def test_offloading_from_the_cpu(self, offload: str, copied: Path) -> None:
        assert f'offload "{offload}" needs a GPU' in refusal(copied, offload=offload)
