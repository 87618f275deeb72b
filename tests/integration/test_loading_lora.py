"""LoRAs of every naming change the weights to W + s B A, and what made a run is recorded."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import load_file, save_file

from cosinterp.errors import ModelError, ModelWarning
from cosinterp.models.loading import load, skeleton
from cosinterp.models.model import Model
from cosinterp.planning.plan import model_settings
from cosinterp.verification import verify
from tests.tiny import sample_for
from tests.tiny.wan import NUM_BLOCKS

KIND = "wan2.2-t2v-a14b"
RANK = 2
BLOCKS = range(NUM_BLOCKS)
# The module's name in diffusers, and in the code that Wan was published with.
NAMES = {
    "attn1.to_q": "self_attn.q",
    "attn1.to_k": "self_attn.k",
    "attn1.to_v": "self_attn.v",
    "attn1.to_out.0": "self_attn.o",
    "attn2.to_q": "cross_attn.q",
    "attn2.to_k": "cross_attn.k",
    "attn2.to_v": "cross_attn.v",
    "attn2.to_out.0": "cross_attn.o",
    "ffn.net.0.proj": "ffn.0",
    "ffn.net.2": "ffn.2",
}

Tensors = dict[str, torch.Tensor]
Changes = dict[str, tuple[torch.Tensor, torch.Tensor]]


def changes(folder: Path, seed: int = 0, expert: str = "transformer") -> Changes:
    """Random factors (down, up) for modules of the expert's blocks, by the module's name in diffusers."""
    generator = torch.Generator().manual_seed(seed)
    weights = expert_weights(folder, expert)
    made = {}
    for block in BLOCKS:
        for name in NAMES:
            out, into = weights[f"blocks.{block}.{name}.weight"].shape
            down = torch.randn(RANK, into, generator=generator) / math.sqrt(into)
            made[f"blocks.{block}.{name}"] = down, torch.randn(out, RANK, generator=generator)
    return made


def expert_weights(folder: Path, expert: str) -> Tensors:
    return load_file(folder / expert / "diffusion_pytorch_model.safetensors")


def original(name: str) -> str:
    blocks, number, module = name.split(".", 2)
    return f"{blocks}.{number}.{NAMES[module]}"


def as_diffusers(made: Changes) -> Tensors:
    return {
        f"transformer.{name}.{end}.weight": tensor
        for name, pair in made.items()
        for end, tensor in zip(("lora_A", "lora_B"), pair, strict=True)
    }


def as_peft(made: Changes) -> Tensors:
    return {key.replace("transformer.", "base_model.model.", 1): t for key, t in as_diffusers(made).items()}


def as_diffsynth(made: Changes, ends: tuple[str, str] = ("lora_A.default", "lora_B.default")) -> Tensors:
    return {
        f"{original(name)}.{end}.weight": tensor
        for name, pair in made.items()
        for end, tensor in zip(ends, pair, strict=True)
    }


def as_comfy(made: Changes, alpha: float) -> Tensors:
    tensors = {f"diffusion_model.{key}": t for key, t in as_diffsynth(made, ("lora_down", "lora_up")).items()}
    alphas = {f"diffusion_model.{original(name)}.alpha": torch.tensor(alpha) for name in made}
    return tensors | alphas


def as_kohya(made: Changes, alpha: float) -> Tensors:
    tensors: Tensors = {}
    for name, (down, up) in made.items():
        flat = f"lora_unet_{original(name).replace('.', '_')}"
        tensors |= {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up}
        tensors[f"{flat}.alpha"] = torch.tensor(alpha)
    return tensors


def reference(folder: Path, made: Changes, scale: float, expert: str = "transformer") -> Any:
    """The expert with its weights changed by hand: W + scale B A."""
    denoiser = getattr(load(folder, device="cpu").pipeline, expert)
    weights = expert_weights(folder, expert)
    for name, (down, up) in made.items():
        weights[f"{name}.weight"] = weights[f"{name}.weight"] + scale * (up @ down)
    denoiser.load_state_dict(weights)
    return denoiser


@torch.no_grad()
def output(denoiser: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    config = denoiser.config
    return denoiser(
        hidden_states=torch.randn(1, config.in_channels, 3, 8, 8, generator=generator),
        timestep=torch.tensor([500]),
        encoder_hidden_states=torch.randn(1, 4, config.text_dim, generator=generator),
        return_dict=False,
    )[0]


def assert_changed_by(
    model: Model, folder: Path, made: Changes, scale: float, expert: str = "transformer"
) -> None:
    """The expert computes what changed weights compute, up to rounding, and nothing like the unchanged."""
    got = output(getattr(model.pipeline, expert))
    wanted = output(reference(folder, made, scale, expert))
    unchanged = output(getattr(load(folder, device="cpu").pipeline, expert))
    moved = (wanted - unchanged).abs().max()
    assert (got - wanted).abs().max() < 1e-4 * moved


@pytest.fixture
def folder(tiny_folder: Callable[[str], Path]) -> Path:
    return tiny_folder(KIND)


WRITERS: dict[str, tuple[Callable[[Changes], Tensors], float]] = {
    "diffusers": (as_diffusers, 1.0),
    "diffsynth": (as_diffsynth, 1.0),
    "diffsynth of its trainer": (
        lambda made: {f"pipe.dit.{k}": t for k, t in as_diffsynth(made).items()},
        1.0,
    ),
    "original names": (lambda made: as_diffsynth(made, ("lora_A", "lora_B")), 1.0),
    "comfy": (lambda made: as_comfy(made, alpha=1.0), 1.0 / RANK),
    "kohya": (lambda made: as_kohya(made, alpha=3.0), 3.0 / RANK),
    "VideoX-Fun": (
        lambda made: {key.replace("unet_", "unet__"): t for key, t in as_kohya(made, alpha=3.0).items()},
        3.0 / RANK,
    ),
    "kohya with some dots": (
        lambda made: {
            f"lora_unet_{key.replace('blocks.', 'blocks_', 1)}": tensor
            for key, tensor in as_diffsynth(made, ("lora_down", "lora_up")).items()
        },
        1.0,
    ),
    "names of adapters everywhere": (
        lambda made: as_diffsynth(made, ("lora_down.mine", "lora_up.mine")),
        1.0,
    ),
    "kohya of diffusers' names": (
        lambda made: {
            f"lora_unet_{name.replace('.', '_')}.{end}.weight": tensor
            for name, pair in made.items()
            for end, tensor in zip(("lora_down", "lora_up"), pair, strict=True)
        },
        1.0,
    ),
    "peft without its config": (as_peft, 1.0),
}


def written(tensors: Tensors, path: Path) -> Path:
    save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, path)
    return path


@pytest.fixture
def lora(folder: Path, tmp_path: Path) -> Path:
    """A LoRA of diffusers' naming, made of `changes(folder)`."""
    return written(as_diffusers(changes(folder)), tmp_path / "lora.safetensors")


