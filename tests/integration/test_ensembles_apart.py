"""Seeds of one sample in several pipelines that meet: as the batch, for every merge, and when one fails.

Here the members are threads, each with a model of its own; nothing differs but how they reach one another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from cosinterp.ensembles.chunks import AUTO, Chunk, Chunks
from cosinterp.ensembles.company import blocks
from cosinterp.ensembles.course import Course
from cosinterp.ensembles.member import Member
from cosinterp.ensembles.rendezvous import Rendezvous
from cosinterp.ensembles.rows import Rows
from cosinterp.ensembles.spec import Ensemble, Merge, Select
from cosinterp.models.loading import load
from cosinterp.models.model import Model
from cosinterp.replaying.preamble import Preamble
from tests.integration.ensembling import Heard, made, merging, planned, relative, row_by_row
from tests.integration.test_ensembles import check_plain, check_same, scheduled
from tests.tiny import sample_for

KIND = "wan2.2-t2v-a14b"
SETTINGS: dict[str, Any] = {"num_steps": 4, "guidance_scale": 3.0}
SEEDS = (3, 4, 8)
NUMBER = 5
SOON = 60
LATENTS = ("latent", "x0", "prediction")


@pytest.fixture(scope="module")
def models(tiny_model: Callable[..., Model], tiny_folder: Callable[[str], Path]) -> list[Model]:
    """One for each member."""
    return [tiny_model(KIND), *(load(tiny_folder(KIND), device="cpu", dtype="fp32") for _ in range(2))]


def apart(
    models: Sequence[Model],
    ensemble: Ensemble,
    seeds: Sequence[int] = SEEDS,
    chunks: Sequence[Chunk] = (AUTO, AUTO, AUTO),
    choose: Callable[[Rows, torch.Tensor], Rows] | None = None,
    fail: Callable[[int], None] = lambda member: None,
) -> tuple[Heard, list[float]]:
    """What the rows came to, and the evaluations of each member; ``fail``: called in each as it begins."""
    parts, rendezvous = blocks(len(seeds), len(models)), Rendezvous()
    rendezvous.begin(NUMBER)
    heard = [Heard() for _ in parts]

    def course(member: int) -> float:
        model = models[member]
        course = Course(
            model,
            planned(model, sample_for(KIND), **SETTINGS),
            ensemble,
            tuple(seeds),
            Chunks(chunks[member], model),
            heard[member],
            choose,
            Preamble(model),
            Member(rendezvous, NUMBER, parts, member),
        )
        try:
            fail(member)
            course.run()
        except Exception as error:
            rendezvous.release(NUMBER, str(error))
            raise
        return course.evaluations

    with ThreadPoolExecutor(len(parts)) as threads:
        running = [threads.submit(course, member) for member in range(len(parts))]
        errors = [error for one in running if (error := one.exception(SOON)) is not None]
        if errors:
            raise ExceptionGroup("of members", [error for error in errors if isinstance(error, Exception)])
    together = Heard()
    for own in heard:
        together.noisy.update(own.noisy)
        together.predictions.update(own.predictions)
        together.final.update(own.final)
        together.stopped_rows.extend(own.stopped_rows)
    return together, [one.result() for one in running]


def whole(models: Sequence[Model], ensemble: Ensemble, **more: Any) -> Heard:
    return made(models[0], planned(models[0], sample_for(KIND), **SETTINGS), ensemble, SEEDS, **more)


@pytest.mark.parametrize("how", ["mean", "medoid"])
@pytest.mark.parametrize("what", LATENTS)
@pytest.mark.parametrize("then", ["one", "all"])
def test_two_members_come_to_what_the_batch_comes_to(what, how, then, models):
    asked = merging(what, 0, 2, then=then, how=how, weights=(1.0, 2.0, 3.0) if how == "mean" else None)
    batch = whole(models, asked)
    heard, evaluations = apart(models[:2], asked)
    check_same(heard, batch, within=1e-5)
    assert len(heard.final) == (1 if then == "one" else 3)
    # The first has two seeds; who stops saves what is left.
    assert evaluations == ([14, 6] if then == "one" else [16, 8])
    assert sum(evaluations) == batch.evaluations
    assert sorted(heard.stopped_rows) == ([1, 2] if then == "one" else [])


@pytest.mark.parametrize("scheduler", ["UniPC", "UniPC of order 3", "DPM", "Euler"])
def test_what_solvers_remember_goes_along(scheduler, models):
    """Several merges of a step, at steps that follow each other; one member takes its rows in chunks.

    It is the very same where rows do not depend on their place in a batch.
    """
    merges = (
        Merge(what="latent", steps=(0, 1, 3), how="norm-mean"),
        Merge(what="prediction", steps=(1,)),
        Merge(what="x0", steps=(2, 3), how="median"),
    )
    asked = Ensemble(merges=merges, then="all")
    with scheduled(models[0], scheduler), scheduled(models[1], scheduler), row_by_row():
        check_same(apart(models[:2], asked, chunks=(1, AUTO))[0], whole(models, asked))


@pytest.mark.parametrize("how", ["mean", "norm-mean", "median", "medoid"])
def test_one_seed_in_every_member_is_its_run_bit_for_bit(how, models):
    merges = (
        Merge(what="latent", steps=(0, 1, 3), how=how),
        Merge(what="x0", steps=(0, 2), how=how),
        Merge(what="prediction", steps=(1,), how=how),
    )
    heard, _ = apart(models, Ensemble(merges=merges, then="all"), seeds=(3, 3, 3))
    for row in range(3):
        check_plain(heard, row, models[0], planned(models[0], sample_for(KIND), **SETTINGS), 3)


@pytest.mark.parametrize("kept", [(1,), (2,), (0, 2)])
def test_seeds_are_chosen_of_all(kept, models):
    """By one of the members, of the estimates of all in the order of the seeds; merges may follow."""
    asked = Ensemble(
        merges=(Merge(what="latent", steps=(0,), how="medoid"), Merge(what="x0", steps=(0, 2))),
        select=Select(step=1, keep=len(kept)),
        then="all",
    )
    seen: list[tuple[Rows, torch.Tensor]] = []

    def choose(rows: Rows, estimates: torch.Tensor) -> Rows:
        seen.append((rows, estimates))
        return kept

    batch = whole(models, asked, choose=choose)
    heard, evaluations = apart(models[:2], asked, choose=choose)
    check_same(heard, batch, within=1e-5)
    assert sum(evaluations) == batch.evaluations
    (rows, there), (apart_rows, here) = seen
    assert apart_rows == rows == (0, 1, 2)
    assert relative(here, there) < 1e-5


@pytest.mark.parametrize("what", ["latent", "x0"])
def test_a_member_that_is_short_of_memory_goes_on_in_chunks(what, models):
    """From the second step on its two rows do not fit; the other one notices nothing."""
    asked = merging(what, 0, 1, 2, how="medoid")
    batch = whole(models, asked)
    calls: list[int] = []

    def fill(_: Any, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        calls.append(len(output))
        if len(calls) > 2 and len(output) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    pipeline = models[0].pipeline
    handles = [
        denoiser.blocks[1].attn1.register_forward_hook(fill)
        for denoiser in (pipeline.transformer, pipeline.transformer_2)
    ]
    try:
        heard, evaluations = apart(models[:2], asked)
    finally:
        for handle in handles:
            handle.remove()
    assert calls[:4] == [2, 2, 2, 1]
    check_same(heard, batch, within=1e-5)
    assert evaluations == [16, 8]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_when_one_fails_the_others_do_not_wait(failing, models):
    def fail(member: int) -> None:
        if member == failing:
            raise RuntimeError("out of memory, say")

    before = threading.active_count()
    with pytest.raises(ExceptionGroup) as raised:
        apart(models, merging("latent", 0, 2), fail=fail)
    kinds = sorted(type(error).__name__ for error in raised.value.exceptions)
    assert kinds == ["Released", "Released", "RuntimeError"]
    assert {str(error) for error in raised.value.exceptions} == {"out of memory, say"}
    assert isinstance(raised.value.exceptions[failing], RuntimeError)
    assert threading.active_count() == before
