"""Models of pipelines that were built already, compiled ones among them."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from cosinterp.errors import ModelError, ModelWarning
from cosinterp.models.eager import eager
from cosinterp.models.loading import load
from cosinterp.models.model import to_uint8
from cosinterp.tracing import trace
from cosinterp.verification import verify
from tests.tiny import sample_for

KIND = "wan2.2-t2v-a14b"


@pytest.fixture
def pipeline(tiny_folder: Callable[[str], Path]) -> Any:
    return diffusers.DiffusionPipeline.from_pretrained(tiny_folder(KIND))


class Compiler:
    """A backend of torch.compile that says which graphs run, and how often."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, graph: torch.fx.GraphModule, _: Any) -> Callable[..., Any]:
        def run(*inputs: Any) -> Any:
            self.runs += 1
            return graph.forward(*inputs)

        return run


def wrapped(pipeline: Any, compiler: Compiler) -> None:
    pipeline.transformer = torch.compile(pipeline.transformer, backend=compiler)


def in_place(pipeline: Any, compiler: Compiler) -> None:
    pipeline.transformer.compile(backend=compiler)


def repeated_blocks(pipeline: Any, compiler: Compiler) -> None:
    pipeline.transformer.compile_repeated_blocks(backend=compiler)


def wrapped_blocks(pipeline: Any, compiler: Compiler) -> None:
    blocks = pipeline.transformer.blocks
    for number, block in enumerate(blocks):
        blocks[number] = torch.compile(block, backend=compiler)


def its_forward(pipeline: Any, compiler: Compiler) -> None:
    pipeline.transformer.forward = torch.compile(pipeline.transformer.forward, backend=compiler)


WAYS = [wrapped, in_place, repeated_blocks, wrapped_blocks, its_forward]


def test_a_pipeline_is_taken_as_it_is(pipeline: Any, tiny_folder: Callable[[str], Path]) -> None:
    model = load(pipeline)
    assert (model.name, model.revision, model.dtype) == (str(tiny_folder(KIND)), None, torch.float32)
    assert model.device == torch.device("cpu")
    sample = sample_for(KIND)
    settings = model.sampling(sample, {"num_steps": 3})
    plain = to_uint8(pipeline(**model.arguments(sample, (0,), settings)).frames)[0]
    assert np.array_equal(model.generate(sample, 0, num_steps=3), plain)
    assert [check for check in verify(model) if not check.passed] == []


def test_a_pipeline_that_was_loaded_from_nowhere_is_called_by_its_class(pipeline: Any) -> None:
    built = type(pipeline)(**pipeline.components, boundary_ratio=0.9)
    assert load(built).name == "WanPipeline"


def test_the_pipeline_itself_stays_as_it_is(pipeline: Any) -> None:
    wrapped(pipeline, Compiler())
    before = dict(vars(pipeline))
    with pytest.warns(ModelWarning):
        model = load(pipeline)
    model.pipeline.set_progress_bar_config(desc="ours")
    assert vars(pipeline) == before
    assert isinstance(pipeline.transformer, torch._dynamo.OptimizedModule)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("device", "cpu"),
        ("dtype", "fp32"),
        ("lora", "x"),
        ("local_files_only", True),
        ("quantize", "bnb-8bit"),
    ],
)
def test_what_comes_too_late_is_refused(name: str, value: Any, pipeline: Any) -> None:
    with pytest.raises(ModelError, match=f"the pipeline is loaded already: {name} comes too late"):
        load(pipeline, **{name: value})


@pytest.mark.parametrize("settings", [{}, {"device": "cpu"}])
def test_what_is_no_pipeline_is_refused(settings: dict[str, Any], pipeline: Any) -> None:
    for given in (42, None, pipeline.transformer):
        with pytest.raises(ModelError, match=f"^a {type(given).__name__} is no model; give .* pipeline$"):
            load(given, **settings)


def test_a_pipeline_without_a_transformer_is_refused() -> None:
    unet = diffusers.UNet2DModel(
        sample_size=8,
        block_out_channels=(32,),
        layers_per_block=1,
        down_block_types=("DownBlock2D",),
        up_block_types=("UpBlock2D",),
    )
    with pytest.raises(ModelError, match="DDPMPipeline has no .*transformer to trace"):
        load(diffusers.DDPMPipeline(unet, diffusers.DDPMScheduler()))