@pytest.fixture
def adapter(folder: Path, tmp_path: Path) -> Path:
    """The same LoRA as PEFT writes it, without its settings."""
    return written(as_peft(changes(folder)), tmp_path / "adapter_model.safetensors")


@pytest.mark.parametrize("writer", WRITERS)
def test_each_naming_changes_the_weights_as_it_says(writer: str, folder: Path, tmp_path: Path) -> None:
    made = changes(folder)
    write, scale = WRITERS[writer]
    path = written(write(made), tmp_path / "lora.safetensors")
    model = load(folder, device="cpu", lora=f"transformer={path}")
    assert_changed_by(model, folder, made, scale)
    assert torch.equal(
        output(model.pipeline.transformer_2), output(load(folder, device="cpu").pipeline.transformer_2)
    )


def test_modules_outside_the_blocks_are_found(folder: Path, tmp_path: Path) -> None:
    outside = {
        "condition_embedder.time_proj": "time_projection_1",
        "condition_embedder.time_embedder.linear_1": "time_embedding_0",
        "condition_embedder.time_embedder.linear_2": "time_embedding_2",
        "condition_embedder.text_embedder.linear_1": "text_embedding_0",
        "condition_embedder.text_embedder.linear_2": "text_embedding_2",
        "proj_out": "head_head",
    }
    weights = expert_weights(folder, "transformer")
    generator = torch.Generator().manual_seed(0)
    made = dict(list(changes(folder).items())[:1])
    tensors = as_kohya(made, alpha=RANK)
    for name, flat in outside.items():
        out, into = weights[f"{name}.weight"].shape
        made[name] = torch.randn(RANK, into, generator=generator), torch.randn(out, RANK, generator=generator)
        tensors |= {
            f"lora_unet_{flat}.{end}.weight": tensor
            for end, tensor in zip(("lora_down", "lora_up"), made[name], strict=True)
        }
    path = written(tensors, tmp_path / "lora.safetensors")
    model = load(folder, device="cpu", lora=f"transformer={path}")
    assert_changed_by(model, folder, made, 1.0)


