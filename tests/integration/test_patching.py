"""Patches are exact: those that change nothing, those that change everything, and any against plain hooks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
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
from cosinterp.patching.grid import Grid
from cosinterp.patching.trial import Trial
from stores import open_store
from tests.integration.sweeping import PROMPTS, SEEDS, Bench, PlainRun, Where, bench_of, swept

WAN, DOUBLED, JOINED = "Wan2.1 T2V", "LTX-Video from 0.9.5 on", "CogVideoX: DDIM, epsilon"
SD3, TWO_EXPERTS = "Stable Diffusion 3", "Wan2.2 I2V A14B"
NUM_STEPS = 3

EFFECTS = [f"{what}_{kind}" for what in ("x0", "final") for kind in ("moved", "along", "moved_seeds")]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bench]:
    made: dict[str, Bench] = {}

    def of(name: str) -> Bench:
        if name not in made:
            made[name] = bench_of(name, tmp_path_factory.mktemp("bench") / "store", num_steps=NUM_STEPS)
        return made[name]

    return of


def cells(bench: Bench, **grid: Any) -> list[Trial]:
    """A grid of patches of the run's own activations."""
    found = Grid(**grid).cells(bench.model.anatomy, bench.settings("blue"))
    own = Replace(donor=bench.ref("blue"))
    return [bench.trial(cell.intervention(own), **cell.labels) for cell in found]


@pytest.mark.parametrize(
    ("rows", "horizon"), [(1, None), (3, None), (1, 0), (3, 1)], ids=lambda value: f"{value}"
)
@pytest.mark.parametrize("name", [WAN, DOUBLED, JOINED])
def test_a_runs_own_activations_change_nothing_at_any_site(
    name: str, rows: int, horizon: int | None, bench: Callable[[str], Bench]
) -> None:
    """Exactly nothing, at all sites and layers, of all branches or of one."""
    own = bench(name)
    branches = ("all", "cond", "uncond") if rows == 1 and horizon == 0 else ("all", "uncond")
    steps = "1" if horizon is None else "0-2"
    layers = "all" if rows == 1 else "0,2"
    trials = cells(own, sites="all", steps=steps, layers=layers, branches=branches)
    found = swept(own, trials, rows=rows, horizon=horizon)
    assert {row["site"] for row in found.rows} == set(own.model.anatomy.sites)
    check_nothing_happened(found.rows, horizon)


def check_nothing_happened(rows: list[dict[str, Any]], horizon: int | None) -> None:
    assert rows
    for row in rows:
        assert row["error"] == ""
        for effect in EFFECTS if horizon is None else EFFECTS[:3]:
            assert row[effect] == 0, (row["site"], row["layer"], row["steps"], row["branch"], effect)
        assert row["x0_recovered"] == 0


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize(
    "tokens", ["frames:0", "box:0-1,0-1", "~frames:0 & box:1,1-2"], ids=lambda value: value
)
def test_nor_do_they_at_some_tokens(tokens: str, rows: int, bench: Callable[[str], Bench]) -> None:
    own = bench(WAN)
    trials = cells(own, sites=("resid", "mlp"), steps="0,2", layers="1-2", tokens=(tokens,), window=1)
    check_nothing_happened(swept(own, trials, rows=rows).rows, None)


def test_nor_do_they_over_several_steps_and_layers(bench: Callable[[str], Bench]) -> None:
    own = bench(WAN)
    trials = cells(own, sites=("resid", "self_attn"), window=2, layer_window=2)
    trials += cells(own, window="cumulative")
    check_nothing_happened(swept(own, trials).rows, None)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("name", [WAN, DOUBLED, JOINED, TWO_EXPERTS])