class TestIdentity:
    def test_equal_pipelines_are_equal(self, pipeline: Any) -> None:
        assert load(pipeline).weights_sha256 == load(copy.deepcopy(pipeline)).weights_sha256

    @pytest.mark.parametrize("component", ["transformer", "transformer_2", "vae"])
    def test_changed_weights_show(self, component: str, pipeline: Any) -> None:
        before = load(pipeline).weights_sha256
        next(iter(getattr(pipeline, component).parameters())).data.view(-1)[0] += 1
        assert load(pipeline).weights_sha256 != before

    def test_a_lora_shows(self, pipeline: Any) -> None:
        from peft import LoraConfig

        before = load(pipeline).weights_sha256
        pipeline.transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q"]))
        assert load(pipeline).weights_sha256 != before

    def test_the_scale_of_a_lora_shows_and_whether_it_is_on(self, pipeline: Any) -> None:
        from peft import LoraConfig

        pipeline.transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q"]), "mine")
        seen = [load(pipeline).weights_sha256]
        pipeline.transformer.set_adapters("mine", 0.5)
        seen.append(load(pipeline).weights_sha256)
        pipeline.transformer.disable_adapters()
        seen.append(load(pipeline).weights_sha256)
        assert len(set(seen)) == 3
        pipeline.transformer.enable_adapters()
        assert load(pipeline).weights_sha256 == seen[1]

    def test_a_changed_text_encoder_shows(self, pipeline: Any) -> None:
        before = load(pipeline).weights_sha256
        next(iter(pipeline.text_encoder.parameters())).data.view(-1)[0] += 1
        assert load(pipeline).weights_sha256 != before


class TestCompiled:
    @pytest.mark.parametrize("compile_it", WAYS)
    def test_it_is_traced_as_one_that_is_not(
        self, compile_it: Callable[..., None], pipeline: Any, tmp_path: Path
    ) -> None:
        sample = sample_for(KIND)
        settings: dict[str, Any] = {"seeds": 0, "num_steps": 3, "sites": "all"}
        plain = trace(load(copy.deepcopy(pipeline)), sample, store=tmp_path / "plain", **settings)
        compiler = Compiler()
        compile_it(pipeline, compiler)
        with warnings.catch_warnings(record=True, action="always", category=ModelWarning) as caught:
            model = load(pipeline)
            trace(model, sample, store=tmp_path / "first", **settings)
            traced = trace(model, sample, store=tmp_path / "compiled", **settings)
        said = {str(each.message) for each in caught}
        (message,) = said
        assert message.startswith("transformer: compiled with torch.compile; runs uncompiled here, since ")
        assert compiler.runs == 0
        with plain.run(sample.name, 0) as one, traced.run(sample.name, 0) as other:
            assert np.array_equal(one.noisy(3), other.noisy(3))
            for site in one.sites:
                assert np.array_equal(one.read(site, 1, 2, "cond"), other.read(site, 1, 2, "cond"))

    @pytest.mark.parametrize("compile_it", WAYS)
    def test_it_is_verified(self, compile_it: Callable[..., None], pipeline: Any) -> None:
        compiler = Compiler()
        compile_it(pipeline, compiler)
        with pytest.warns(ModelWarning):
            checks = verify(load(pipeline))
        assert [check for check in checks if not check.passed] == []
        assert compiler.runs == 0

    @pytest.mark.parametrize("compile_it", WAYS[1:])
    def test_it_is_compiled_afterwards_as_before(
        self, compile_it: Callable[..., None], pipeline: Any
    ) -> None:
        compiler = Compiler()
        compile_it(pipeline, compiler)

        def state() -> list[Any]:
            return [
                (vars(module).get("forward"), vars(module).get("_compiled_call_impl"), dict(module._modules))
                for module in pipeline.transformer.modules()
            ]

        before = state()
        within: list[Any] = []

        def interrupted() -> None:
            with eager(pipeline):
                within.append(state())
                raise RuntimeError("in between")

        with pytest.warns(ModelWarning), pytest.raises(RuntimeError, match="in between"):
            interrupted()
        assert within != [before]
        assert state() == before
        model = load(pipeline)
        model.generate(sample_for(KIND), 0, num_steps=2)
        assert compiler.runs > 0

    def test_a_forward_that_is_replaced_between_traces_is_the_one_that_runs(
        self, pipeline: Any, tmp_path: Path
    ) -> None:
        sample = sample_for(KIND)
        settings: dict[str, Any] = {"seeds": 0, "num_steps": 2}
        block = pipeline.transformer.blocks[0]
        written = block.forward

        def halved(*args: Any, **kwargs: Any) -> Any:
            return written(*args, **kwargs) / 2

        replaced = copy.deepcopy(pipeline)
        replaced_block = replaced.transformer.blocks[0]
        replaced_written = replaced_block.forward
        replaced_block.forward = lambda *args, **kwargs: replaced_written(*args, **kwargs) / 2
        wanted = trace(load(replaced), sample, store=tmp_path / "wanted", **settings)
        model = load(pipeline)
        block.forward = torch.compile(written, backend=Compiler())
        with pytest.warns(ModelWarning):
            trace(model, sample, store=tmp_path / "first", **settings)
        block.forward = torch.compile(halved, backend=Compiler())
        with pytest.warns(ModelWarning):
            traced = trace(model, sample, store=tmp_path / "second", **settings)
        with wanted.run(sample.name, 0) as one, traced.run(sample.name, 0) as other:
            assert np.array_equal(one.noisy(2), other.noisy(2))

    def test_what_is_not_compiled_is_not_spoken_of(self, pipeline: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ModelWarning)
            with eager(load(pipeline).pipeline):
                pass