def test_a_lora_of_some_modules_only_is_enough(folder: Path, tmp_path: Path) -> None:
    made = {name: pair for name, pair in changes(folder).items() if name.endswith(("to_q", "net.2"))}
    path = written(as_kohya(made, alpha=1.0), tmp_path / "lora.safetensors")
    model = load(folder, device="cpu", lora=f"transformer={path}")
    assert_changed_by(model, folder, made, 1.0 / RANK)


@pytest.mark.parametrize("root", [False, True])
def test_the_alpha_of_peft_counts(root: bool, folder: Path, tmp_path: Path) -> None:
    config = LoraConfig(
        r=RANK,
        lora_alpha=6,
        use_rslora=root,
        target_modules=["attn1.to_q", "ffn.net.2"],
        alpha_pattern={"ffn.net.2": 3},
    )
    wrapped: Any = get_peft_model(load(folder, device="cpu").pipeline.transformer, config)
    made = {}
    for name, module in wrapped.base_model.model.named_modules():
        if hasattr(module, "lora_A"):
            down, up = module.lora_A["default"].weight, module.lora_B["default"].weight
            torch.nn.init.normal_(up)
            alpha = 3 if name.endswith("ffn.net.2") else 6
            scale = alpha / (math.sqrt(RANK) if root else RANK)
            made[name] = down.detach().clone(), scale * up.detach().clone()
    wrapped.save_pretrained(tmp_path / "adapter")
    assert len(made) == 2 * NUM_BLOCKS
    model = load(folder, device="cpu", lora=f"transformer={tmp_path / 'adapter'}")
    assert_changed_by(model, folder, made, 1.0)


def test_the_alpha_in_diffusers_metadata_counts(folder: Path, tmp_path: Path) -> None:
    pipeline = load(folder, device="cpu").pipeline
    config = LoraConfig(r=RANK, lora_alpha=5, target_modules=["to_q"])
    pipeline.transformer.add_adapter(config)
    made = {}
    for name, module in pipeline.transformer.named_modules():
        if hasattr(module, "lora_A"):
            torch.nn.init.normal_(module.lora_B["default"].weight)
            made[name] = (
                module.lora_A["default"].weight.detach().clone(),
                module.lora_B["default"].weight.detach().clone(),
            )
    pipeline.save_lora_weights(
        tmp_path,
        get_peft_model_state_dict(pipeline.transformer),
        transformer_lora_adapter_metadata={**config.to_dict(), "target_modules": ["to_q"]},
    )
    assert_changed_by(
        load(folder, device="cpu", lora=f"transformer={tmp_path}"), folder, made, scale=5 / RANK
    )


