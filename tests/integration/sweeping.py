"""Patches of tiny runs, and the same made in the plain pipeline by PyTorch hooks alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import cosinterp as ci
from cosinterp.denoising import Clock
from cosinterp.interventions.intervention import Intervention, Replace, RunRef
from cosinterp.models.model import Model
from cosinterp.patching.grid import Grid
from cosinterp.patching.measures import Outcome
from cosinterp.patching.sweep import Row, Sweep, SweepOptions
from cosinterp.patching.trial import Trial
from cosinterp.samples import Sample
from cosinterp.steps import Step
from stores import Store
from tests.families.row import FamilyRow
from tests.families.rows import ROWS

PROMPTS = {"red": "go to the red goal", "blue": "go to the blue goal"}
SEEDS = (3, 4)
NUM_STEPS = 3
WAN, DOUBLED, JOINED = "Wan2.1 T2V", "LTX-Video from 0.9.5 on", "CogVideoX: DDIM, epsilon"
SD3, TWO_EXPERTS = "Stable Diffusion 3", "Wan2.2 I2V A14B"
EFFECTS = [f"{what}_{kind}" for what in ("x0", "final") for kind in ("moved", "along", "moved_seeds")]

Change = Callable[[torch.Tensor], torch.Tensor]
Where = tuple[str, int, int, str]
"""(site, step, layer, branch)."""


@dataclass(frozen=True)
class Bench:
    """A tiny model of a family and a store of its runs: samples "red" and "blue", two seeds each."""

    row: FamilyRow
    model: Model
    store: Store
    asked: Mapping[str, Any]

    @property
    def num_layers(self) -> int:
        return self.model.num_layers

    @property
    def branches(self) -> tuple[str, ...]:
        return tuple(branch for call in self.row.calls for branch in call)

    def settings(self, sample: str) -> dict[str, Any]:
        return self.model.sampling(sample_of(self.row, sample), dict(self.asked))

    def ref(self, sample: str, seed: int = SEEDS[0]) -> RunRef:
        return RunRef(store=str(self.store.path), sample=sample, seed=seed)

    def trial(
        self, *interventions: Intervention, run: str = "blue", toward: str = "red", **labels: Any
    ) -> Trial:
        return Trial(self.ref(run), self.ref(toward), interventions, labels)

    def replacing(self, donor: str, seed: int = SEEDS[0], **where: Any) -> Intervention:
        return Intervention(
            **{"layers": (1,), "steps": (0,), **where}, what=Replace(donor=self.ref(donor, seed))
        )

    def plain(self, sample: str = "blue", seed: int = SEEDS[0], **changes: Any) -> PlainRun:
        return PlainRun(self, sample, seed, **changes)


def sample_of(row: FamilyRow, name: str) -> Sample:
    return replace(row.sample(), name=name, prompt=PROMPTS[name])


def bench_of(
    name: str, path: Path, *, num_steps: int = NUM_STEPS, guided: bool = True, **asked: Any
) -> Bench:
    """A store of the runs of a row of the families, with nothing of their activations unless asked for."""
    row = next(row for row in ROWS if row.name == name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = ci.load(row.build())
    return Bench(row, model, *traced(row, model, path, num_steps=num_steps, guided=guided, **asked))


def traced(
    row: FamilyRow, model: Model, path: Path, *, num_steps: int = NUM_STEPS, guided: bool = True, **asked: Any
) -> tuple[Store, dict[str, Any]]:
    settings = {**row.settings, **(row.guided if guided else row.unguided or {}), "num_steps": num_steps}
    how: dict[str, Any] = {"seeds": list(SEEDS), "sites": "resid", "layers": "1", "save_steps": "0", **asked}
    samples = [sample_of(row, sample) for sample in PROMPTS]
    return ci.trace(model, samples, store=path, save_video=False, **how, **settings), settings


@dataclass
class Swept:
    """Rows of a sweep, in the order of its trials, and what each patched run came to."""

    rows: list[Row]
    outcomes: list[Outcome]
    blocks_of_anchors: int

    @property
    def blocks(self) -> int:
        return sum(row["blocks"] for row in self.rows) + self.blocks_of_anchors


def swept(bench: Bench, trials: Sequence[Trial], monkeypatch: Any = None, **options: Any) -> Swept:
    """Make patches; what they came to is kept where there is a ``monkeypatch``."""
    sweep = Sweep(bench.model, trials, SweepOptions(**{"videos": False, **options}))
    kept: list[tuple[Trial, Outcome]] = []
    if monkeypatch is not None:
        comparing = sweep._comparing
        measured = comparing.effects

        def effects(trial: Trial, outcome: Outcome, *told: Any) -> Any:
            kept.append((trial, outcome))
            return measured(trial, outcome, *told)

        monkeypatch.setattr(comparing, "effects", effects)
    rows = list(sweep.rows())
    assert sorted(map(id, trials)) == sorted(id(trial) for trial, _ in rows)
    by_trial = {id(trial): row for trial, row in rows}
    outcomes = {id(trial): outcome for trial, outcome in kept}
    return Swept(
        [by_trial[id(trial)] for trial in trials],
        [outcomes[id(trial)] for trial in trials] if kept else [],
        sweep.blocks_of_anchors,
    )


def cells(bench: Bench, **grid: Any) -> list[Trial]:
    """A grid of patches of the run's own activations."""
    found = Grid(**grid).cells(bench.model.anatomy, bench.settings("blue"))
    own = Replace(donor=bench.ref("blue"))
    return [bench.trial(cell.intervention(own), **cell.labels) for cell in found]


