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

from cosinterp.models.loading import load, skeleton
from cosinterp.planning.plan import model_settings
from cosinterp.verification import verify
from tests.integration.loras import (
    KIND,
    RANK,
    Changes,
    Tensors,
    as_comfy,
    as_diffsynth,
    as_diffusers,
    as_kohya,
    as_peft,
    assert_changed_by,
    changes,
    expert_weights,
    original,
    output,
    reference,
    with_metadata,
    written,
)
from tests.tiny import sample_for
from tests.tiny.wan import NUM_BLOCKS


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