def with_metadata(tensors: Tensors, path: Path, metadata: Any) -> Path:
    """Write a LoRA with settings as diffusers keeps them."""
    save_file(
        {key: tensor.contiguous() for key, tensor in tensors.items()},
        path,
        {"lora_adapter_metadata": json.dumps(metadata)},
    )
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {"transformer.lora_alpha": 5, "transformer.r": 2, "text_encoder.lora_alpha": 3},
        {"text_encoder.lora_alpha": 3, "text_encoder.use_dora": True, "transformer.lora_alpha": 5},
        {"text_encoder.use_rslora": True, "text_encoder.alpha_pattern": {"to_q": 9}, "lora_alpha": 5},
    ],
)
def test_metadata_of_other_components_does_not_count(
    settings: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    made = changes(folder)
    path = with_metadata(as_diffusers(made), tmp_path / "lora.safetensors", settings)
    model = load(folder, device="cpu", lora=f"transformer={path}")
    assert_changed_by(model, folder, made, 5 / RANK)


def test_metadata_of_an_expert_is_for_its_modules(folder: Path, tmp_path: Path) -> None:
    tensors = as_diffusers(changes(folder, 1))
    tensors |= {
        key.replace("transformer.", "transformer_2.", 1): tensor
        for key, tensor in as_diffusers(changes(folder, 2)).items()
    }
    settings = {"transformer.lora_alpha": 5, "transformer_2.lora_alpha": 3}
    model = load(folder, device="cpu", lora=with_metadata(tensors, tmp_path / "lora.safetensors", settings))
    assert_changed_by(model, folder, changes(folder, 1), 5 / RANK, "transformer")
    assert_changed_by(model, folder, changes(folder, 2), 3 / RANK, "transformer_2")


def test_an_adapter_config_is_for_the_files_of_peft_alone(folder: Path, tmp_path: Path) -> None:
    made = changes(folder)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"lora_alpha": 6, "r": RANK}))
    other = written(as_diffusers(made), tmp_path / "other.safetensors")
    assert_changed_by(load(folder, device="cpu", lora=f"transformer={other}"), folder, made, 1.0)
    renamed = written(as_peft(made), tmp_path / "renamed.safetensors")
    assert_changed_by(load(folder, device="cpu", lora=f"transformer={renamed}"), folder, made, 6 / RANK)


@pytest.mark.parametrize("scale", [0.5, -1.0, 0.0])
def test_a_scale_multiplies_what_the_file_says(scale: float, folder: Path, tmp_path: Path) -> None:
    made = changes(folder)
    path = written(as_comfy(made, alpha=3.0), tmp_path / "lora.safetensors")
    model = load(folder, device="cpu", lora=f"transformer={path}:{scale}")
    assert [each.scale for each in model.lora] == [scale]
    if scale:
        assert_changed_by(model, folder, made, scale * 3.0 / RANK)
    else:
        assert torch.equal(
            output(model.pipeline.transformer), output(load(folder, device="cpu").pipeline.transformer)
        )


def test_a_file_whose_name_ends_like_a_scale_is_that_file(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "lora:2").mkdir()
    written(as_diffusers(changes(folder)), tmp_path / "lora:2" / "one.safetensors")
    model = load(folder, device="cpu", lora=str(tmp_path / "lora:2"))
    assert {each.scale for each in model.lora} == {1.0}


def test_one_lora_is_for_both_experts(folder: Path, lora: Path) -> None:
    model = load(folder, device="cpu", lora=f"{lora}:0.5")
    for expert in ("transformer", "transformer_2"):
        assert_changed_by(model, folder, changes(folder), 0.5, expert)
    assert [(each.expert, each.scale) for each in model.lora] == [
        ("transformer", 0.5),
        ("transformer_2", 0.5),
    ]


@pytest.mark.parametrize("named", [False, True])
def test_each_expert_takes_its_own(named: bool, folder: Path, tmp_path: Path) -> None:
    paths = [
        written(as_diffsynth(changes(folder, seed)), tmp_path / f"{seed}.safetensors") for seed in (1, 2)
    ]
    asked = (
        [f"transformer_2={paths[1]}:2", f"transformer={paths[0]}"] if named else [paths[0], f"{paths[1]}:2"]
    )
    model = load(folder, device="cpu", lora=asked)
    assert_changed_by(model, folder, changes(folder, 1), 1.0, "transformer")
    assert_changed_by(model, folder, changes(folder, 2), 2.0, "transformer_2")


def test_several_of_an_expert_add_up(folder: Path, tmp_path: Path) -> None:
    paths = [
        written(as_diffusers(changes(folder, seed)), tmp_path / f"{seed}.safetensors") for seed in (1, 2)
    ]
    model = load(folder, device="cpu", lora=[f"transformer={paths[0]}:0.5", f"transformer={paths[1]}:2"])
    one, two = changes(folder, 1), changes(folder, 2)
    both = {
        name: (torch.cat([one[name][0], two[name][0]]), torch.cat([0.5 * one[name][1], 2 * two[name][1]], 1))
        for name in one
    }
    assert_changed_by(model, folder, both, 1.0)


