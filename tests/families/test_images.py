"""What the image families refuse, and what stands in for a prompt where there is none."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import DiTPipeline

import cosinterp as ci
from cosinterp.errors import ModelError, SampleError, TraceError
from cosinterp.models.families import FAMILIES, anatomy_of
from cosinterp.models.model import Model
from cosinterp.models.probe import probe_sample
from tests.families import dit, flux, pixart, sd3
from tests.families.row import FamilyRow

FLUX, SD3, PIXART, DIT = flux.ROWS[0], sd3.ROWS[0], pixart.ROWS[0], dit.ROWS[0]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[FamilyRow], Model]:
    models: dict[str, Model] = {}

    def load(row: FamilyRow) -> Model:
        if row.name not in models:
            folder = tmp_path_factory.mktemp("model")
            row.build().save_pretrained(folder)
            models[row.name] = ci.load(folder, device="cpu", dtype="fp32")
        return models[row.name]

    return load


@pytest.mark.parametrize(
    ("row", "settings", "message"),
    [
        (FLUX, {"max_sequence_length": 513}, "max_sequence_length 513 is above 512"),
        (SD3, {"max_sequence_length": 513}, "max_sequence_length 513 is above 512"),
        (SD3, {"width": 104}, "width 104 is above 96"),
        (PIXART, {"num_steps": 1}, "takes 2 steps or more"),
    ],
    ids=lambda value: value.name if isinstance(value, FamilyRow) else None,
)
def test_settings_that_the_pipeline_would_fail_on_are_refused(
    loaded: Callable[[FamilyRow], Model], row: FamilyRow, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(TraceError, match=message):
        loaded(row).sampling(row.sample(), {**row.settings, **settings})


def test_flux_without_distilled_guidance_has_no_scale_of_it(loaded: Callable[[FamilyRow], Model]) -> None:
    """The call of its pipeline takes one and does nothing with it."""
    schnell = flux.ROWS[1]
    with pytest.raises(TraceError, match='no sampling setting "guidance_scale"'):
        loaded(schnell).sampling(schnell.sample(), {"guidance_scale": 7.0})
    asked = loaded(FLUX).sampling(FLUX.sample(), {**FLUX.settings, "guidance_scale": 7.0})
    assert asked["guidance_scale"] == 7.0


@pytest.mark.parametrize("size", [{"height": 36}, {"width": 100}])
@pytest.mark.parametrize("row", [FLUX, SD3, PIXART], ids=lambda row: row.name)
def test_sizes_that_do_not_fill_the_patches_are_refused(
    loaded: Callable[[FamilyRow], Model], row: FamilyRow, size: dict[str, int]
) -> None:
    with pytest.raises(SampleError, match="have to be multiples of 8 and 8"):
        loaded(row).sampling(row.sample(), {**row.settings, **size})


@pytest.mark.parametrize(
    "denoiser", [name for name in FAMILIES if FAMILIES[name] in ("flux", "sd3", "pixart", "dit")]
)
def test_other_pipelines_of_these_transformers_are_refused(denoiser: str) -> None:
    """Such as FluxKontextPipeline, whose tokens are those of two images."""
    transformer = type(denoiser, (torch.nn.Module,), {"config": SimpleNamespace()})()
    pipeline = type("OtherPipeline", (), {"transformer": transformer})()
    with pytest.raises(ModelError, match="here: OtherPipeline is not known; known for"):
        anatomy_of(pipeline, "here")


def test_a_class_is_given_by_its_name_or_its_number(loaded: Callable[[FamilyRow], Model]) -> None:
    model = loaded(DIT)
    settings = model.sampling(DIT.sample(), {})

    def labels(prompt: str) -> list[int]:
        sample = DIT.sample()
        sample = type(sample)(name=sample.name, prompt=prompt)
        assert model.sampling(sample, {}) == settings
        return model.arguments(sample, (0, 1), settings)["class_labels"]

    assert labels("goldfish") == labels("Carassius auratus") == labels("1") == [1, 1]
    assert labels("999") == [999, 999]
    assert "prompt" not in model.arguments(DIT.sample(), (0,), settings)
    assert probe_sample(model).prompt in model.pipeline.labels


def test_what_is_no_class_is_refused(loaded: Callable[[FamilyRow], Model]) -> None:
    sample = ci.Sample(name="a", prompt="a red ball")
    with pytest.raises(
        SampleError, match='sample a: "a red ball" is no class of .*, such as Carassius auratus'
    ):
        loaded(DIT).sampling(sample, {})
    with pytest.raises(SampleError, match='"1000" is no class'):
        loaded(DIT).sampling(ci.Sample(name="a", prompt="1000"), {})


def test_a_transformer_of_other_classes_is_refused() -> None:
    pipeline: DiTPipeline = DIT.build()
    pipeline.transformer.register_to_config(num_embeds_ada_norm=10)
    with pytest.raises(ModelError, match="here: its transformer has 10 classes"):
        anatomy_of(pipeline, "here")


def test_clean_prompts_are_asked_for_and_not_a_matter_of_what_is_installed(
    loaded: Callable[[FamilyRow], Model],
) -> None:
    model = loaded(PIXART)
    arguments = model.arguments(PIXART.sample(), (0,), model.sampling(PIXART.sample(), PIXART.settings))
    assert arguments["clean_caption"] is False
    assert arguments["use_resolution_binning"] is False
