"""How seeds agree and when runs commit, as words, a table and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from probes.convergence.task_answers import CORRECTIONS
from probes.estimated import estimate_at, long_table, names
from probes.groups import ALL
from probes.kinds import Kind
from probes.statistics import Estimate

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure


def _summary(dataset: xarray.Dataset) -> list[str]:
    """What says most comes first: who has little room shows only that."""
    readings = dataset["reading"].values.tolist() if "reading" in dataset else []
    lines = []
    for reading in readings:
        lines += [_commitment(dataset, reading), _corrections(dataset, reading), *_right(dataset, reading)]
    lines += [_distances(dataset), _intervals(dataset)]
    for reading in readings:
        lines += [*_agreement(dataset, reading), *_ends(dataset, reading), *_votes(dataset, reading)]
    if readings:
        lines.append(_settling(dataset))
    lines += [_group(dataset, group) for group in dataset["group"].values.tolist()[1:]]
    return lines + [f"Note: {note}." for note in json.loads(dataset.attrs["notes"])]


def _distances(dataset: xarray.Dataset) -> str:
    first, last = _end_steps(dataset)
    ends = [estimate_at(dataset, "distance", group=ALL, step=step) for step in (first, last)]
    text = (
        f"Distance of seeds: {_told(ends[0])} at step {first}, {_told(ends[1])} at step {last} "
        f"(n = {ends[0].n} samples; {dataset['distance'].attrs['long_name']})"
    )
    for name, what in (("other_seed", "another seed"), ("same_seed", "the same seed")):
        reference = [estimate_at(dataset, f"distance_{name}", step=step) for step in (first, last)]
        if reference[0].n:
            text += (
                f"; to another sample, {what}: {_told(reference[0])}, {_told(reference[1])} "
                f"(n = {reference[0].n} couples)"
            )
    return f"{text}."


def _commitment(dataset: xarray.Dataset, reading: str) -> str:
    commit = estimate_at(dataset, "commit", group=ALL, reading=reading)
    label = _label(dataset, reading)
    if not commit.n:
        return f"{label}: no run ends with an answer."
    return (
        f"{label}: final answers are held from step {_told(commit, 1)} on (n = {commit.n} runs of "
        f"{commit.samples} samples that end with one)."
    )


def _corrections(dataset: xarray.Dataset, reading: str) -> str:
    place = {"group": ALL, "reading": reading}
    changed = estimate_at(dataset, "corrections", **place)
    text = (
        f"{_label(dataset, reading)}: {_told(estimate_at(dataset, 'changes', **place))} changes and "
        f"{_told(changed)} corrections a run (held for {dataset.attrs['hold']} steps or more, then "
        f"replaced); {_told(estimate_at(dataset, 'corrected', **place))} of runs have one"
    )
    kinds = {kind: estimate_at(dataset, kind, **place) for kind in CORRECTIONS}
    told = [f"{kind.replace('_', ' ')} {_told(one, 3)}" for kind, one in kinds.items() if one.n and one.value]
    if told:
        text += f"; a run: {', '.join(told)}"
    return f"{text} {_runs_text(changed)}."


def _right(dataset: xarray.Dataset, reading: str) -> list[str]:
    runs = estimate_at(dataset, "ends_right", group=ALL, reading=reading)
    if not runs.n:
        return []
    text = f"{_label(dataset, reading)}: right {_at_ends(dataset, 'right', reading)} {_runs_text(runs)}"
    if _has_pairs(dataset, reading):
        text += (
            f"; pairs of seeds that are both right {_at_ends(dataset, 'agreement_right', reading)}, were "
            f"seeds independent {_at_ends(dataset, 'agreement_chance', reading)}"
        )
    return [f"{text}."]


def _agreement(dataset: xarray.Dataset, reading: str) -> list[str]:
    if not _has_pairs(dataset, reading):
        return []
    pairs = estimate_at(dataset, "agreement", group=ALL, reading=reading, step=_end_steps(dataset)[0])
    text = (
        f"{_label(dataset, reading)}: distinct answers of a sample's seeds "
        f"{_at_ends(dataset, 'distinct', reading)}; same answer {_at_ends(dataset, 'agreement', reading)} "
        f"(n = {pairs.n} samples), of the pairs that both answer "
        f"{_at_ends(dataset, 'agreement_answered', reading)}."
    )
    return [text]


def _ends(dataset: xarray.Dataset, reading: str) -> list[str]:
    became, lost = (
        estimate_at(dataset, name, group=ALL, reading=reading) for name in ("becomes_right", "loses_right")
    )
    if not became.n:
        return []
    text = (
        f"{_label(dataset, reading)}: {_told(became)} of runs are not right at first and end right, "
        f"{_told(lost)} were right and do not end so {_runs_text(became)}."
    )
    return [text]


def _votes(dataset: xarray.Dataset, reading: str) -> list[str]:
    last = _end_steps(dataset)[1]
    votes = {
        count: estimate_at(dataset, "right_by_votes", reading=reading, votes=count, step=last)
        for count in dataset["votes"].values.tolist()
    }
    known = [f"{count}: {_told(one)} (n = {one.n})" for count, one in votes.items() if one.n]
    if not known or len(votes) < 2:
        return []
    what = "right at the end, by how many other seeds give the same answer there"
    return [f"{_label(dataset, reading)}: {what}: {', '.join(known)}."]


def _settling(dataset: xarray.Dataset) -> str:
    settled = {
        metric: estimate_at(dataset, "settle", group=ALL, metric=metric)
        for metric in dataset["metric"].values.tolist()
    }
    told = ", ".join(f"{metric} {_told(one, 1)}" for metric, one in settled.items() if one.n)
    one = next(iter(settled.values()))
    words = dataset["settle"].attrs["long_name"]
    return f"{words[:1].upper()}{words[1:]}: {told} {_runs_text(one)}."


def _group(dataset: xarray.Dataset, group: str) -> str:
    last = _end_steps(dataset)[1]
    apart = estimate_at(dataset, "distance", group=group, step=last)
    parts = [f"distance of seeds at step {last} {_told(apart)} (n = {apart.n} samples)"] if apart.n else []
    if "reading" in dataset:
        for reading in dataset["reading"].values.tolist():
            place = {"group": group, "reading": reading}
            label = _label(dataset, reading)
            for name, what, digits in (
                ("commit", f"{label} held from step", 1),
                ("corrections", f"corrections of {label} a run", 2),
                ("ends_right", f"{label} right at the end", 2),
            ):
                one = estimate_at(dataset, name, **place)
                if one.n:
                    parts.append(f"{what} {_told(one, digits)} (n = {one.n} runs)")
    return f"{group}: {'; '.join(parts) or 'nothing'}."


def _intervals(dataset: xarray.Dataset) -> str:
    methods: dict[str, None] = {}
    seeds: set[int] = set()
    level = math.nan
    for name in names(dataset):
        known = dataset[f"{name}_n"].values > 0
        if known.any():
            methods |= dict.fromkeys(dataset[f"{name}_method"].values[known].tolist())
            level = float(dataset[name].attrs["level"])
            seeds |= {int(dataset[name].attrs["seed"])} - {-1}
    drawn = f"; bootstrap seed {', '.join(map(str, sorted(seeds)))}" if seeds else "; no random draws"
    return f"Intervals: {level:.0%}, by sample: {', or '.join(methods)}{drawn}."


def _label(dataset: xarray.Dataset, reading: str) -> str:
    return str(dataset["reading_label"].sel(reading=reading).item())


def _end_steps(dataset: xarray.Dataset) -> tuple[int, int]:
    first, last = dataset["step"].values[[0, -1]].tolist()
    return first, last


def _at_ends(dataset: xarray.Dataset, name: str, reading: str) -> str:
    told = (
        f"{_told(estimate_at(dataset, name, group=ALL, reading=reading, step=step))} at step {step}"
        for step in _end_steps(dataset)
    )
    return ", ".join(told)


def _has_pairs(dataset: xarray.Dataset, reading: str) -> bool:
    first = _end_steps(dataset)[0]
    return estimate_at(dataset, "agreement", group=ALL, reading=reading, step=first).n > 0


def _runs_text(one: Estimate) -> str:
    return f"(n = {one.n} runs of {one.samples} samples)"


def _told(one: Estimate, digits: int = 2) -> str:
    if not math.isfinite(one.low):
        return f"{one.value:.{digits}f} (no interval)"
    return f"{one.value:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"


def _figures(dataset: xarray.Dataset) -> Mapping[str, Callable[[], Figure]]:
    from probes.convergence import plots

    return plots.figures(dataset)


KIND = Kind("How seeds agree by step, and when runs commit", _summary, long_table, _figures)