def test_a_file_may_say_which_expert_each_weight_is_of(folder: Path, tmp_path: Path) -> None:
    second = {
        key.replace("transformer.", "transformer_2.", 1): tensor
        for key, tensor in as_diffusers(changes(folder, 2)).items()
    }
    path = written(as_diffusers(changes(folder, 1)) | second, tmp_path / "both.safetensors")
    model = load(folder, device="cpu", lora=path)
    assert_changed_by(model, folder, changes(folder, 1), 1.0, "transformer")
    assert_changed_by(model, folder, changes(folder, 2), 1.0, "transformer_2")


def test_a_change_of_a_bias_is_taken(folder: Path, tmp_path: Path) -> None:
    made = changes(folder)
    bias = {name: torch.full((up.shape[0],), 0.3) for name, (_, up) in made.items() if "ffn" in name}
    tensors = as_comfy(made, alpha=1.0)
    tensors |= {f"diffusion_model.{original(name)}.diff_b": value for name, value in bias.items()}
    path = written(tensors, tmp_path / "lora.safetensors")
    model = load(folder, device="cpu", lora=f"transformer={path}")
    denoiser = reference(folder, made, 1.0 / RANK)
    weights = denoiser.state_dict()
    for name, value in bias.items():
        weights[f"{name}.bias"] += value
    denoiser.load_state_dict(weights)
    assert torch.allclose(output(model.pipeline.transformer), output(denoiser), atol=1e-4)
    assert not torch.allclose(output(reference(folder, made, 1.0 / RANK)), output(denoiser), atol=1e-2)


