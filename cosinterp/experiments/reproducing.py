"""All experiments one after another on the bundled models, and a page of what came of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cosinterp.errors import ModelError, SelectionError, StoreError, UserError
from cosinterp.experiments import NAMES, experiment_of
from cosinterp.experiments.bench import Work
from cosinterp.experiments.costs import Rates, measure_rates
from cosinterp.experiments.experiment import Data, Experiment
from cosinterp.experiments.models import Load, bundled, once
from cosinterp.experiments.running import experiment, is_done, settings_of
from cosinterp.experiments.settings import Settings
from probes.claims import Findings, Measured
from probes.report.claims_page import ClaimsReport, write_claims_report
from probes.report.claims_page import Experiment as OnPage
from probes.results.result import Result
from stores.files import replacing

if TYPE_CHECKING:
    from cosinterp.samples import Sample

MODELS: dict[Data, str] = {"mazes": "maze-wan", "goals": "maze-wan", "scenes": "scene-wan"}
REPORT = "report.html"
_PLAN, _DATASETS, _STORES = "reproduction.json", "datasets", "stores"


class Progress(Work, Protocol):
    """Told how a reproduction goes."""

    def planned(self, total: float) -> None:
        """It takes so many seconds by the estimate."""

    def began(self, name: str, seconds: float) -> None:
        """An experiment begins, which by the estimate takes so long."""

    def finished(self, name: str) -> None:
        """It is done, or cannot be."""


@dataclass
class Part:
    """One experiment of a reproduction.

    Attributes:
        experiment: which.
        settings: of its preset.
        dataset, store: where its samples and runs are.
        model: of `MODELS`.
        seconds: that it takes here, by the estimate; 0 if it is done.
        result: if it is done.
        lacking: why it cannot be run at all.
    """

    experiment: Experiment
    settings: Settings
    dataset: Path
    store: Path
    model: str
    seconds: float = 0.0
    result: Result | None = None
    lacking: str | None = None

    @property
    def command(self) -> str:
        """What repeats this part alone."""
        words = ["cosinterp", "experiment", self.experiment.name, "--model", self.model]
        words += ["--dataset", str(self.dataset), "--store", str(self.store)]
        preset = next(name for name, settings in self.experiment.presets.items() if settings == self.settings)
        return shlex.join([*words, "--preset", preset, "--force"])


@dataclass
class Plan:
    """What a reproduction is going to do.

    Attributes:
        out: its folder.
        preset: of all parts.
        parts: in order.
        rates: how fast this machine is; None if nothing is left to do.
    """

    out: Path
    preset: str
    parts: list[Part]
    rates: Rates | None = None

    @property
    def seconds(self) -> float:
        """What is left, by the estimate."""
        return sum(part.seconds for part in self.parts)


@dataclass(frozen=True)
class Reproduced:
    """A reproduction that is over: its page, and what went wrong, a line each."""

    report: ClaimsReport
    failures: list[str] = field(default_factory=list)


def plan(
    out: str | Path,
    *,
    preset: str = "small",
    only: Sequence[str] | None = None,
    resume: bool = False,
    load: Load | None = None,
) -> Plan:
    """What `reproduce` would do, and how long it would take here.

    Datasets are written, since they are needed to time a run; a few seconds of runs are made elsewhere and
    thrown away.

    Raises:
        SelectionError: there is no such experiment or preset.
        StoreError: the folder holds another reproduction, or something else, or one that is to be resumed.
    """
    out = Path(out)
    names = NAMES if only is None else tuple(dict.fromkeys(only))
    asked = [(experiment_of(name), settings_of(name, preset)) for name in names]
    if not asked:
        raise SelectionError("--only: no experiment is named")
    _claim_folder(out, preset, resume)
    give = once(load or bundled)
    parts = [_part(out, one, settings, asked) for one, settings in asked]
    for part in parts:
        part.result = is_done(part.store, part.experiment.name, part.settings)
        if part.result is None:
            part.lacking = _lacking(part.model)
    rates = _estimate(parts, give)
    return Plan(out, preset, parts, rates)


def reproduce(
    out: str | Path,
    *,
    preset: str = "small",
    only: Sequence[str] | None = None,
    resume: bool = False,
    load: Load | None = None,
    progress: Progress | None = None,
    command: str | None = None,
) -> Reproduced:
    """Run the paper's experiments on the bundled models, and write ``out/report.html``.

    Base runs are made once and shared. An experiment that is done is kept; broken off, the same call with
    ``resume`` goes on where it stopped. An experiment that fails for a reason that the user can mend is
    reported as not testable, with the reason, and tried again the next time.

    Args:
        out: a folder; datasets and stores are kept there.
        preset: "smoke" shows that everything runs, and judges nothing; "small" is for two CPU cores,
            "full" for a GPU.
        only: experiments by name; None: all.
        resume: go on in a folder that holds a reproduction.
        load: gives a model by its name; default `cosinterp.load`.
        progress: told how it goes.
        command: the command line that does the same.

    Raises:
        SelectionError, StoreError: as `plan`.
    """
    give = once(load or bundled)
    made = plan(out, preset=preset, only=only, resume=resume, load=give)
    return run_plan(made, load=give, progress=progress, command=command)


def run_plan(
    plan: Plan, *, load: Load | None = None, progress: Progress | None = None, command: str | None = None
) -> Reproduced:
    """Carry out a plan; see `reproduce`."""
    give = once(load or bundled)
    if progress is not None:
        progress.planned(plan.seconds)
    failures: list[str] = []
    pages: list[OnPage] = []
    for part in plan.parts:
        name = part.experiment.name
        if progress is not None:
            progress.began(name, part.seconds)
        if part.result is None and part.lacking is None:
            try:
                part.result = experiment(
                    name,
                    model=lambda part=part: give(part.model),
                    samples=_samples(part.dataset),
                    store=part.store,
                    settings=part.settings,
                    force=True,
                    command=part.command,
                    work=progress,
                )
            except UserError as error:
                part.lacking = str(error)
                failures.append(f"{name}: {error}")
        pages.append(_on_page(part))
        if progress is not None:
            progress.finished(name)
    report = write_claims_report(
        plan.out / REPORT,
        pages,
        heading="Demystifing Video Reasoning, on small models",
        lead=_lead(plan),
        command=command or f"cosinterp reproduce --out {plan.out} --preset {plan.preset}",
    )
    return Reproduced(report, [*failures, *report.failures])


def _lead(plan: Plan) -> str:
    used = [part.model for part in plan.parts if part.lacking is None]
    models = " and ".join(dict.fromkeys(used)) or "no model"
    return (
        f"The experiments of Wang et al. 2026 (arXiv 2603.16870), repeated on {models} with the preset "
        f'"{plan.preset}". What is true of a small model need not be true of a large one, nor the reverse.'
    )


def _on_page(part: Part) -> OnPage:
    if part.result is not None:
        return OnPage(Findings.from_dataset(part.result.dataset), part.result.provenance, part.store)
    claims = tuple(Measured(claim, None, part.lacking) for claim in part.experiment.claims(part.settings))
    findings = Findings(part.experiment.name, part.experiment.title, "", (), claims)
    return OnPage(findings, {"command": part.command}, part.store)


def _claim_folder(out: Path, preset: str, resume: bool) -> None:
    """Refuse a folder that holds something else; mark it as ours."""
    path = out / _PLAN
    told: dict[str, Any] = {"preset": preset}
    if out.exists() and not out.is_dir():
        raise StoreError(f"--out {out}: this is a file; name a folder")
    if path.exists():
        held = json.loads(path.read_text(encoding="utf-8"))
        if held != told:
            raise StoreError(
                f'{out} holds a reproduction of the preset "{held.get("preset")}"; give another --out'
            )
        # A plan alone makes no stores.
        if not resume and (out / _STORES).exists():
            raise StoreError(f"{out} holds a reproduction already; --resume goes on with it, or name another")
        return
    if out.exists() and any(out.iterdir()):
        raise StoreError(f"{out} is not empty; name another folder")
    out.mkdir(parents=True, exist_ok=True)
    with replacing(path, False, replaceable=Path.is_file) as draft:
        draft.write_text(json.dumps(told) + "\n", encoding="utf-8")


def _part(
    out: Path, one: Experiment, settings: Settings, asked: Sequence[tuple[Experiment, Settings]]
) -> Part:
    """An experiment with its dataset, which holds as many samples as any that shares it needs."""
    dataset = out / _DATASETS / one.data
    most = max(other.count for experiment, other in asked if experiment.data == one.data)
    _write(dataset, one.data, most)
    return Part(one, settings, dataset, out / _STORES / one.data, MODELS[one.data])


def _write(folder: Path, data: Data, count: int) -> None:
    if data == "scenes":
        from cosinterp.organism.scenes.dataset import write_scenes

        write_scenes(folder, task="permanence", count=count)
        return
    from cosinterp.organism.dataset import write_mazes

    if data == "goals":
        write_mazes(folder, count=-(-count // 2), goals="both")
    else:
        write_mazes(folder, count=count)


def _samples(dataset: Path) -> list[Sample]:
    from cosinterp.samples import load_dataset

    return load_dataset(dataset)


def _lacking(model: str) -> str | None:
    """Why a model cannot be had, if it cannot."""
    from cosinterp.models.loading.sources import find

    try:
        find(model)
    except ModelError as error:
        return str(error)
    return None


def _estimate(parts: Sequence[Part], load: Load) -> Rates | None:
    """Fill in how long each part takes; runs that several parts share count once."""
    todo = [part for part in parts if part.result is None and part.lacking is None]
    if not todo:
        return None
    rates: dict[str, Rates] = {}
    shared: dict[Path, int] = {}
    for part in todo:
        if part.model not in rates:
            rates[part.model] = measure_rates(load(part.model), _samples(part.dataset)[0])
        cost = part.experiment.cost(part.settings, load(part.model).num_layers)
        own = part.settings.base_runs * part.settings.num_steps if part.experiment.shares_base else 0
        again = min(own, shared.get(part.store, 0))
        shared[part.store] = max(own, shared.get(part.store, 0))
        saved = replace(cost, steps=cost.steps - again, decodes=max(0.0, cost.decodes - again))
        part.seconds = rates[part.model].seconds(saved)
    return next(iter(rates.values()))
