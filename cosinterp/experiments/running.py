"""One experiment from beginning to end: its settings, its findings, its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cosinterp.errors import SelectionError, StoreError
from cosinterp.experiments import experiment_of
from cosinterp.experiments.bench import Bench, Unseen, Work
from cosinterp.experiments.models import bundled, once
from cosinterp.experiments.settings import Preset, Settings, changed
from probes.claims.findings import KIND
from probes.results.files import result_path
from probes.results.provenance import provenance
from probes.results.result import Result

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from cosinterp.samples import Sample


def settings_of(name: str, preset: str = "small", given: Mapping[str, Any] | None = None) -> Settings:
    """The settings of an experiment: those of a preset, some of them changed.

    Raises:
        SelectionError: there is no such experiment, preset or setting.
    """
    presets = experiment_of(name).presets
    if preset not in presets:
        raise SelectionError(f'preset "{preset}": there is {", ".join(presets)}')
    return changed(presets[cast("Preset", preset)], given or {})


def default_name(name: str) -> str:
    """What the result of an experiment is called if nobody says."""
    return f"{KIND}-{name}"


def experiment(
    name: str,
    *,
    model: Model | str | Callable[[], Model],
    samples: Sequence[Sample],
    store: str | Path,
    preset: str = "small",
    settings: Mapping[str, Any] | Settings | None = None,
    result_name: str | None = None,
    force: bool = False,
    command: str | None = None,
    work: Work | None = None,
) -> Result:
    """Run one of the paper's experiments.

    >>> mazes = ci.load_dataset("mazes/")
    >>> ci.experiment("chain-of-steps", model="maze-wan", samples=mazes, store="runs/mazes")

    Runs, scores and other results that the store holds already are used; what is made is kept there, so a
    broken-off experiment goes on where it stopped. Other stores that it needs stand beside ``store``.

    Args:
        name: of `cosinterp.experiments.NAMES`.
        model: as `cosinterp.load` gives it, or its name, or what gives it; loaded only if it is needed.
        samples: of which the first ``settings.count`` are used.
        store: folder of the base runs; made if it is not there. The result is saved in it.
        preset: "smoke", "small" or "full".
        settings: those that differ from the preset, by name; or all of them.
        result_name: default "experiment-NAME".
        force: replace a result of that name.
        command: the command line that does the same.
        work: told how it goes.

    Returns:
        a result of the kind "experiment": `probes.claims.Findings.from_dataset` reads it.

    Raises:
        SelectionError: there is no such experiment, preset, setting or sample.
        StoreError: there is a result of that name, or the store holds other runs than are wanted.
        UserError: the model cannot do what the experiment needs.
    """
    chosen = settings if isinstance(settings, Settings) else settings_of(name, preset, settings)
    asked = experiment_of(name)
    place = Path(store)
    saved_as = result_name or default_name(name)
    path = result_path(place, saved_as)
    if path.exists() and not force:
        raise StoreError(f"{path} exists; give --force to replace it, or another --name")
    bench = Bench(_loading(model), samples, place, work or Unseen())
    findings = asked.run(bench, chosen)
    from stores import open_store

    told = provenance(
        KIND,
        open_store(place),
        {
            "experiment": name,
            "settings": chosen.model_dump(mode="json"),
            "samples": [sample.name for sample in bench.chosen(chosen)],
            "rests_on": list(dict.fromkeys(bench.rests)),
        },
        command=command,
    )
    return Result(findings.to_dataset(), told).save(place, saved_as, force=force)


def is_done(store: Path, name: str, settings: Settings, result_name: str | None = None) -> Result | None:
    """The result of an experiment with these very settings, if the store has it."""
    path = result_path(store, result_name or default_name(name))
    if not path.exists():
        return None
    found = Result.open(path)
    told = found.provenance.get("asked") or {}
    return found if told.get("settings") == settings.model_dump(mode="json") else None


def _loading(model: Model | str | Callable[[], Model]) -> Callable[[], Model]:
    """What gives the model, loaded when it is first asked for."""
    if isinstance(model, str):
        return partial(once(bundled), model)
    if callable(model):
        return partial(once(lambda name: model()), "")
    return lambda: model