class TestTraced:
    def test_a_model_with_loras_is_traced_exactly(self, folder: Path, tmp_path: Path) -> None:
        paths = [
            written(as_diffsynth(changes(folder, seed)), tmp_path / f"{seed}.safetensors") for seed in (1, 2)
        ]
        model = load(folder, device="cpu", lora=paths, dtype="bf16")
        assert [check for check in verify(model) if not check.passed] == []

    def test_what_made_a_run_is_recorded(
        self, folder: Path, lora: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(lora.parent)
        model = load(folder, device="cpu", lora="lora.safetensors:0.5")
        digest = hashlib.sha256(lora.read_bytes()).hexdigest()
        recorded = [
            {"expert": expert, "path": str(lora.resolve()), "sha256": digest, "scale": 0.5}
            for expert in ("transformer", "transformer_2")
        ]
        assert model_settings(model)["lora"] == recorded
        assert model_settings(skeleton(folder, device="cpu", lora="lora.safetensors:0.5"))["lora"] == recorded
        assert json.loads(json.dumps(recorded)) == recorded

    def test_it_shows_in_the_video(self, folder: Path, lora: Path) -> None:
        sample = sample_for(KIND)
        videos = [
            load(folder, device="cpu", lora=asked).generate(sample, 0, num_steps=4)
            for asked in (None, f"transformer={lora}", f"transformer_2={lora}", lora, f"{lora}:0.5")
        ]
        for number, video in enumerate(videos):
            for other in videos[:number]:
                assert not np.array_equal(video, other)


class TestRefused:
    """Everything is refused by the skeleton already, before any weights are read."""

    def refused(self, asked: Any, folder: Path) -> str:
        with pytest.raises(ModelError) as raised:
            skeleton(folder, device="cpu", lora=asked)
        message = str(raised.value)
        assert len(message.splitlines()) == 1
        return message

    def test_one_of_something_else(self, folder: Path, tmp_path: Path) -> None:
        tensors = {k.replace("transformer.", "unet."): t for k, t in as_diffusers(changes(folder)).items()}
        message = self.refused(written(tensors, tmp_path / "unet.safetensors"), folder)
        assert "unet.safetensors: fits no module of a WanTransformer3DModel" in message
        assert "it is for unet.blocks.0.attn1.to_k, unet.blocks.0.attn1.to_out.0, " in message

    def test_one_of_a_larger_model(self, folder: Path, tmp_path: Path) -> None:
        tensors = {
            key: torch.cat([tensor, tensor], dim=1) if "lora_A" in key else tensor
            for key, tensor in as_diffusers(changes(folder)).items()
        }
        message = self.refused(written(tensors, tmp_path / "large.safetensors"), folder)
        assert "is for a model of another size: its blocks.0.attn1.to_k is 24x48, here it is 24x24" in message

    def test_weights_that_are_no_lora(self, folder: Path) -> None:
        path = folder / "transformer" / "diffusion_pytorch_model.safetensors"
        assert "is no LoRA: it has blocks.0.attn1." in self.refused(path, folder)

    def test_half_a_lora(self, folder: Path, tmp_path: Path) -> None:
        tensors = {key: t for key, t in as_diffusers(changes(folder)).items() if "lora_A" in key}
        path = written(tensors, tmp_path / "half.safetensors")
        assert "is no LoRA: transformer.blocks.0.attn1.to_k has one factor of two" in self.refused(
            path, folder
        )

    def test_a_dora(self, folder: Path, adapter: Path) -> None:
        settings = {"lora_alpha": 2, "r": RANK, "use_dora": True}
        (adapter.parent / "adapter_config.json").write_text(json.dumps(settings))
        assert "is a DoRA, which is not supported" in self.refused(adapter, folder)

    @pytest.mark.parametrize("content", ["{", "[]", '{"lora_alpha": "much"}'])
    def test_a_damaged_config(self, content: str, folder: Path, adapter: Path) -> None:
        (adapter.parent / "adapter_config.json").write_text(content)
        assert "adapter_config.json: " in self.refused(adapter, folder)

    @pytest.mark.parametrize("name", ["lora.safetensors", "lora.bin", "lora.txt"])
    def test_a_damaged_file(self, name: str, folder: Path, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(b"not a LoRA at all")
        assert f"{name}: cannot be read as a LoRA" in self.refused(tmp_path / name, folder)

    def test_a_pickle_that_is_no_tensors(self, folder: Path, tmp_path: Path) -> None:
        torch.save([1, 2], tmp_path / "lora.pt")
        assert "holds something else than tensors" in self.refused(tmp_path / "lora.pt", folder)

    def test_a_file_that_is_not_there(self, folder: Path, tmp_path: Path) -> None:
        assert "none.safetensors: no such LoRA" in self.refused(f"{tmp_path}/none.safetensors:0.5", folder)

    def test_a_folder_without_one(self, folder: Path, tmp_path: Path) -> None:
        assert "a folder with one LoRA file is wanted; it has none" in self.refused(tmp_path, folder)

    def test_a_folder_with_several(self, folder: Path, tmp_path: Path) -> None:
        for name in ("high", "low"):
            written(as_diffusers(changes(folder)), tmp_path / f"{name}.safetensors")
        message = self.refused(tmp_path, folder)
        assert "it has several: high.safetensors, low.safetensors; name one" in message

    @pytest.mark.parametrize("scale", ["nan", "inf"])
    def test_a_scale_that_is_no_number(self, scale: str, folder: Path, lora: Path) -> None:
        assert f"has to be a number, not {scale}" in self.refused(f"{lora}:{scale}", folder)

    def test_more_than_there_are_experts(self, folder: Path, lora: Path) -> None:
        message = self.refused([lora, lora, lora], folder)
        assert message.startswith("3 LoRAs for 2 expert(s)")
        assert "transformer_2=PATH" in message

    def test_a_file_for_another_expert_alone(self, folder: Path, tmp_path: Path) -> None:
        tensors = {
            key.replace("transformer.", "transformer_2.", 1): tensor
            for key, tensor in as_diffusers(changes(folder)).items()
        }
        path = written(tensors, tmp_path / "low.safetensors")
        assert self.refused(path, folder).endswith(
            "is for transformer_2, and not for transformer; say which expert it is for: transformer_2=PATH"
        )

    def test_an_expert_that_the_model_does_not_have(self, folder: Path, lora: Path) -> None:
        message = self.refused(f"transformer_3={lora}", folder)
        assert message.endswith(
            "the model has no transformer_3 to put a LoRA into; it has transformer, transformer_2"
        )

    @pytest.mark.parametrize("asked", ["", "transformer=", ":0.5", " "])
    def test_no_path(self, asked: str, folder: Path) -> None:
        assert self.refused(asked, folder) == f'the LoRA "{asked}" names no file'

    @pytest.mark.parametrize("asked", ["~nouser/x", "transformer=~nouser/x:2", Path("~nouser/x")])
    def test_the_home_of_nobody(self, asked: Any, folder: Path) -> None:
        assert "~nouser/x" in (message := self.refused(asked, folder))
        assert "this machine has no user nouser" in message

    @pytest.mark.parametrize("key", ["lora_magnitude_vector", "lora_magnitude_vector.weight", "dora_scale"])
    def test_a_dora_by_its_keys(self, key: str, folder: Path, tmp_path: Path) -> None:
        tensors = as_diffusers(changes(folder))
        tensors[f"transformer.blocks.0.attn1.to_q.{key}"] = torch.ones(24)
        message = self.refused(written(tensors, tmp_path / "dora.safetensors"), folder)
        assert "dora.safetensors: is a DoRA, which is not supported" in message

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            (lambda down, up: (down, up[:, :1]), "have the ranks 2 and 1"),
            (lambda down, up: (down[:0], up[:, :0]), "have the ranks 0 and 0"),
            (lambda down, up: (down[0, 0], up), "is no matrix"),
            (lambda down, up: (down, up[:, 0]), "is no matrix"),
            (lambda down, up: (down * torch.nan, up), "has numbers that are not finite"),
            (lambda down, up: (down, up / 0), "has numbers that are not finite"),
        ],
    )
    def test_factors_that_are_none(
        self, change: Callable[..., Any], problem: str, folder: Path, tmp_path: Path
    ) -> None:
        name, pair = next(iter(changes(folder).items()))
        path = written(as_diffusers({name: change(*pair)}), tmp_path / "lora.safetensors")
        message = self.refused(path, folder)
        assert problem in message
        assert name in message

    def test_an_alpha_that_is_no_number(self, folder: Path, tmp_path: Path) -> None:
        tensors = as_comfy(changes(folder), alpha=1.0)
        tensors = {key: t if "alpha" not in key else torch.ones(2) for key, t in tensors.items()}
        message = self.refused(written(tensors, tmp_path / "lora.safetensors"), folder)
        assert "is not one number" in message

    def test_metadata_that_is_no_object(self, folder: Path, tmp_path: Path) -> None:
        path = with_metadata(as_diffusers(changes(folder)), tmp_path / "lora.safetensors", [1])
        assert "the settings in its metadata have to be an object" in self.refused(path, folder)

    def test_text_in_place_of_a_pickle(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "lora.bin").write_text("hello\n" * 20)
        assert "lora.bin: cannot be read as a LoRA" in self.refused(tmp_path / "lora.bin", folder)

    def test_a_pickle_with_code(self, folder: Path, tmp_path: Path) -> None:
        torch.save({"a": Path("x")}, tmp_path / "lora.bin")
        message = self.refused(tmp_path / "lora.bin", folder)
        assert message.endswith("it is no pickle of tensors alone, and code in it is not run")


