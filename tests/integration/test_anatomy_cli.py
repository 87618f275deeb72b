"""``cosinterp anatomy``: what it says is what a loaded model and its store have."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import cosinterp as ci
from cosinterp.cli import app
from cosinterp.models import families
from cosinterp.models.model import Model
from tests.tiny import sample_for
from tests.tiny.wan import NUM_BLOCKS

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def reported(run: Run, folder: Path, *flags: object) -> dict[str, Any]:
    result = run("anatomy", folder, "--json", *flags)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_parameters_are_those_of_the_loaded_model(
    run: Run, tiny_folder: Callable[[str], Path], tiny_model: Callable[..., Model]
) -> None:
    name = "wan2.2-i2v-a14b"
    report = reported(run, tiny_folder(name))
    pipeline = tiny_model(name).pipeline
    for expert in report["experts"]:
        module = getattr(pipeline, expert["name"])
        assert expert["parameters"] == sum(part.numel() for part in module.parameters())
    assert [expert["name"] for expert in report["experts"]] == ["transformer", "transformer_2"]
    (stack,) = report["stacks"]
    assert stack["layers"] == list(range(1, NUM_BLOCKS + 1))
    assert stack["parameters_each"] == sum(
        part.numel() for part in pipeline.transformer.blocks[0].parameters()
    )


def test_bytes_and_grid_are_those_of_a_store(
    run: Run, tiny_folder: Callable[[str], Path], tiny_model: Callable[..., Model], tmp_path: Path
) -> None:
    name = "wan2.1-t2v"
    size = {"height": 32, "width": 48, "num_frames": 9}
    flags = [word for key, value in size.items() for word in (f"--{key.replace('_', '-')}", value)]
    report = reported(run, tiny_folder(name), *flags, "--num-steps", 2)
    store = ci.trace(
        tiny_model(name), sample_for(name), store=tmp_path / "s", seeds=0, sites="all", num_steps=2, **size
    )
    with store.run("sample-0", 0) as traced:
        assert list(traced.noisy(0).shape) == report["latents"]
        assert {site["site"] for site in report["stacks"][0]["sites"]} == set(traced.sites)
        for site in report["stacks"][0]["sites"]:
            info = traced.site(site["site"])
            assert site["layer_bytes"] == info.slab_bytes
            assert site["grid"] == list(info.grid) == report["grid"]
        resid = traced.site("resid")
        slabs = len(resid.layers) * len(resid.steps) * len(resid.branches)
        assert report["run_bytes"] == slabs * resid.slab_bytes


def test_the_tree_names_what_there_is(run: Run, tiny_folder: Callable[[str], Path]) -> None:
    output = run("anatomy", tiny_folder("wan2.2-i2v-a14b")).output
    assert re.search(r"self_attn +attn1, gated .*\n.*cross_attn +attn2 .*\n.*mlp +ffn, gated ", output)
    assert re.search(r"self_attn\.raw +attn1  .*\n.*cross_attn\.raw +attn2 .*\n.*mlp\.raw +ffn  ", output)
    for said in (
        *("family wan", "transformer_2", "layers 0-3", "1-3  blocks: 3 WanTransformerBlock"),
        *("self_attn", "attn1, gated", "cross_attn", "uncond  with guidance_scale above 1"),
        *("predicts  flow", "first image  required"),
    ):
        assert said in output


def test_what_is_not_listed_is_found_and_said_to_be(
    run: Run, tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(families.FAMILIES, "WanTransformer3DModel")
    output = run("anatomy", tiny_folder("wan2.1-t2v")).output
    assert "family generic" in output
    assert "check it with cosinterp verify" in output
    assert "3 WanTransformerBlock" in output


def test_a_size_that_does_not_fit_is_refused(run: Run, tiny_folder: Callable[[str], Path]) -> None:
    result = run("anatomy", tiny_folder("wan2.1-t2v"), "--height", 30)
    assert result.exit_code == 2
    assert "multiples of 16" in result.output
