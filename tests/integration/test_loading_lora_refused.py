"""LoRAs that do not fit, or not wholly: said in a line, before any weights are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cosinterp.errors import ModelError, ModelWarning
from cosinterp.models.loading import load, skeleton
from tests.integration.loras import (
    KIND,
    RANK,
    as_comfy,
    as_diffusers,
    assert_changed_by,
    changes,
    with_metadata,
    written,
)


@pytest.fixture
def folder(tiny_folder: Callable[[str], Path]) -> Path:
    return tiny_folder(KIND)


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