class TestLeftOut:
    def test_modules_that_the_model_lacks_are_named(self, folder: Path, tmp_path: Path) -> None:
        made = changes(folder)
        made |= {f"blocks.7.{name.split('.', 2)[2]}": pair for name, pair in changes(folder).items()}
        path = written(as_diffusers(made), tmp_path / "deep.safetensors")
        with pytest.warns(
            ModelWarning, match=r"10 modules that the model does not have, such as blocks\.7\."
        ):
            model = load(folder, device="cpu", lora=f"transformer={path}")
        assert_changed_by(model, folder, changes(folder), 1.0)

    @pytest.mark.filterwarnings("error::cosinterp.errors.ModelWarning")
    def test_norms_that_stay_as_they_are_are_not(self, folder: Path, tmp_path: Path) -> None:
        tensors = as_comfy(changes(folder), 1.0)
        tensors["diffusion_model.blocks.0.self_attn.norm_q.diff"] = torch.zeros(24)
        load(folder, device="cpu", lora=written(tensors, tmp_path / "lora.safetensors"))

    def test_norms_that_change_are(self, folder: Path, tmp_path: Path) -> None:
        tensors = as_comfy(changes(folder), 1.0)
        tensors["diffusion_model.blocks.0.self_attn.norm_q.diff"] = torch.ones(24)
        path = written(tensors, tmp_path / "lora.safetensors")
        with pytest.warns(ModelWarning, match="1 changes that are no LoRA, such as diffusion_model.blocks.0"):
            load(folder, device="cpu", lora=f"transformer={path}")
