"""Every family: a run played again from any step, and from within a step, is the very run, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_leaves

from cosinterp.denoising import Clock
from cosinterp.interventions.edits import Edit, Edits, resumes_at
from cosinterp.interventions.intervention import Intervention, Scale
from cosinterp.models.model import Model
from cosinterp.replaying.player import Played, Player
from cosinterp.replaying.skips import needed_blocks
from cosinterp.steps import Step
from cosinterp.verification import verify
from tests.families.row import FamilyRow
from tests.families.rows import ROWS

SEED = 3

# All tests of a row follow each other, so that each pipeline is built once.
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name, scope="module")

FIRST_OF_FAMILIES = {row.build.__module__: row.name for row in reversed(ROWS)}.values()


@dataclass
class PlainRun:
    """What the plain pipeline does, as a store would keep it."""

    model: Model
    row: FamilyRow
    settings: dict[str, Any]
    seeds: tuple[int, ...]
    calls: tuple[tuple[str, ...], ...]
    blocks: BlockEvaluations
    predictions: dict[int, torch.Tensor] = field(default_factory=dict)
    clean: dict[int, torch.Tensor] = field(default_factory=dict)
    latents: torch.Tensor = field(default_factory=lambda: torch.empty(0))

    @property
    def num_steps(self) -> int:
        return self.row.num_steps

    @property
    def evaluations_a_step(self) -> int:
        """Block evaluations of a whole step."""
        return self.model.num_layers * self.evaluations_a_layer

    @property
    def evaluations_a_layer(self) -> int:
        """Of one block in one step."""
        return len(self.seeds) * sum(map(len, self.calls))

    @cached_property
    def player(self) -> Player:
        """Plays it; texts are encoded once for all tests that ask."""
        return Player(self.model, self.row.sample(), self.seeds, self.settings)

    def prediction(self, step: int) -> torch.Tensor:
        return self.predictions[step]

    def check(self, played: Played, start: int, stop: int | None = None) -> None:
        """Played from a step to another or to the end, it is this run."""
        steps = range(start, self.num_steps if stop is None else stop + 1)
        assert list(played.predictions) == list(played.clean) == list(steps)
        for step in steps:
            assert torch.equal(played.predictions[step], self.predictions[step]), step
            assert torch.equal(played.clean[step], self.clean[step]), step
        if stop is None:
            assert played.final is not None
            assert torch.equal(played.final, self.latents)


class BlockEvaluations:
    """Counts evaluations of blocks, a row and a branch at a time, by hooks on a module inside each.

    Which modules run once in each call, with as many rows as the call has, is seen in a run of which the
    number of evaluations is known.
    """

    def __init__(self, model: Model, row: FamilyRow) -> None:
        self._experts = [getattr(model.pipeline, name) for name in row.experts]
        self._paths = row.all_blocks
        self._chosen: dict[int, str] = {}

    def _modules(self, expert: torch.nn.Module) -> Iterator[tuple[int, str, torch.nn.Module]]:
        blocks = [block for path in self._paths for block in expert.get_submodule(path)]  # type: ignore[attr-defined]
        for layer, block in enumerate(blocks, start=1):
            for name, module in block.named_modules():
                if name and self._chosen.get(layer, name) == name:
                    yield layer, name, module

    @contextmanager
    def counted(self) -> Iterator[dict[tuple[int, str], int]]:
        """Rows by layer and module, filled within the block."""
        rows: dict[tuple[int, str], int] = {}
        handles = []

        def hook(place: tuple[int, str]) -> Callable[..., None]:
            def ran(_: Any, __: Any, output: Any) -> None:
                first = next(leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor))
                rows[place] = rows.get(place, 0) + first.shape[0]

            return ran

        for expert in self._experts:
            for layer, name, module in self._modules(expert):
                handles.append(module.register_forward_hook(hook((layer, name))))
        try:
            yield rows
        finally:
            for handle in handles:
                handle.remove()

    def choose(self, rows: dict[tuple[int, str], int], known: int, num_layers: int) -> None:
        """Choose one module of each block, of those that were seen ``known`` times."""
        for (layer, name), count in rows.items():
            if count == known:
                self._chosen.setdefault(layer, name)
        assert sorted(self._chosen) == list(range(1, num_layers + 1))


def plain_run(model: Model, row: FamilyRow, guided: bool, seeds: tuple[int, ...]) -> PlainRun:
    asked = {**row.settings, **(row.guided if guided else row.unguided or {}), "num_steps": row.num_steps}
    settings = model.sampling(row.sample(), asked)
    calls = row.calls if guided else row.unguided_calls
    run = PlainRun(model, row, settings, seeds, calls, BlockEvaluations(model, row))

    def keep(step: Step) -> None:
        run.predictions[step.index] = step.prediction.float().clone()
        run.clean[step.index] = step.clean_estimate().clone()
        run.latents = step.final().float().clone()

    clock = Clock(model.pipeline, model.anatomy, model.size(settings), len(seeds), keep)
    with clock.watching(), run.blocks.counted() as rows:
        model.pipeline(**model.arguments(row.sample(), seeds, settings, output_type="latent"))
    run.blocks.choose(rows, row.num_steps * run.evaluations_a_layer, model.num_layers)
    return run


@pytest.fixture(scope="module")
def guided_run(row: FamilyRow, family_model: Callable[[FamilyRow], Model]) -> PlainRun:
    with row.installed():
        return plain_run(family_model(row), row, True, (SEED,))


@each_row
def test_a_replay_from_any_step_is_the_run(guided_run: PlainRun) -> None:
    """Its first play has to ask the encoders, and the denoiser what it returns; later ones ask neither."""
    # A player of its own, that has not played yet.
    run, player = guided_run, replace(guided_run).player
    passes_latents = run.model.anatomy.steps_pass_latents_only
    # The last step first: what is not known yet has to be computed for it.
    for start, is_first in ((run.num_steps - 1, True), *((step, False) for step in range(run.num_steps))):
        with run.blocks.counted() as rows, _calls_of_encoders(run) as calls:
            played = player.play(start=start, known=run)
        run.check(played, start)
        # A class has no text to encode.
        assert bool(calls) == (is_first and run.model.anatomy.classes is None)
        assert played.blocks == sum(rows.values())
        computed = run.num_steps - start if passes_latents else run.num_steps
        # Once for calls of one branch, once for those of two.
        asked = run.model.num_layers * sum({len(call) for call in run.calls})
        assert played.blocks == computed * run.evaluations_a_step + is_first * passes_latents * asked


@each_row
def test_a_replay_without_guidance_is_the_run(
    row: FamilyRow, family_model: Callable[[FamilyRow], Model]
) -> None:
    if row.unguided is None:
        pytest.skip("it is always guided")
    run = plain_run(family_model(row), row, False, (SEED,))
    # The first play computes all, and finds out what the denoiser returns; the second needs that alone.
    for start in (0, run.num_steps - 1):
        with run.blocks.counted() as rows:
            played = run.player.play(start=start, known=run)
        run.check(played, start)
        computed = run.num_steps - start if run.model.anatomy.steps_pass_latents_only else run.num_steps
        assert played.blocks == sum(rows.values()) == computed * run.evaluations_a_step


@each_row
def test_a_batch_is_played_again(row: FamilyRow, family_model: Callable[[FamilyRow], Model]) -> None:
    if row.batches == (1,):
        pytest.skip("it makes one at a time")
    run = plain_run(family_model(row), row, True, (SEED, SEED + 1))
    start = run.num_steps - 1
    with run.blocks.counted() as rows:
        played = run.player.play(start=start, known=run)
    run.check(played, start)
    assert played.blocks == sum(rows.values())


@each_row
def test_a_run_goes_on_from_within_a_step(guided_run: PlainRun) -> None:
    """From no layer, the first, the last, and those on both sides of where one stack follows another; to the
    end of that step, and from one of them to the end of the run."""
    run, player, anatomy = guided_run, guided_run.player, guided_run.model.anatomy
    step, last = run.num_steps // 2, run.model.num_layers
    ends = needed_blocks(last, anatomy)
    layers = sorted({0, 1, *ends, *(end + 1 for end in ends if end < last)})
    anchor, _ = player.anchor(step, known=run, resume=layers)
    assert anchor.prediction is not None
    assert torch.equal(anchor.prediction, run.predictions[step])
    earlier = 0 if anatomy.steps_pass_latents_only else step
    for layer in layers:
        stop = None if layer == last else step
        with run.blocks.counted() as rows:
            played = player.play(start=step, stop=stop, known=run, anchor=anchor, resume=layer)
        run.check(played, step, stop)
        computed = earlier + (run.num_steps - step if stop is None else 1)
        expected = computed * run.evaluations_a_step - layer * run.evaluations_a_layer
        assert played.blocks == sum(rows.values()) == expected


@each_row
def test_a_change_comes_out_the_same_from_within_a_step(guided_run: PlainRun) -> None:
    """Of each site, in one branch: where all blocks run, and where those before it and the other branches'
    calls are taken from what was kept."""
    if guided_run.row.name not in FIRST_OF_FAMILIES:
        pytest.skip("another row of its family shows it")
    run, player, anatomy = guided_run, guided_run.player, guided_run.model.anatomy
    step, middle, last = run.num_steps // 2, (run.model.num_layers + 1) // 2, run.model.num_layers
    places = [(site, middle) for site in anatomy.sites if anatomy.layers_of(site, (middle,))]
    anchor, _ = player.anchor(step, known=run, resume=range(last + 1))
    for site, layer in [*places, ("resid", 0), ("resid", last)]:
        change = Intervention(
            site=site, layers=(layer,), steps=(step,), branches=("cond",), what=Scale(factor=1.5)
        )
        edit = Edit(None, change)
        plainly = player.play(start=step, stop=step, known=run, edits=Edits([edit], anatomy))
        played = player.play(
            start=step,
            stop=step,
            known=run,
            edits=Edits([edit], anatomy),
            anchor=anchor,
            resume=resumes_at(change, anatomy),
        )
        assert torch.equal(played.predictions[step], plainly.predictions[step]), site
        assert not torch.equal(plainly.predictions[step], run.predictions[step]), site


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.name in ("LTX-2", "LTX-2.5")], ids=lambda row: row.name
)
def test_verify_finds_steps_that_pass_on_more_than_latents(
    row: FamilyRow, family_model: Callable[[FamilyRow], Model]
) -> None:
    """The audio is no part of what a store has."""
    model = family_model(row)
    assert not model.anatomy.steps_pass_latents_only
    wrong = replace(model, anatomy=replace(model.anatomy, steps_pass_latents_only=True))
    found = verify(wrong, row.sample(), **row.settings, num_steps=row.num_steps)
    assert {check.name for check in found if not check.passed} == {"replay"}


@contextmanager
def _calls_of_encoders(run: PlainRun) -> Iterator[list[str]]:
    """The components that run within the block and do not denoise, by their innermost modules."""
    calls: list[str] = []
    handles = [
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
        for name, component in run.model.pipeline.components.items()
        if isinstance(component, torch.nn.Module) and name not in run.row.experts
        for module in component.modules()
        if module is not component and not list(module.children())
    ]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