def test_all_of_the_donors_last_layers_give_the_donors_predictions(
    name: str, rows: int, bench: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first step on, so that both runs have one noise: the donor's run, bit for bit.

    Where a run is played in several rows, the donor is too.
    """
    own = bench(name)
    patch = own.replacing("red", layers=(own.num_layers,), steps=tuple(range(NUM_STEPS)))
    found = swept(own, [own.trial(patch)], monkeypatch, rows=rows)
    (row,), (outcome,) = found.rows, found.outcomes
    assert row["x0_recovered"] == row["final_recovered"] == 1
    assert row["x0_along"] == pytest.approx(1, abs=1e-12)
    donor = own.store.run("red", SEEDS[0])
    if rows == 1:
        assert outcome.final is not None
        assert np.array_equal(outcome.final, donor.noisy(NUM_STEPS))
        assert np.array_equal(outcome.clean, donor.clean_estimate(NUM_STEPS - 1))


@pytest.mark.parametrize("name", [JOINED])
def test_a_stream_that_nothing_reads_any_more_does_nothing(name: str, bench: Callable[[str], Bench]) -> None:
    """Text that leaves the last block; one block earlier it does something."""
    own = bench(name)
    last = own.num_layers
    trials = [
        own.trial(own.replacing("red", site="text", layers=(layer,), steps=(1,)))
        for layer in (last, last - 1)
    ]
    nothing, something = swept(own, trials).rows
    check_nothing_happened([{"site": "", "layer": 0, "steps": "", "branch": "", **nothing}], None)
    assert something["x0_moved"] > 0
    assert something["final_moved"] > 0


def test_tokens_of_the_last_layer_change_their_own_latent_cells_alone(
    bench: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = bench(WAN)
    token = "frames:1 & box:2,3"
    patch = own.replacing("red", layers=(own.num_layers,), steps=(1,), tokens=token)
    (outcome,) = swept(own, [own.trial(patch)], monkeypatch, horizon=0).outcomes
    before = own.store.run("blue", SEEDS[0]).clean_estimate(1)
    changed = (outcome.clean != before).any(axis=0)
    # A token is a patch of 2 x 2 latent cells.
    expected = np.zeros_like(changed)
    expected[1, 4:6, 6:8] = True
    assert np.array_equal(changed, expected)


def test_tokens_elsewhere_are_as_many_others(
    bench: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = bench(WAN)
    where = {"layers": (own.num_layers,), "steps": (1,), "tokens": "frames:1 & box:2,1-3"}
    trials = [own.trial(own.replacing("red", **where, elsewhere=seed)) for seed in (None, 0, 1)]
    before = own.store.run("blue", SEEDS[0]).clean_estimate(1)
    outcomes = swept(own, trials, monkeypatch, horizon=0).outcomes
    changed = [(one.clean != before).any(axis=0) for one in outcomes]
    assert [int(cells.sum()) for cells in changed] == [12, 12, 12]
    assert not (changed[0] & (changed[1] | changed[2])).any()
    assert not np.array_equal(changed[1], changed[2])


# --- Against the plain pipeline ---------------------------------------------------------------------------


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
    name: str, site: str, bench: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From noise, with nothing skipped, answered or stored: bit for bit."""
    own = bench(name)
    random = np.random.default_rng(list(f"{name} {site}".encode()))
    kinds = [*KINDS, "replace"] + (["bypass"] if site == "resid" else [])
    trials = [own.trial(random_cell(own, random, site, kind)) for kind in kinds]
    check_against(own, trials, 1, monkeypatch)


def test_patches_in_the_rows_of_one_batch_are_too(
    bench: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to the rounding by which a batch differs from single runs."""
    own = bench(WAN)
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
    bench: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At different places, at the same one, and on blocks that follow each other."""
    own = bench(WAN)
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
    bench: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = bench(WAN)
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
    bench: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = bench(WAN)

    def noised(seed: int, scale: float, layers: tuple[int, ...] = (1,)) -> Trial:
        return own.trial(Intervention(layers=layers, steps=(1,), what=Noise(seed=seed, scale=scale)))

    trials = [noised(0, 1), noised(0, 1), noised(1, 1), noised(0, 0), noised(0, 1, (2,))]
    clean = [one.clean for one in swept(own, trials, monkeypatch, horizon=0).outcomes]
    assert np.array_equal(clean[0], clean[1])
    assert all(not np.array_equal(clean[0], other) for other in clean[2:])
    assert np.array_equal(clean[3], own.store.run("blue", SEEDS[0]).clean_estimate(1))


# --- Where activations and trajectories come from -----------------------------------------------------------


def test_donors_read_from_a_store_are_those_that_are_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the store has some of what is asked for: a layer of a site, a site, a branch."""
    own = bench_of(WAN, tmp_path / "store", layers="1,3", save_steps="0-1", branches="cond")
    trials = [
        own.trial(own.replacing("red", site=site, layers=layers, steps=(step,), branches=branches))
        for site, layers, step, branches in (
            ("resid", (1,), 1, ("cond",)),
            ("resid", (2,), 1, ("cond",)),
            ("resid", (1, 3), 0, ("cond",)),
            ("resid", (1,), 0, None),
            ("resid", (1,), 2, ("cond",)),
            ("mlp", (1,), 1, ("cond",)),
            ("resid", (3,), 1, ("cond",)),
        )
    ]
    by_way = {
        way: [one.clean for one in swept(own, trials, monkeypatch, horizon=0, donors=way).outcomes]
        for way in ("auto", "replay")
    }
    for auto, replayed in zip(*by_way.values(), strict=True):
        assert np.array_equal(auto, replayed)
    stored = [trials[index] for index in (0, 2, 6)]
    for index, read in zip(
        (0, 2, 6), swept(own, stored, monkeypatch, horizon=0, donors="store").outcomes, strict=True
    ):
        assert np.array_equal(read.clean, by_way["replay"][index])


@pytest.mark.parametrize("rows", [1, 2])
def test_a_store_of_another_machine_is_played_here(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its numbers may differ by rounding: they are not compared with those of here."""
    own = bench_of(WAN, tmp_path / "store", layers="1-2", save_steps="all")
    elsewhere(own, monkeypatch)
    trials = cells(own, steps="0-1", layers="1-2", window=2)
    trials += cells(own, steps="1", layers="2", sites="mlp")
    found = swept(own, trials, rows=rows)
    check_nothing_happened(found.rows, None)
    whole = NUM_STEPS * own.num_layers * len(own.branches) * rows
    # The run and the donor that it is compared with, from noise.
    assert found.blocks_of_anchors >= 2 * whole


def elsewhere(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a store's runs say that they were made on another machine, and be so: a little off."""
    from stores.reader import Run

    made, latent = Run.__init__, Run._latent

    def opened(run: Any, path: Path) -> None:
        made(run, path)
        run.attrs["device"] = "cpu (elsewhere)"

    monkeypatch.setattr(Run, "__init__", opened)
    monkeypatch.setattr(Run, "_latent", lambda *args: latent(*args) * np.float32(1 + 1e-6))


def test_a_store_whose_numbers_are_not_made_again_is_played_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with another number of threads, which no attribute tells."""
    from stores.reader import Run

    own = bench_of(WAN, tmp_path / "store", layers="1-2", save_steps="all")
    latent, read = Run._latent, Run.read
    monkeypatch.setattr(Run, "_latent", lambda *args: latent(*args) * np.float32(1 + 1e-6))
    monkeypatch.setattr(Run, "read", lambda *args, **kwargs: read(*args, **kwargs) * np.float32(1 + 1e-6))
    trials = cells(own, steps="0-1", layers="1-2", window=2) + cells(own, steps="1", layers="1", sites="mlp")
    found = swept(own, trials)
    check_nothing_happened(found.rows, None)


# --- What it costs ------------------------------------------------------------------------------------------


@contextmanager
def counted(bench: Bench) -> Iterator[list[int]]:
    """Rows that a module inside each block is called with."""
    rows: list[int] = []
    hook = bench.row.hooks["self_attn.raw"]
    handles = [
        block.get_submodule(hook.module).register_forward_hook(
            lambda _, __, output: rows.append(hook.take(output).shape[0])
        )
        for expert in bench.row.experts
        for path in hook.blocks
        for block in getattr(bench.model.pipeline, expert).get_submodule(path)
    ]
    try:
        yield rows
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("horizon", [None, 0, 1])
@pytest.mark.parametrize("name", [WAN, DOUBLED, JOINED])
def test_block_evaluations_are_those_that_are_made(
    name: str, horizon: int | None, rows: int, bench: Callable[[str], Bench]
) -> None:
    own = bench(name)
    grid = Grid(steps="1-2", branches=("all", "cond")).cells(own.model.anatomy, own.settings("blue"))
    trials = [own.trial(cell.intervention(Replace(donor=own.ref("red")))) for cell in grid]
    with counted(own) as made:
        found = swept(own, trials, rows=rows, horizon=horizon)
    assert found.blocks == sum(made)


@pytest.mark.parametrize("horizon", [None, 0])
def test_a_grid_of_steps_and_layers_costs_what_arithmetic_says(
    horizon: int | None, bench: Callable[[str], Bench]
) -> None:
    """A patch after layer k runs the other blocks of its step, then all of each later one."""
    own = bench(WAN)
    layers, branches = own.num_layers, len(own.branches)
    grid = Grid().cells(own.model.anatomy, own.settings("blue"))
    trials = [own.trial(cell.intervention(Replace(donor=own.ref("red"))), **cell.labels) for cell in grid]
    # What a player has not seen yet of a denoiser's output is computed once.
    swept(own, trials[:1], horizon=horizon)
    found = swept(own, trials, horizon=horizon)
    first_answers = {}
    for row in found.rows:
        later = NUM_STEPS - 1 - int(row["steps"]) if horizon is None else 0
        first_answers[row["steps"], row["layer"]] = row["blocks"] - branches * (
            layers - row["layer"] + later * layers
        )
    assert set(first_answers.values()) == {0}
    # The unchanged run and the donor, a step at a time; one more call tells the form of what is answered.
    steps = 2 * NUM_STEPS * layers * branches
    assert steps <= found.blocks_of_anchors <= steps + 2 * layers


def test_shared_passes_give_what_patches_give_by_themselves(
    bench: Callable[[str], Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of different steps, windows, sites and branches, whatever is made beside them."""
    own = bench(WAN)
    trials = [
        own.trial(own.replacing("red", site=site, layers=(2,), steps=steps, branches=branches))
        for site, steps, branches in itertools.product(("resid", "mlp"), ((1,), (1, 2)), (None, ("uncond",)))
    ]
    together = swept(own, trials, monkeypatch).outcomes
    for trial, one in zip(trials, together, strict=True):
        (alone,) = swept(own, [trial], monkeypatch).outcomes
        assert np.array_equal(alone.clean, one.clean)
        assert np.array_equal(alone.final, one.final)  # type: ignore[arg-type]


def test_seeds_are_what_a_move_is_measured_by(bench: Callable[[str], Bench]) -> None:
    own = bench(WAN)
    (row,) = swept(own, [own.trial(own.replacing("red", layers=(2,), steps=(1,)))]).rows
    store = open_store(own.store.path)
    run, donor, other = (store.run(*who) for who in (("blue", 3), ("red", 3), ("blue", 4)))

    def apart(first: np.ndarray, second: np.ndarray) -> float:
        return float(np.linalg.norm((first.astype(np.float64) - second).ravel()))

    way = apart(run.clean_estimate(1), donor.clean_estimate(1))
    spread = apart(run.clean_estimate(1), other.clean_estimate(1))
    assert row["x0_moved_seeds"] * spread == pytest.approx(row["x0_moved"] * way)


def test_a_patch_with_videos_measures_pixels(bench: Callable[[str], Bench]) -> None:
    own = bench(WAN)
    last = own.replacing("red", layers=(own.num_layers,), steps=tuple(range(NUM_STEPS)))
    same = replace(own.trial(last), interventions=(own.replacing("blue", layers=(1,), steps=(2,)),))
    whole, nothing = swept(own, [own.trial(last), same], videos=True).rows
    assert (nothing["pixels_moved"], nothing["pixels_recovered"]) == (0, 0)
    assert whole["pixels_moved"] > 0
    assert whole["pixels_recovered"] == 1