def check_nothing_happened(rows: list[dict[str, Any]], horizon: int | None) -> None:
    assert rows
    for row in rows:
        assert row["error"] == ""
        for effect in EFFECTS if horizon is None else EFFECTS[:3]:
            assert row[effect] == 0, (row["site"], row["layer"], row["steps"], row["branch"], effect)
        assert row["x0_recovered"] == 0


@dataclass
class PlainRun:
    """One run of the plain pipeline, from noise to its end.

    ``change(where, tokens)`` gives what is written in place of tokens (token, channel), None to leave them;
    ``bypass(step, layer, branch)`` says of which blocks what entered is put in place of what they return.
    """

    bench: Bench
    sample: str
    seed: int
    change: Callable[[Where, torch.Tensor], torch.Tensor | None] = lambda where, tokens: None
    bypass: Callable[[int, int, str], bool] = lambda step, layer, branch: False
    sites: Sequence[str] | None = None
    clean: list[np.ndarray] = field(default_factory=list)
    predictions: list[np.ndarray] = field(default_factory=list)
    final: np.ndarray = field(default_factory=lambda: np.empty(0))
    seen: dict[Where, torch.Tensor] = field(default_factory=dict)
    _count: int = -1

    def __post_init__(self) -> None:
        bench, settings = self.bench, self.bench.settings(self.sample)
        pipeline, model = bench.model.pipeline, bench.model
        clock = Clock(pipeline, model.anatomy, model.size(settings), 1, self._stepped)
        arguments = model.arguments(
            sample_of(bench.row, self.sample), (self.seed,), settings, output_type="latent"
        )
        with ExitStack() as stack:
            stack.enter_context(clock.watching())
            for expert in bench.row.experts:
                for handle in self._hooks(getattr(pipeline, expert)):
                    stack.callback(handle.remove)
            pipeline(**arguments)
        assert self._count + 1 == settings["num_steps"] * len(bench.row.calls)

    def _stepped(self, step: Step) -> None:
        self.clean.append(step.clean_estimate()[0].numpy().copy())
        self.predictions.append(step.prediction[0].float().numpy().copy())
        self.final = step.final()[0].float().numpy().copy()

    def _hooks(self, denoiser: torch.nn.Module) -> Iterator[Any]:
        row = self.bench.row
        yield denoiser.register_forward_pre_hook(self._called)
        layer = 0
        for path in row.all_blocks:
            for place, block in enumerate(denoiser.get_submodule(path)):  # type: ignore[arg-type]
                layer += 1
                entered: dict[str, torch.Tensor] = {}
                yield block.register_forward_pre_hook(self._entering(layer, entered), with_kwargs=True)
                for site, hook in row.hooks.items():
                    if path in hook.blocks and (hook.places is None or place in hook.places):
                        module = block.get_submodule(hook.module) if hook.module else block
                        yield module.register_forward_hook(self._leaving(site, layer, hook.take, entered))

    def _called(self, *_: Any) -> None:
        self._count += 1

    def _entering(self, layer: int, entered: dict[str, torch.Tensor]) -> Any:
        row = self.bench.row

        def hook(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            for site, name in row.entering.items():
                tokens = kwargs[name] if name in kwargs else args[row.positions.get(site, 0)]
                if layer == 1:
                    self._write(site, 0, tokens)
                entered[site] = tokens.clone()

        return hook

    def _leaving(self, site: str, layer: int, take: Any, entered: dict[str, torch.Tensor]) -> Any:
        def hook(_: Any, __: Any, output: Any) -> None:
            tokens = take(output)
            if site in entered:
                for branch, rows in self._parts(tokens):
                    if self.bypass(self._step, layer, branch):
                        rows.copy_(dict(self._parts(entered[site]))[branch])
            self._write(site, layer, tokens)

        return hook

    @property
    def _step(self) -> int:
        return self._count // len(self.bench.row.calls)

    def _parts(self, tokens: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
        """The tokens of each branch of the call, (token, channel): views."""
        branches = self.bench.row.calls[self._count % len(self.bench.row.calls)]
        assert tokens.shape[0] == len(branches)
        return list(zip(branches, tokens, strict=True))

    def _write(self, site: str, layer: int, tokens: torch.Tensor) -> None:
        for branch, rows in self._parts(tokens):
            where = (site, self._step, layer, branch)
            new = self.change(where, rows)
            if new is not None:
                rows.copy_(new)
            self.seen[where] = rows.clone()
