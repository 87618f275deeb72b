"""Schemes over many mazes at once do what they say, maze by maze, and cost what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import cosinterp as ci
from cosinterp.organism.architecture import build_scheduler
from cosinterp.organism.bulk_ensembles import running
from cosinterp.organism.bulk_ensembles.running import encode_tasks, run_scheme
from cosinterp.organism.bulk_ensembles.schemes import Merge, Scheme
from cosinterp.organism.bulk_ensembles.tasks import make_tasks
from cosinterp.organism.dataset import write_mazes
from cosinterp.organism.evaluate import load_solver
from cosinterp.organism.sampling import initial_noise, sample_latents

CPU = torch.device("cpu")
STEPS, GUIDANCE = 4, 2.0
MAZES = 2


@pytest.fixture(scope="module")
def conditions(solver):
    """A corner of mazes: schemes do not look at what they merge, and attention takes a sixteenth."""
    whole = encode_tasks(solver, make_tasks(3, MAZES))
    return replace(whole, first_frame=whole.first_frame[..., :8, :8])


def run(solver, conditions, scheme, **options) -> torch.Tensor:
    """Latents (maze, answer, channel, frame, row, col)."""
    options = {"chunk": 64} | options
    latents = run_scheme(solver, conditions, scheme, STEPS, GUIDANCE, **options)
    return latents.unflatten(0, (-1, scheme.answers))


def alone(solver, conditions, maze: int, seed: int, noise: float = 1.0, steps: int = STEPS) -> torch.Tensor:
    return sample_latents(
        solver.transformer,
        build_scheduler(),
        noise * initial_noise([seed], *conditions.first_frame.shape[2:]),
        conditions.first_frame[maze : maze + 1],
        conditions.prompts[maze : maze + 1],
        solver.prompts.empty,
        steps,
        GUIDANCE,
    )[0]


class ByHand:
    """Seeds of one maze, each with a scheduler of its own, and what is merged done in the open."""

    def __init__(self, solver, conditions, maze, seeds):
        self.solver = solver
        self.condition = conditions.first_frame[maze : maze + 1]
        self.prompt = conditions.prompts[maze : maze + 1]
        self.latents = [initial_noise([seed], *self.condition.shape[2:]) for seed in seeds]
        self.schedulers: list[Any] = [build_scheduler() for _ in seeds]
        for scheduler in self.schedulers:
            scheduler.set_timesteps(STEPS)

    def predict(self, step):
        timestep = self.schedulers[0].timesteps[step]
        mask = torch.zeros(1, 2, *self.condition.shape[2:])
        mask[:, :, 0] = 1
        found = []
        for latent in self.latents:
            hidden = torch.cat([latent, mask, self.condition], dim=1)
            cond, uncond = (
                self.solver.transformer(hidden, timestep[None], text, return_dict=False)[0]
                for text in (self.prompt, self.solver.prompts.empty)
            )
            found.append(uncond + GUIDANCE * (cond - uncond))
        return found

    def advance(self, step, predictions):
        timestep = self.schedulers[0].timesteps[step]
        self.latents = [
            scheduler.step(prediction, timestep, latent, return_dict=False)[0]
            for scheduler, prediction, latent in zip(self.schedulers, predictions, self.latents, strict=True)
        ]


def close(actual, expected, atol=1e-4):
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


def test_seeds_that_merge_nothing_are_single_runs(solver, conditions):
    made = run(solver, conditions, Scheme("three", groups=3, noise=0.7))
    for maze in range(MAZES):
        for seed in range(3):
            close(made[maze, seed], alone(solver, conditions, maze, seed, noise=0.7))


@torch.no_grad()
def test_merged_latents_go_on_as_one_run_with_merged_memory(solver, conditions):
    scheme = Scheme("two", 2, groups=2, merges=(Merge("latent", (1,)),))
    made = run(solver, conditions, scheme)
    for maze in range(MAZES):
        for group in range(2):
            hand = ByHand(solver, conditions, maze, (2 * group, 2 * group + 1))
            for step in range(STEPS):
                hand.advance(step, hand.predict(step))
                if step == 1:
                    first, second = hand.schedulers
                    hand.latents = [sum(hand.latents) / 2]
                    first.last_sample = (first.last_sample + second.last_sample) / 2
                    outputs = zip(first.model_outputs, second.model_outputs, strict=True)
                    first.model_outputs = [(one + other) / 2 for one, other in outputs]
                    hand.schedulers = [first]
            close(made[maze, group], hand.latents[0][0])
    assert (made[:, 0] - made[:, 1]).abs().max() > 0.1


@pytest.mark.parametrize("what", ["x0", "prediction"])
@pytest.mark.parametrize("share", [1.0, 0.5])
@torch.no_grad()
def test_merged_predictions_are_what_each_seed_goes_on_with(solver, conditions, what, share):
    scheme = Scheme("two", 2, merges=(Merge(what, (0, 2), share=share),), then="all")
    made = run(solver, conditions, scheme)
    hand = ByHand(solver, conditions, 1, (0, 1))
    for step in range(STEPS):
        predictions = hand.predict(step)
        if step in (0, 2):
            sigma = hand.schedulers[0].sigmas[step]
            if what == "x0":
                predictions = [x - sigma * v for x, v in zip(hand.latents, predictions, strict=True)]
            middle = sum(predictions) / 2
            predictions = [own + share * (middle - own) for own in predictions]
            if what == "x0":
                predictions = [(x - x0) / sigma for x, x0 in zip(hand.latents, predictions, strict=True)]
        hand.advance(step, predictions)
    for seed in range(2):
        close(made[1, seed], hand.latents[seed][0])


def test_after_the_last_merge_of_x0_the_first_seed_goes_on(solver, conditions):
    merges = (Merge("x0", (0, 1)),)
    every = run(solver, conditions, Scheme("all", 3, merges=merges, then="all"))
    one = run(solver, conditions, Scheme("one", 3, merges=merges))
    close(one[:, 0], every[:, 0])
    assert (every[:, 0] - every[:, 1]).abs().max() > 0.1


@pytest.mark.parametrize("branches", [("cond", "uncond"), ("cond",)])
def test_merged_hidden_states_are_those_of_the_mean(solver, conditions, branches):
    """By a hook of its own: where all residual streams are their mean from block 2 on, so is what follows."""
    scheme = Scheme("two", 2, merges=(Merge("hidden", (0,), layers=(2,), branches=branches),), then="all")
    made = run(solver, conditions, scheme)
    calls = 0

    def mean(module, inputs, output):
        nonlocal calls
        calls += 1
        # The first step's calls, cond before uncond.
        if calls > len(branches):
            return output
        return output.unflatten(0, (MAZES, 2)).mean(1, keepdim=True).expand(-1, 2, -1, -1).flatten(0, 1)

    handle = solver.transformer.blocks[1].register_forward_hook(mean)
    try:
        expected = run(solver, conditions, Scheme("plain", groups=2))
    finally:
        handle.remove()
    close(made, expected)
    assert (made - run(solver, conditions, Scheme("plain", groups=2))).abs().max() > 0.01


def test_the_first_merged_layer_decides(solver, conditions):
    def merged(*layers):
        merge = Merge("hidden", (0,), layers=layers)
        return run(solver, conditions, Scheme("two", 2, merges=(merge,), then="all"))

    torch.testing.assert_close(merged(1, 2, 3), merged(1), rtol=0, atol=0)
    assert (merged(1) - merged(3)).abs().max() > 0.01
    assert (merged(0) - merged(1)).abs().max() > 0.01


@pytest.mark.parametrize(
    "merge",
    [
        Merge("latent", (0,)),
        Merge("latent", (1,), "norm-mean"),
        Merge("latent", (1,), "median"),
        Merge("latent", (1,), "medoid"),
        Merge("x0", (0, 1, 2, 3)),
        Merge("x0", (1,), share=0.5),
        Merge("prediction", (0, 1)),
    ],
    ids=lambda merge: f"{merge.what}-{merge.how}",
)
def test_merging_the_same_seed_changes_nothing(solver, conditions, merge, same_noise):
    """One row at a time, since the rows of a batch differ by rounding even where their inputs do not."""
    first = running.Conditions(conditions.first_frame[:1], conditions.prompts[:1])
    merged = run(solver, first, Scheme("merged", 2, merges=(merge,), then="all"), chunk=1)
    plain = run(solver, first, Scheme("plain", groups=2), chunk=1)
    torch.testing.assert_close(merged, plain, rtol=0, atol=0)


@pytest.mark.parametrize("how", ["mean", "norm-mean"])
def test_merging_hidden_states_of_the_same_seed_changes_nothing(solver, conditions, how, same_noise):
    merge = Merge("hidden", (0, 2), how, layers=(0, 1, 3))
    merged = run(solver, conditions, Scheme("merged", 3, merges=(merge,), then="all"))
    close(merged, run(solver, conditions, Scheme("plain", groups=3)), atol=1e-5)


@pytest.fixture
def same_noise(monkeypatch):
    """All seeds begin with the noise of one."""

    def same(seeds, *shape):
        return initial_noise([5] * len(seeds), *shape)

    monkeypatch.setattr(running, "initial_noise", same)


def test_core_leaves_out_the_seed_that_is_apart():
    rows = torch.zeros(3, 2, 4)
    rows[0], rows[1], rows[2] = 1.0, 2.0, 100.0
    rows[2, 1], rows[0, 1] = 2.5, -50.0
    core = running._core(rows)
    torch.testing.assert_close(core, torch.tensor([[1.5] * 4, [2.25] * 4]))


def test_noise_drawn_anew_has_the_level_of_the_next_step(solver, conditions):
    estimates = []
    scheme = Scheme("renewed", groups=2, renewed=(0,))
    run_scheme(solver, conditions, scheme, STEPS, GUIDANCE, 64, lambda step, x0: estimates.append(x0))
    plain = []
    run_scheme(
        solver, conditions, Scheme("plain", groups=2), STEPS, GUIDANCE, 64, lambda step, x0: plain.append(x0)
    )
    torch.testing.assert_close(estimates[0], plain[0], rtol=0, atol=0)
    assert (estimates[1] - plain[1]).abs().max() > 0.01


def test_shrunk_noise_is_that_of_a_mean_of_seeds_with_the_same_clean_estimate(solver, conditions):
    """After step 0 x_t is (1 - sigma) x̂0 + sigma * noise: smaller noise from then on is a smaller x_T.

    A first step whose prediction is put in place, so that the clean estimate is the same for both.
    """
    sides = conditions.first_frame.shape[2:]
    half, clean = 0.5, torch.randn(1, 8, *sides, generator=torch.Generator().manual_seed(1))

    def denoising(noise):
        return running.Denoising(
            solver.transformer,
            build_scheduler(),
            noise,
            conditions.first_frame[:1],
            conditions.prompts[:1],
            solver.prompts.empty,
            STEPS,
            GUIDANCE,
        )

    def first_step(started):
        started.advance((started.latents - clean) / started.sigma)
        return started

    noise = initial_noise([0], *sides)
    sigma = denoising(noise).sigma
    expected = first_step(denoising((1 - sigma) * clean + half * (noise - (1 - sigma) * clean)))
    shrunk = first_step(denoising(noise))
    running.shrink_noise(shrunk, clean, half)
    close(shrunk.latents, expected.latents)
    with torch.no_grad():
        for one in (shrunk, expected):
            one.advance(one.predict())
    close(shrunk.latents, expected.latents)


def test_shrunk_schemes_shrink_after_their_step_only(solver, conditions):
    plain = run(solver, conditions, Scheme("plain"))
    same = run(solver, conditions, Scheme("same", shrunk=(0, 1), shrink=1.0))
    close(same, plain)
    shrunk = run(solver, conditions, Scheme("shrunk", shrunk=(1,), shrink=0.5))
    assert (shrunk - plain).abs().max() > 0.01


def test_mazes_do_not_mix_and_chunks_change_nothing(solver, conditions):
    scheme = Scheme("three", 3, merges=(Merge("hidden", (0,), layers=(1,)), Merge("x0", (1,))))
    together = run(solver, conditions, scheme)
    close(run(solver, conditions, scheme, chunk=3), together)
    only = running.Conditions(conditions.first_frame[1:], conditions.prompts[1:])
    close(run(solver, only, scheme)[0], together[1])
    padded = Scheme("three", 3, merges=(Merge("x0", (1,)),))
    close(run(solver, conditions, padded, chunk=4, fixed=True), run(solver, conditions, padded))


def counted_evaluations(solver, conditions, scheme) -> float:
    rows = 0

    def count(module, inputs, output):
        nonlocal rows
        rows += output[0].shape[0]

    handle = solver.transformer.register_forward_hook(count)
    try:
        run(solver, conditions, scheme)
    finally:
        handle.remove()
    return rows / MAZES


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        (Scheme("base", groups=2), 16),
        (Scheme("latent", 3, merges=(Merge("latent", (0,)),)), 3 * 2 + 3 * 2),
        (Scheme("x0", 2, merges=(Merge("x0", (0, 1)),)), 2 * 4 + 2 * 2),
        (Scheme("all", 2, merges=(Merge("x0", (0, 1)),), then="all"), 2 * 8),
        (Scheme("groups", 2, 2, merges=(Merge("x0", (1,)),)), 2 * (2 * 4 + 2 * 2)),
        (Scheme("few", groups=2, num_steps=3), 2 * 6),
        (Scheme("unguided", groups=1, guidance=1.0), 4),
        (Scheme("partly", groups=1, unguided=(0, 1)), 2 + 4),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_costs_are_the_evaluations_that_are_made(solver, conditions, scheme, expected):
    assert scheme.evaluations(STEPS, GUIDANCE) == expected
    assert counted_evaluations(solver, conditions, scheme) == expected


@pytest.mark.parametrize("what", ["latent", "x0"])
def test_a_scheme_is_the_ensemble_of_the_pipeline(narrow_maze_wan: Path, what, tmp_path):
    """What is measured in bulk is what `cosinterp.ensemble` makes, one maze after another."""
    write_mazes(tmp_path / "mazes", count=1, seed=3)
    (sample,) = ci.load_dataset(tmp_path / "mazes")
    store = ci.ensemble(
        ci.load(narrow_maze_wan),
        sample,
        store=tmp_path / "store",
        seeds="0-1",
        merge=what,
        steps="0",
        base=False,
        save_video=False,
        num_steps=2,
        guidance_scale=GUIDANCE,
    )
    scheme = Scheme("two", 2, merges=(Merge(what, (0,)),))
    solver = load_solver(narrow_maze_wan, CPU)
    made = run_scheme(solver, encode_tasks(solver, make_tasks(3, 1)), scheme, 2, GUIDANCE, 8)
    with store.run(sample.name, 0, "ensemble") as stored:
        close(made[0], torch.from_numpy(stored.noisy(2)).float())
        assert stored.attrs["intervention"]["evaluations"] == scheme.evaluations(2, GUIDANCE)
