"""Seeds that are merged on their way: against runs without it, in chunks, and by loops written by hand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import diffusers
import pytest
import torch

from cosinterp.ensembles.chunks import AUTO
from cosinterp.ensembles.merging import HOWS, WEIGHTED, merge
from cosinterp.ensembles.spec import Ensemble, Merge
from cosinterp.models.model import Model
from cosinterp.planning.plan import PlannedSample
from tests.integration.ensembling import Heard, made, merging, plain, planned, relative, row_by_row
from tests.tiny import sample_for

KIND = "wan2.2-t2v-a14b"
NUM_STEPS = 4
SEEDS = (3, 4, 8)
BOTH = 2
"""Branches of a step."""

FLOW: dict[str, Any] = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
SCHEDULERS: dict[str, Any] = {
    "UniPC": lambda: diffusers.UniPCMultistepScheduler(**FLOW),
    "UniPC of order 3": lambda: diffusers.UniPCMultistepScheduler(**FLOW, solver_order=3),
    "DPM": lambda: diffusers.DPMSolverMultistepScheduler(**FLOW),
    "Euler": lambda: diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
}
WHATS: list[tuple[str, dict[str, Any]]] = [
    ("latent", {}),
    ("x0", {}),
    ("prediction", {}),
    ("hidden", {}),
    ("hidden", {"layers": (0, 3), "branches": ("uncond",)}),
    ("hidden", {"site": "mlp", "layers": (2,)}),
    ("hidden", {"site": "self_attn.raw", "layers": (1, 3)}),
]
of_what = pytest.mark.parametrize(
    ("what", "more"), WHATS, ids=[" ".join([what, *map(str, more.values())]) for what, more in WHATS]
)


@pytest.fixture
def model(tiny_model: Callable[..., Model]) -> Model:
    return tiny_model(KIND)


@pytest.fixture
def sample(model: Model) -> PlannedSample:
    return planned(model, sample_for(KIND), num_steps=NUM_STEPS, guidance_scale=3.0)


@contextmanager
def scheduled(model: Model, name: str) -> Any:
    own = model.pipeline.scheduler
    model.pipeline.scheduler = SCHEDULERS[name]()
    try:
        yield
    finally:
        model.pipeline.scheduler = own


def check_same(one: Heard, other: Heard, within: float = 0.0) -> None:
    here, there = one.tensors(), other.tensors()
    assert here.keys() == there.keys()
    for name, tensor in here.items():
        if within:
            assert relative(tensor, there[name]) < within, name
        else:
            assert torch.equal(tensor, there[name]), name


def check_plain(heard: Heard, row: int, model: Model, sample: PlannedSample, seed: int) -> None:
    """A row is the run of a seed by itself, bit for bit."""
    steps = plain(model, sample, [seed])
    for step, own in enumerate(steps):
        assert torch.equal(heard.noisy[row][step], own.noisy[0].float())
        assert torch.equal(heard.predictions[row][step], own.prediction[0].float())
    assert torch.equal(heard.final[row], steps[-1].final()[0].float())


@pytest.mark.parametrize(
    ("how", "scheduler", "chunk"),
    [
        *(("mean", scheduler, AUTO) for scheduler in SCHEDULERS),
        *((how, "UniPC", AUTO) for how in HOWS if how != "mean"),
        ("norm-mean", "UniPC of order 3", 1),
    ],
)
def test_merging_one_seed_several_times_changes_nothing(how, scheduler, chunk, model, sample):
    """Everything at once, at several steps: each row is the run of its seed by itself, bit for bit."""
    merges = (
        *(Merge(what=what, steps=(0, 1, 3), how=how) for what in ("latent", "x0")),
        Merge(what="prediction", steps=(2,), how=how),
        Merge(what="hidden", steps=(0, 1), site="resid", layers=(0, 2), how=how),
        Merge(what="hidden", steps=(1,), site="self_attn", layers=(2,), how=how),
    )
    with scheduled(model, scheduler), row_by_row():
        heard = made(model, sample, Ensemble(merges=merges, then="all"), (3, 3, 3), chunk)
        for row in range(3):
            check_plain(heard, row, model, sample, 3)


@pytest.mark.parametrize("kind", ["wan2.2-i2v-a14b", "wan2.2-ti2v-5b-image"])
def test_one_seed_several_times_is_its_run_in_bf16(kind, tiny_model):
    """What is rounded on the way is rounded alike; a frame that is held stays what it is."""
    model = tiny_model(kind, "bf16")
    sample = planned(model, sample_for(kind), num_steps=NUM_STEPS, guidance_scale=3.0)
    merges = (
        Merge(what="latent", steps=(0, 1), how="norm-mean"),
        Merge(what="x0", steps=(1, 2)),
        Merge(what="hidden", steps=(0, 2), site="resid", layers=(1,), how="median"),
    )
    for chunk, seeds in ((1, (3, 3)), (AUTO, (3,))):
        heard = made(model, sample, Ensemble(merges=merges, then="all"), seeds, chunk)
        for row in heard.final:
            check_plain(heard, row, model, sample, 3)


@of_what
def test_one_seed_alone_is_its_run(what, more, model, sample):
    heard = made(model, sample, merging(what, 0, 2, then="one", **more), (4,))
    check_plain(heard, 0, model, sample, 4)
    assert heard.evaluations == NUM_STEPS * BOTH


@of_what
@pytest.mark.parametrize(("then", "chunk"), [("one", 2), ("all", 1)])
def test_chunks_come_to_the_same(what, more, then, chunk, model, sample):
    how = "norm-mean" if what == "latent" else "mean"
    asked = merging(what, 0, 2, then=then, how=how, weights=(1.0, 2.0, 3.0), **more)
    whole = made(model, sample, asked, SEEDS)
    assert len(whole.final) == (1 if then == "one" else 3)
    check_same(made(model, sample, asked, SEEDS, chunk), whole, within=1e-5)


@pytest.mark.parametrize(("scheduler", "chunk"), zip(SCHEDULERS, (1, 2, 1, 2), strict=True))
def test_several_merges_at_once_come_to_the_same_in_chunks(scheduler, chunk, model, sample):
    """Predictions, hidden states and latents of one step; steps that follow each other; the last step.

    It is the very same where rows do not depend on their place in a batch.
    """
    merges = (
        Merge(what="latent", steps=(0, 1, NUM_STEPS - 1)),
        Merge(what="prediction", steps=(1,)),
        Merge(what="x0", steps=(2, NUM_STEPS - 1), how="median"),
        Merge(what="hidden", steps=(1, 2), site="resid", layers=(2,), how="norm-mean"),
        Merge(what="hidden", steps=(2,), site="mlp", layers=(2, 3), branches=("cond",)),
    )
    asked = Ensemble(merges=merges, then="all")
    with scheduled(model, scheduler), row_by_row():
        whole = made(model, sample, asked, SEEDS)
        check_same(made(model, sample, asked, SEEDS, chunk), whole)


@pytest.mark.parametrize("what", ["latent", "x0", "prediction", "hidden"])
@pytest.mark.parametrize(("then", "chunk"), [("one", 1), ("one", 3), ("all", 2)])
def test_it_costs_what_it_says(what, then, chunk, model, sample):
    """K seeds to the end of the merge; who goes on from there; no evaluation twice."""
    last = 1
    calls: list[int] = []
    # A module within each block: it does not run where the block is skipped.
    handles = [
        block.attn1.register_forward_hook(lambda _, args, __: calls.append(args[0].shape[0]))
        for name in model.anatomy.experts
        for block in getattr(model.pipeline, name).blocks
    ]
    try:
        heard = made(model, sample, merging(what, 0, last, then=then), SEEDS, chunk)
    finally:
        for handle in handles:
            handle.remove()
    going = 1 if then == "one" else len(SEEDS)
    expected = (len(SEEDS) * (last + 1) + going * (NUM_STEPS - last - 1)) * BOTH
    assert heard.evaluations == sum(calls) / model.num_layers == expected


def test_activations_are_told_as_they_go_on(model, sample):
    """Once each, in chunks too, merged where they are merged."""
    layers = {"resid": (0, 1, 2, 3), "mlp": (2,)}
    asked = merging("hidden", 1, layers=(1, 3), branches=("cond",))
    whole = made(model, sample, asked, SEEDS, layers=layers)
    keys = {
        (row, site, layer, step, branch)
        for row in range(3)
        for site, own in layers.items()
        for layer in own
        for step in range(NUM_STEPS)
        for branch in ("cond", "uncond")
    }
    assert set(whole.activations) == keys
    for layer in (1, 3):
        at = [whole.activations[row, "resid", layer, 1, "cond"] for row in range(3)]
        assert torch.equal(at[0], at[1])
        assert torch.equal(at[0], at[2])
    chunked = made(model, sample, asked, SEEDS, 2, layers=layers)
    assert set(chunked.activations) == keys
    for key, tokens in chunked.activations.items():
        assert relative(tokens, whole.activations[key]) < 1e-5, key


@pytest.mark.parametrize("how", HOWS)
def test_hidden_states_are_merged_as_plain_hooks_merge_them(how, model, sample):
    """At layer 2 of the first two steps, in one branch; cond is called first."""
    weights = (1.0, 2.0, 3.0) if how in WEIGHTED else None
    calls = {"blocks": 0}

    def change(_: Any, __: Any, output: torch.Tensor) -> torch.Tensor | None:
        step, branch = divmod(calls["blocks"], BOTH)
        calls["blocks"] += 1
        if step > 1 or branch == 1:
            return None
        tokens = [merge(output[:, token], how, weights) for token in range(output.shape[1])]
        return torch.stack(tokens).expand_as(output)

    pipeline = model.pipeline
    handles = [
        getattr(pipeline, name).blocks[1].register_forward_hook(change) for name in model.anatomy.experts
    ]
    try:
        steps = plain(model, sample, SEEDS)
    finally:
        for handle in handles:
            handle.remove()
    asked = merging("hidden", 0, 1, layers=(2,), branches=("cond",), how=how, weights=weights)
    heard = made(model, sample, asked, SEEDS)
    for row in range(3):
        assert relative(heard.final[row], steps[-1].final()[row]) < 1e-5
    alone = plain(model, sample, SEEDS)
    assert relative(heard.final[0], alone[-1].final()[0]) > 1e-3


@pytest.mark.parametrize("what", ["latent", "x0", "prediction"])
def test_euler_steps_of_merged_seeds_are_those_of_a_loop_by_hand(what, model, sample):
    """x_{t-1} = x_t + (σ_{t-1} - σ_t) v, with v by the denoisers themselves."""
    with scheduled(model, "Euler"):
        heard = made(model, sample, merging(what, 0, 2), SEEDS)
        predicted = denoiser_of(model, sample)
        sigmas = heard.schedules[0].sigma
        noisy = torch.stack([heard.noisy[row][0] for row in range(3)])
        for step in range(NUM_STEPS):
            velocity = predicted(noisy, heard.schedules[0].timestep[step], heard.schedules[0].expert[step])
            if what == "prediction" and step in (0, 2):
                velocity = velocity.mean(0, keepdim=True).expand_as(velocity)
            if what == "x0" and step in (0, 2):
                clean = (noisy - sigmas[step] * velocity).mean(0)
                velocity = (noisy - clean) / sigmas[step]
            noisy = (noisy + (sigmas[step + 1] - sigmas[step]) * velocity).float()
            if what == "latent" and step in (0, 2):
                noisy = noisy.mean(0, keepdim=True).expand_as(noisy)
        for row in range(3):
            assert relative(heard.final[row], noisy[row]) < 1e-5


def denoiser_of(model: Model, sample: PlannedSample) -> Callable[..., torch.Tensor]:
    """The guided velocity of latents, by the denoisers themselves."""
    pipeline, scale = model.pipeline, sample.settings["guidance_scale"]
    length = sample.settings["max_sequence_length"]
    texts = pipeline.encode_prompt(sample.sample.prompt, "", max_sequence_length=length)

    @torch.no_grad()
    def predicted(noisy: torch.Tensor, timestep: float, expert: int) -> torch.Tensor:
        denoiser = getattr(pipeline, model.anatomy.experts[expert])
        cond, uncond = (
            denoiser(
                hidden_states=noisy,
                timestep=torch.full((len(noisy),), float(timestep)),
                encoder_hidden_states=text.repeat(len(noisy), 1, 1),
                return_dict=False,
            )[0]
            for text in texts
        )
        return uncond + scale * (cond - uncond)

    return predicted


@pytest.mark.parametrize("what", ["latent", "x0", "hidden"])
def test_the_order_of_seeds_and_weights_together_does_not_matter(what, model, sample):
    """Upstream they are sorted, so that it is exact; to rounding here."""
    forward = made(model, sample, merging(what, 0, weights=(1.0, 2.0, 4.0)), SEEDS)
    backward = made(model, sample, merging(what, 0, weights=(4.0, 2.0, 1.0)), SEEDS[::-1])
    for row in range(3):
        assert relative(backward.final[2 - row], forward.final[row]) < 1e-5
