"""Patches are those of the plain pipeline with plain PyTorch hooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cosinterp.interventions.intervention import (
    Bypass,
    Intervention,
    Mean,
    Noise,
    Replace,
    Scale,
    Zero,
)
from cosinterp.patching.trial import Trial
from tests.integration.sweeping import (
    DOUBLED,
    JOINED,
    NUM_STEPS,
    PROMPTS,
    SEEDS,
    WAN,
    Bench,
    PlainRun,
    Where,
    bench_of,
    swept,
)


def naive(bench: Bench, interventions: tuple[Intervention, ...]) -> PlainRun:
    """What interventions come to in the plain pipeline, from noise."""
    whats = [one.what for one in interventions]
    refs = {str(what.donor): what.donor for what in whats if isinstance(what, Replace)}
    if any(isinstance(what, Mean) for what in whats):
        refs |= {str(ref): ref for sample in PROMPTS for seed in SEEDS if (ref := bench.ref(sample, seed))}
    donors = {name: bench.plain(ref.sample, ref.seed) for name, ref in refs.items()}

    def change(where: Where, tokens: torch.Tensor) -> torch.Tensor | None:
        site, step, layer, branch = where
        new = tokens
        for one in interventions:
            met = step in one.steps and layer in one.layers and branch in (one.branches or (branch,))
            if isinstance(one.what, Bypass) or not met or site != one.site:
                continue
            written = made(one.what, where, new)
            mask = mask_of(one.tokens, bench, len(tokens))
            new = torch.where(mask[:, None], written, new)
        return None if new is tokens else new

    def made(what: Any, where: Where, tokens: torch.Tensor) -> torch.Tensor:
        site, step, layer, branch = where
        if isinstance(what, Replace):
            place = (
                site,
                step if what.step is None else what.step,
                layer if what.layer is None else what.layer,
                what.branch or branch,
            )
            return donors[str(what.donor)].seen[place]
        if isinstance(what, Mean):
            mean = torch.stack([run.seen[where] for run in donors.values()]).double().mean(dim=0)
            return (
                (mean if what.per == "token" else mean.mean(dim=0, keepdim=True)).to(tokens).expand_as(tokens)
            )
        return tokens * (what.factor if isinstance(what, Scale) else 0)

    def bypass(step: int, layer: int, branch: str) -> bool:
        return any(
            isinstance(one.what, Bypass)
            and step in one.steps
            and layer in one.layers
            and branch in (one.branches or (branch,))
            for one in interventions
        )

    return bench.plain("blue", change=change, bypass=bypass)


def mask_of(tokens: str, bench: Bench, count: int) -> torch.Tensor:
    """Written out, not parsed: of the token groups of this file's table."""
    frames, rows, cols = bench.row.grids["resid"]
    mask = torch.zeros(frames, rows, cols, dtype=torch.bool)
    if tokens == "all":
        return torch.ones(count, dtype=torch.bool)
    if tokens == "frames:1":
        mask[1] = True
    elif tokens == "box:0-1,1":
        mask[:, 0:2, 1] = True
    else:
        mask[2:, :, :] = True
        mask[:, 0, :] = True
    return mask.flatten()


TOKENS = ("all", "frames:1", "box:0-1,1", "frames:2 + box:0,all")


def random_cell(bench: Bench, random: np.random.Generator, site: str, kind: str) -> Intervention:
    anatomy = bench.model.anatomy
    layers = anatomy.layers_of(site, tuple(anatomy.layers))
    first = int(random.integers(NUM_STEPS))
    on_grid = anatomy.on_token_grid(site)
    of_block = kind == "bypass"
    some = random.choice(layers[1:] if of_block else layers, size=random.integers(1, 3), replace=False)
    donor = bench.ref("red", int(random.choice(SEEDS)))
    what: Any = {
        "replace": Replace(donor=donor),
        "replace-from": Replace(donor=donor, step=0, layer=int(random.choice(layers)), branch="cond"),
        "zero": Zero(),
        "scale": Scale(factor=0.5),
        "bypass": Bypass(),
    }[kind]
    return Intervention(
        site=site,
        layers=tuple(sorted(map(int, some))),
        steps=tuple(range(first, min(first + int(random.integers(1, 3)), NUM_STEPS))),
        branches=[None, ("cond",), ("uncond",)][random.integers(3)],
        tokens=str(random.choice(TOKENS)) if on_grid and not of_block else "all",
        what=what,
    )


