"""What the commands do with the flags of a model, and what they check before its weights are read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from cosinterp.cli import app
from cosinterp.models.loading import Prepared
from stores import open_store
from tests.integration.large import a14b

SIZE = ["--height", "32", "--width", "32", "--num-frames", "5", "--num-steps", "3"]
LARGE = ["--height", "480", "--width", "832", "--num-frames", "81", "--num-steps", "40"]
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command; a trace is one of a prompt, into ``store``."""

    def invoke(command: str, *words: Any) -> Result:
        more = ["--prompt", "go", "--store", tmp_path / "store"] if command == "trace" else []
        return CliRunner().invoke(app, [str(word) for word in (command, *words, *more)])

    return invoke


@pytest.fixture
def model(tiny_folder: Callable[[str], Path]) -> Path:
    return tiny_folder("wan2.1-t2v")


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    """A LoRA of the first block's self-attention."""
    ends = {"lora_A": torch.ones(2, 24), "lora_B": torch.ones(24, 2)}
    tensors = {f"blocks.0.self_attn.q.{end}.default.weight": tensor for end, tensor in ends.items()}
    save_file(tensors, tmp_path / "lora.safetensors")
    return tmp_path / "lora.safetensors"


def refusal(result: Result) -> str:
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


class TestALargeModelWithoutItsWeights:
    @pytest.fixture
    def large(self, tmp_path: Path) -> Path:
        Image.new("RGB", (832, 480)).save(tmp_path / "first.png")
        return a14b(tmp_path / "a14b")

    def flags(self, large: Path, *more: str) -> list[Any]:
        image = large.parent / "first.png"
        return ["--model", large, "--dtype", "bf16", "--image", image, *LARGE, *more]

    def test_a_dry_run_needs_none(self, large: Path, run: Run) -> None:
        result = run("trace", *self.flags(large, "--reduce", "mean", "--dry-run", "--json", "--no-video"))
        plan = json.loads(result.stdout)
        assert plan["samples"][0]["token_grid"] == [21, 30, 52]
        assert plan["layers"] == {"resid": list(range(41))}

    def test_layers_are_checked_without_them(self, large: Path, run: Run) -> None:
        assert "this model has layers 0-40" in refusal(run("trace", *self.flags(large, "--layers", "41")))

    def test_the_size_is_checked_without_them(self, large: Path, run: Run) -> None:
        assert "multiples of 16 and 16" in refusal(run("trace", *self.flags(large, "--height", "481")))

    def test_space_is_checked_without_them(self, large: Path, run: Run, free: Callable[[int], None]) -> None:
        free(10**9)
        result = run("trace", *self.flags(large))
        assert result.exit_code == 2
        assert "error: no space: 1 run would take 1.1 TB" in result.stderr
        assert "--reduce" in result.stderr

    def test_a_trace_says_that_they_are_missing(self, large: Path, run: Run, tmp_path: Path) -> None:
        result = run("trace", *self.flags(large, "--reduce", "mean", "--no-video"))
        assert "the weights of the component text_encoder are missing" in refusal(result)
        assert not (tmp_path / "store").exists()


def test_a_store_that_has_all_runs_already_needs_no_weights_to_say_so(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: Prepared) -> Any:
        raise AssertionError("the weights were read")

    flags = ["--model", model, *SIZE]
    assert run("trace", *flags).exit_code == 0
    monkeypatch.setattr(Prepared, "load", load)
    assert "already has 1 of these 1 runs" in refusal(run("trace", *flags))
    assert run("trace", *flags, "--resume").exit_code == 0


class TestLora:
    def test_a_trace_records_it(self, run: Run, model: Path, lora: Path, tmp_path: Path) -> None:
        result = run("trace", "--model", model, *SIZE, "--lora", f"{lora}:0.5")
        assert result.exit_code == 0, result.output
        assert "warning" not in result.stderr
        (recorded,) = open_store(tmp_path / "store").settings.model["lora"]
        assert (recorded["expert"], recorded["path"], recorded["scale"]) == ("transformer", str(lora), 0.5)

    def test_a_store_takes_no_runs_with_another(self, run: Run, model: Path, lora: Path) -> None:
        assert run("trace", "--model", model, *SIZE, "--lora", lora).exit_code == 0
        for other in (["--lora", f"{lora}:0.5"], []):
            result = run("trace", "--model", model, *SIZE, "--resume", *other)
            assert result.exit_code == 2
            assert "model.lora" in result.stderr

    def test_what_is_left_out_is_a_warning_of_one_line(self, run: Run, model: Path, tmp_path: Path) -> None:
        name = "blocks.{}.attn1.to_q"
        save_file(
            {
                f"transformer.{name.format(block)}.{end}.weight": torch.ones(shape)
                for block in (0, 9)
                for end, shape in (("lora_A", (2, 24)), ("lora_B", (24, 2)))
            },
            tmp_path / "deep.safetensors",
        )
        result = run("verify", model, "--lora", tmp_path / "deep.safetensors")
        assert result.exit_code == 0, result.output
        (line,) = result.stderr.splitlines()
        assert line.startswith(
            f"warning: {tmp_path / 'deep.safetensors'}: left out of transformer: 1 modules"
        )
        assert line.endswith("such as blocks.9.attn1.to_q")


class TestQuantize:
    def test_an_unknown_one(self, run: Run, model: Path) -> None:
        message = refusal(run("trace", "--model", model, *SIZE, "--quantize", "int3"))
        assert 'unknown quantisation "int3"; use bnb-8bit, bnb-4bit, torchao-int8, torchao-fp8' in message

    @pytest.mark.parametrize(
        ("name", "package"),
        [("bnb-8bit", "bitsandbytes"), ("bnb-4bit", "bitsandbytes"), ("torchao-int8", "torchao")],
    )
    def test_one_that_is_not_installed(
        self, name: str, package: str, run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cosinterp.models.loading.quantizing.find_spec", lambda _: None)
        message = refusal(run("trace", "--model", model, *SIZE, "--quantize", name))
        assert message.endswith(
            f'quantisation "{name}": it needs the package {package}; try `pip install {package}`'
        )

    def test_a_folder_that_is_quantised_by_what_is_not_installed(
        self, run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copied = shutil.copytree(model, tmp_path / "quantised")
        path = copied / "transformer" / "config.json"
        quantised = {"quant_method": "bitsandbytes", "load_in_4bit": True}
        path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": quantised}))
        monkeypatch.setattr("cosinterp.models.loading.quantizing.find_spec", lambda _: None)
        message = refusal(run("trace", "--model", copied, *SIZE))
        assert "the weights of transformer are quantised: it needs the package bitsandbytes" in message


def test_what_cannot_be_checked_first_is_said(run: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = diffusers.WanPipeline.__init__

    def __init__(self: Any, tokenizer: Any, *args: Any, **settings: Any) -> None:
        assert tokenizer.pad_token
        plain(self, tokenizer, *args, **settings)

    __init__.__wrapped__ = plain  # type: ignore[attr-defined]
    monkeypatch.setattr(diffusers.WanPipeline, "__init__", __init__)
    result = run("trace", "--model", model, *SIZE, "--dry-run")
    assert result.exit_code == 0, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"warning: {model}: its weights are read before anything is checked: WanPipeline")


def test_local_files_only_asks_the_cache(run: Run) -> None:
    message = refusal(run("verify", "nobody/nothing", "--local-files-only"))
    assert "nor in the local cache" in message
