"""What a trace captures is what the modules computed, and tracing changes nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from cosinterp.capture.watching import traced_call
from cosinterp.denoising import Clock
from cosinterp.models.model import Model
from cosinterp.steps import Call
from tests.integration.hooks import HookedRun, Key
from tests.tiny import KINDS, sample_for
from tests.tiny.wan import NUM_BLOCKS

NUM_STEPS = 4
SUBLAYERS = ("self_attn", "cross_attn", "mlp")
CASES = [
    *((kind, "fp32", 3.0) for kind in KINDS),
    *((kind, "bf16", 3.0) for kind in KINDS),
    ("wan2.2-i2v-a14b", "fp32", 1.0),
]


class Both:
    """The same generation twice: under plain hooks, and traced."""

    def __init__(self, model: Model, kind: str, guidance: float) -> None:
        self.model = model
        self.branches = ("cond", "uncond") if guidance > 1 else ("cond",)
        sample = sample_for(kind)
        settings = model.sampling(sample, {"num_steps": NUM_STEPS, "guidance_scale": guidance})
        self.hooked = HookedRun(model, guided=guidance > 1)
        with self.hooked.attached():
            self.plain_video = model.pipeline(**model.arguments(sample, (5,), settings)).frames
        self.traced: dict[Key, torch.Tensor] = {}
        self.clock = Clock(model.pipeline, model.anatomy, model.size(settings))
        layers = {site: model.anatomy.layers_of(site, tuple(model.layers)) for site in model.sites}
        with self.clock.watching():
            output = traced_call(
                model,
                model.arguments(sample, (5,), settings),
                self.clock,
                layers,
                lambda call: True,
                self._keep,
            )
        self.clock.check(self.branches, NUM_STEPS)
        self.traced_video = output.frames

    def _keep(self, site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
        key = (site, layer, call.step, call.branch, call.expert)
        assert key not in self.traced
        self.traced[key] = tokens.detach().clone()


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}-cfg{case[2]:g}")
def both(request: pytest.FixtureRequest, tiny_model: Callable[..., Model]) -> Both:
    kind, dtype, guidance = request.param
    return Both(tiny_model(kind, dtype), kind, guidance)


def test_video_is_that_of_the_untraced_pipeline(both: Both) -> None:
    assert np.array_equal(both.plain_video, both.traced_video)
    assert both.plain_video.std() > 0.01


def test_captured_tensors_equal_plain_hooks(both: Both) -> None:
    expected = {key: value for key, value in both.hooked.values.items() if not key[0].startswith("after")}
    captured = {key: value for key, value in both.traced.items() if key[0] == "resid" or ".raw" in key[0]}
    assert set(captured) == set(expected)
    for key, value in expected.items():
        assert torch.equal(captured[key], value), key


def test_every_site_step_branch_and_layer_is_captured_once(both: Both) -> None:
    calls = NUM_STEPS * len(both.branches)
    assert len(both.traced) == calls * ((NUM_BLOCKS + 1) + 2 * len(SUBLAYERS) * NUM_BLOCKS)


def test_both_experts_serve_steps_where_there_are_two(both: Both) -> None:
    experts = both.clock.schedule().expert
    assert sorted(set(experts.tolist())) == list(range(len(both.model.anatomy.experts)))
    assert experts.tolist() == sorted(experts.tolist())


def test_gated_sites_are_what_the_residual_stream_gains(both: Both) -> None:
    """The stream is rounded to the model's dtype once after each addition: half a unit in its last place."""
    epsilon = torch.finfo(both.model.dtype).eps
    for (site, layer, *call), added in both.traced.items():
        if site not in SUBLAYERS:
            continue
        before, after = _around(both.hooked.values, site, layer, tuple(call))
        unit = epsilon * torch.maximum(before.abs(), after.abs()).clamp_min(added.abs().float())
        assert ((after - before - added.float()).abs() <= unit).all(), (site, layer, call)
        assert added.abs().max() > 0


def _around(values: dict[Key, torch.Tensor], site: str, layer: int, call: tuple) -> tuple[torch.Tensor, ...]:
    stream = {
        "self_attn": (("resid", layer - 1), ("after_self_attn", layer)),
        "cross_attn": (("after_self_attn", layer), ("after_cross_attn", layer)),
        "mlp": (("after_cross_attn", layer), ("resid", layer)),
    }[site]
    return tuple(values[*place, *call].float() for place in stream)