def check_against(bench: Bench, trials: list[Trial], rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = swept(bench, trials, monkeypatch, rows=rows)
    unchanged = bench.store.run("blue", SEEDS[0])
    for trial, outcome, row in zip(trials, found.outcomes, found.rows, strict=True):
        plain = naive(bench, trial.interventions)
        told = row["interventions"]
        assert row["error"] == ""
        assert outcome.final is not None
        size = np.abs(plain.final).max()
        if rows == 1 and not any(isinstance(one.what, Scale) for one in trial.interventions):
            assert np.array_equal(outcome.clean, plain.clean[outcome.step]), told
            assert np.array_equal(outcome.final, plain.final), told
        else:
            assert np.abs(outcome.clean - plain.clean[outcome.step]).max() < 1e-4 * size, told
            assert np.abs(outcome.final - plain.final).max() < 1e-4 * size, told
        # The plain run has to be another one than the unchanged, or the comparison says little.
        if any(not np.array_equal(plain.clean[step], unchanged.clean_estimate(step)) for step in range(3)):
            assert row["x0_moved"] > 0
            for step in range(trial.first_step):
                assert np.array_equal(plain.clean[step], unchanged.clean_estimate(step))
        else:
            raise AssertionError(f"nothing happens: {told}")


KINDS = ("replace", "replace-from", "zero", "scale")
PLACES = [
    *((WAN, site) for site in ("resid", "self_attn.raw", "cross_attn.raw", "mlp.raw")),
    *((DOUBLED, site) for site in ("resid", "self_attn.raw")),
    *((JOINED, site) for site in ("resid", "self_attn.raw", "mlp.raw")),
]


@pytest.mark.parametrize(("name", "site"), PLACES)
def test_patches_are_those_of_the_plain_pipeline_with_hooks(
    name: str, site: str, bench_named: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From noise, with nothing skipped, answered or stored: bit for bit."""
    own = bench_named(name)
    random = np.random.default_rng(list(f"{name} {site}".encode()))
    kinds = [*KINDS, "replace"] + (["bypass"] if site == "resid" else [])
    trials = [own.trial(random_cell(own, random, site, kind)) for kind in kinds]
    check_against(own, trials, 1, monkeypatch)


def test_patches_in_the_rows_of_one_batch_are_too(
    bench_named: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the rounding by which a batch differs from single runs."""
    own = bench_named(WAN)
    random = np.random.default_rng(5)
    trials = [
        own.trial(replace_steps(random_cell(own, random, site, kind), (1, 2)))
        for site, kind in (
            ("resid", "replace"),
            ("mlp.raw", "replace-from"),
            ("resid", "bypass"),
            ("resid", "zero"),
        )
    ]
    check_against(own, trials, 3, monkeypatch)


def replace_steps(intervention: Intervention, steps: tuple[int, ...]) -> Intervention:
    return intervention.model_copy(update={"steps": steps})


def test_several_interventions_are_made_in_their_order(
    bench_named: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At different places, at the same one, and on blocks that follow each other."""
    own = bench_named(WAN)
    red = own.replacing("red", layers=(2,), steps=(1,))
    half = Intervention(layers=(2,), steps=(1,), what=Scale(factor=0.5))
    some = own.replacing("red", layers=(2,), steps=(1,), tokens="frames:1")
    nothing = Intervention(site="mlp.raw", layers=(1, 3), steps=(2,), what=Zero())
    skip = {layer: Intervention(layers=(layer,), steps=(1, 2), what=Bypass()) for layer in (1, 2, 3)}
    both = Intervention(layers=(2, 3), steps=(1,), what=Bypass())
    trials = [
        own.trial(*interventions)
        for interventions in (
            (red, nothing),
            (nothing, red),
            (half, some),
            (some, half),
            (skip[2], skip[3]),
            (skip[3], skip[2]),
            (both,),
            # What enters block 3 is the donor's, and stays.
            (red, skip[3]),
        )
    ]
    check_against(own, trials, 1, monkeypatch)


def test_what_comes_last_at_one_place_stays(
    bench_named: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = bench_named(WAN)
    red = own.replacing("red", layers=(2,), steps=(1,))
    skip = Intervention(layers=(2,), steps=(1,), what=Bypass())
    pairs = [(red,), (skip, red), (skip,), (red, skip)]
    outcomes = swept(own, [own.trial(*one) for one in pairs], monkeypatch, horizon=0).outcomes
    assert np.array_equal(outcomes[0].clean, outcomes[1].clean)
    assert np.array_equal(outcomes[2].clean, outcomes[3].clean)
    assert not np.array_equal(outcomes[0].clean, outcomes[2].clean)


def test_means_are_over_the_runs_of_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = bench_of(WAN, tmp_path / "store", layers="1-2", save_steps="0-1", sites="resid,mlp")
    path = str(own.store.path)
    trials = [
        own.trial(Intervention(site=site, layers=(1,), steps=(1,), what=Mean(store=path, per=per)))
        for site, per in (("resid", "token"), ("resid", "channel"))
    ]
    found = swept(own, trials, monkeypatch, horizon=0)
    for trial, outcome in zip(trials, found.outcomes, strict=True):
        plain = naive(own, trial.interventions)
        assert np.abs(outcome.clean - plain.clean[1]).max() < 1e-5


def test_noise_is_drawn_for_each_place_and_seed_and_is_the_same_again(
    bench_named: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = bench_named(WAN)

    def noised(seed: int, scale: float, layers: tuple[int, ...] = (1,)) -> Trial:
        return own.trial(Intervention(layers=layers, steps=(1,), what=Noise(seed=seed, scale=scale)))

    trials = [noised(0, 1), noised(0, 1), noised(1, 1), noised(0, 0), noised(0, 1, (2,))]
    clean = [one.clean for one in swept(own, trials, monkeypatch, horizon=0).outcomes]
    assert np.array_equal(clean[0], clean[1])
    assert all(not np.array_equal(clean[0], other) for other in clean[2:])
    assert np.array_equal(clean[3], own.store.run("blue", SEEDS[0]).clean_estimate(1))
