"""A handful of families, one for each way in which pipelines run: seeds are merged alike in all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cosinterp.ensembles.checking import check_ensemble
from cosinterp.ensembles.spec import Ensemble, Merge
from cosinterp.errors import ModelError, UserError
from cosinterp.models.model import Model
from cosinterp.planning.plan import PlannedSample
from tests.families.row import FamilyRow
from tests.families.rows import ROWS
from tests.integration.ensembling import Heard, made, plain, planned, relative

SEEDS = (3, 5)

FAMILIES = {
    "Wan2.1 T2V": "one branch a call",
    "Wan2.2 I2V A14B": "two experts",
    "Wan2.2 TI2V 5B from an image": "a pinned frame",
    "CogVideoX: DDIM, epsilon": "two branches in a batch, texts in the blocks",
    "LTX-Video from 0.9.5 on": "packed latents",
    "HunyuanVideo": "two kinds of blocks",
    "Wan2.1 VACE": "one at a time",
    "LTX-2": "audio beside the video",
}
rows = [row for row in ROWS if row.name in FAMILIES]
each_row = pytest.mark.parametrize("row", rows, ids=lambda row: row.name, scope="module")


def sampled(model: Model, row: FamilyRow) -> PlannedSample:
    asked: dict[str, Any] = {**row.settings, **row.guided, "num_steps": row.num_steps}
    return planned(model, row.sample(), **asked)


def everything(model: Model) -> Ensemble:
    """Latents where the scheduler lets them be merged, x0, and hidden states where they can be."""
    last = model.num_layers
    hidden = (
        (Merge(what="hidden", steps=(1,), site="resid", layers=(1, last)),)
        if model.anatomy.steps_pass_latents_only
        else ()
    )
    merges = (Merge(what="latent", steps=(0,)), Merge(what="x0", steps=(1,)), *hidden)
    return Ensemble(merges=merges, then="all")


def check_close(one: Heard, other: Heard) -> None:
    here, there = one.tensors(), other.tensors()
    assert here.keys() == there.keys()
    for name, tensor in here.items():
        assert relative(tensor, there[name]) < 1e-5, name


def test_all_the_families_are_there() -> None:
    assert {row.name for row in rows} == set(FAMILIES)


@each_row
def test_one_seed_is_its_run(row: FamilyRow, family_model: Callable[[FamilyRow], Model]) -> None:
    model = family_model(row)
    sample = sampled(model, row)
    heard = made(model, sample, everything(model), SEEDS[:1])
    steps = plain(model, sample, SEEDS[:1])
    for step, own in enumerate(steps):
        assert torch.equal(heard.predictions[0][step], own.prediction[0].float())
    assert torch.equal(heard.final[0], steps[-1].final()[0].float())


@each_row
def test_chunks_and_one_alone_come_to_the_same(
    row: FamilyRow, family_model: Callable[[FamilyRow], Model]
) -> None:
    model = family_model(row)
    sample, asked = sampled(model, row), everything(model)
    apart = made(model, sample, asked, SEEDS, chunk=1)
    together = made(model, sample, asked, SEEDS)
    check_close(apart, together)
    alone = plain(model, sample, SEEDS[:1])
    assert relative(together.final[0], alone[-1].final()[0]) > 1e-3, "merging changes it"
    one = made(model, sample, asked.model_copy(update={"then": "one"}), SEEDS)
    assert list(one.final) == [0]
    assert relative(one.final[0], together.final[0]) < 1e-5
    if model.anatomy.steps_pass_latents_only:
        branches, steps = sum(map(len, row.calls)), row.num_steps
        assert apart.evaluations == together.evaluations == branches * len(SEEDS) * steps
        assert one.evaluations == branches * (2 * len(SEEDS) + steps - 2)


@pytest.mark.parametrize(
    "row", [row for row in rows if row.name.startswith(("CogVideoX", "Hunyuan"))], ids=lambda row: row.name
)
def test_one_branch_of_a_batch_is_merged_in_chunks(
    row: FamilyRow, family_model: Callable[[FamilyRow], Model]
) -> None:
    """A stream, and what is within a block, which is entered again; the other branch is not merged."""
    model = family_model(row)
    sample, branch = sampled(model, row), row.calls[0][0]
    last = model.num_layers
    within = [site for site in model.anatomy.sites if not model.anatomy.is_stream(site)]
    site = next(site for site in within if model.anatomy.layers_of(site, (last,)))
    merges = (
        Merge(what="hidden", steps=(1,), site="resid", layers=(0, last - 1), branches=(branch,)),
        Merge(what="hidden", steps=(1,), site=site, layers=(last,), branches=(branch,), how="median"),
    )
    asked, layers = Ensemble(merges=merges, then="all"), {"resid": (0, last - 1), site: (last,)}
    together = made(model, sample, asked, SEEDS, layers=layers)
    apart = made(model, sample, asked, SEEDS, chunk=1, layers=layers)
    check_close(apart, together)
    assert set(apart.activations) == set(together.activations)
    for key, tokens in apart.activations.items():
        assert relative(tokens, together.activations[key]) < 1e-5, key
    for of, is_merged in ((branch, True), *((other, False) for other in row.calls[0][1:])):
        one, other = (together.activations[seed, site, last, 1, of] for seed in (0, 1))
        assert torch.equal(one, other) == is_merged


@pytest.mark.parametrize("row", [row for row in rows if row.name == "LTX-2"], ids=lambda row: row.name)
def test_hidden_states_are_not_merged_where_a_step_passes_on_more(
    row: FamilyRow, family_model: Callable[[FamilyRow], Model]
) -> None:
    model = family_model(row)
    asked = Ensemble(merges=(Merge(what="hidden", steps=(0,), site="resid", layers=(1,)),))
    with pytest.raises(UserError, match="pass on more than the latents.*; merge latents, x0"):
        check_ensemble(asked, model, sampled(model, row).settings, SEEDS)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.name == "CogVideoX 1.5: DPM, v"], ids=lambda row: row.name
)
def test_latents_are_not_merged_where_a_pipeline_remembers_others(
    row: FamilyRow, family_model: Callable[[FamilyRow], Model]
) -> None:
    model = family_model(row)
    sample = sampled(model, row)
    with pytest.raises(ModelError, match="latents cannot be merged with CogVideoXDPMScheduler"):
        check_ensemble(Ensemble(merges=(Merge(what="latent", steps=(0,)),)), model, sample.settings, SEEDS)
    asked = Ensemble(merges=(Merge(what="x0", steps=(0, 1)),), then="all")
    check_close(made(model, sample, asked, SEEDS, chunk=1), made(model, sample, asked, SEEDS))
