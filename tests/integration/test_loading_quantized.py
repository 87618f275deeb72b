"""Quantised denoisers: traced as they compute, whether quantised while loading or saved so."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from cosinterp.errors import ModelError
from cosinterp.models.loading import load, prepare
from cosinterp.planning.plan import model_settings
from cosinterp.verification import verify

KIND = "wan2.2-t2v-a14b"
BITSANDBYTES = ("bnb-8bit", "bnb-4bit")


def quantizations(*names: str) -> list[Any]:
    """The quantisations that are installed here, each as a parameter; those of bitsandbytes need a GPU."""
    return [
        pytest.param(name, "cuda", marks=pytest.mark.gpu)
        if name in BITSANDBYTES
        else pytest.param(name, "cpu")
        for name in names
    ]


ALL = quantizations("torchao-int8", "torchao-fp8", *BITSANDBYTES)


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    """Skip what is not installed."""
    name = request.node.callspec.params.get("name", "torchao")
    pytest.importorskip("bitsandbytes" if name in BITSANDBYTES else "torchao")


@pytest.fixture
def folder(tiny_folder: Callable[[str], Path]) -> Path:
    return tiny_folder(KIND)


def layer(model: Any) -> Any:
    return model.pipeline.transformer.blocks[1].ffn.net[2]


@torch.no_grad()
def assert_close(quantised: Any, plain: Any, most: float) -> None:
    """A quantised layer computes nearly, and not quite, what the layer itself does."""
    weight = next(plain.parameters())
    given = torch.randn(64, plain.in_features, generator=torch.Generator().manual_seed(0))
    given = given.to(weight.device, weight.dtype)
    wanted = plain(given).float()
    difference = (quantised(given).float() - wanted).norm() / wanted.norm()
    assert 0 < difference < most


@pytest.mark.parametrize(("name", "device"), ALL)
def test_the_denoiser_is_quantised(name: str, device: str, folder: Path) -> None:
    plain = load(folder, device=device, dtype="bf16")
    model = load(folder, device=device, dtype="bf16", quantize=name)
    assert_close(layer(model), layer(plain), most=0.3 if name == "bnb-4bit" else 0.05)
    assert model.dtype == torch.bfloat16
    assert model.pipeline.vae.dtype == torch.float32
    assert type(next(model.pipeline.text_encoder.parameters()).data) is torch.Tensor
    assert model_settings(model)["quantization"] == name


@pytest.mark.parametrize(("name", "device"), ALL)
def test_it_is_traced_exactly(name: str, device: str, folder: Path) -> None:
    checks = verify(load(folder, device=device, dtype="bf16", quantize=name))
    assert [check for check in checks if not check.passed] == []


@pytest.mark.parametrize(("name", "device"), ALL)
def test_a_folder_of_quantised_weights_is_loaded_as_it_is(
    name: str, device: str, folder: Path, tmp_path: Path
) -> None:
    quantised = load(folder, device=device, dtype="bf16", quantize=name)
    quantised.pipeline.save_pretrained(tmp_path / "quantised")
    config = json.loads((tmp_path / "quantised" / "transformer" / "config.json").read_text())
    prepared = prepare(tmp_path / "quantised", device=device, dtype="bf16")
    assert prepared.reason is None
    assert prepared.model.anatomy.channels == quantised.anatomy.channels
    model = prepared.load()
    assert model.quantization == config["quantization_config"]["quant_method"]
    given = torch.ones(1, layer(model).in_features, dtype=torch.bfloat16, device=device)
    assert torch.equal(layer(model)(given), layer(quantised)(given))
    assert all(check.passed for check in verify(model))


@pytest.mark.parametrize(("name", "device"), quantizations("torchao-int8"))
def test_what_is_quantised_is_not_quantised_again(
    name: str, device: str, folder: Path, tmp_path: Path
) -> None:
    load(folder, device=device, dtype="bf16", quantize=name).pipeline.save_pretrained(tmp_path / "quantised")
    with pytest.raises(ModelError, match=r"transformer are quantised already \(torchao\)"):
        load(tmp_path / "quantised", device=device, quantize=name)


@pytest.mark.parametrize(("name", "device"), ALL)
def test_a_quantised_pipeline_is_known_by_its_weights(name: str, device: str, folder: Path) -> None:
    hashes = [
        load(load(folder, device=device, dtype="bf16", quantize=quantize).pipeline).weights_sha256
        for quantize in (name, name, None)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(("name", "device"), ALL)
def test_a_lora_goes_on_top(name: str, device: str, folder: Path, tmp_path: Path) -> None:
    plain = layer(load(folder, device=device, dtype="bf16", quantize=name))
    generator = torch.Generator().manual_seed(0)
    down = torch.randn(2, plain.in_features, generator=generator) / math.sqrt(plain.in_features)
    up = torch.randn(plain.out_features, 2, generator=generator)
    factors = {"lora_A": down, "lora_B": up}
    save_file(
        {f"blocks.1.ffn.2.{end}.default.weight": tensor for end, tensor in factors.items()},
        tmp_path / "lora.safetensors",
    )
    asked = f"transformer={tmp_path / 'lora.safetensors'}"
    changed = layer(load(folder, device=device, dtype="bf16", quantize=name, lora=asked))
    given = torch.randn(8, plain.in_features, generator=generator).to(device, torch.bfloat16)
    with torch.no_grad():
        expected = plain(given).float() + given.float() @ down.T.to(device) @ up.T.to(device)
    assert torch.allclose(
        changed(given).float(), expected, rtol=0.02, atol=0.02 * float(expected.abs().max())
    )
