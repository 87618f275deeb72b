"""How seeds agree and when runs commit, as words, a table and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from probes.convergence.estimated import estimate_at, long_table, names
from probes.convergence.groups import ALL
from probes.convergence.task_answers import CORRECTIONS
from probes.kinds import Kind
from probes.statistics import Estimate

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure


def _summary(dataset: xarray.Dataset) -> list[str]:
    lines = [_distances(dataset)]
    if "reading" in dataset:
        for reading in dataset["reading"].values.tolist():
            lines += _answers(dataset, reading)
        lines.append(_settling(dataset))
    lines += [_group(dataset, group) for group in dataset["group"].values.tolist()[1:]]
    lines.append(_intervals(dataset))
    return lines + [f"Note: {note}." for note in json.loads(dataset.attrs["notes"])]


def _distances(dataset: xarray.Dataset) -> str:
    first, last = dataset["step"].values[[0, -1]].tolist()
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


def _answers(dataset: xarray.Dataset, reading: str) -> list[str]:
    place = {"group": ALL, "reading": reading}
    label = str(dataset["reading_label"].sel(reading=reading).item())
    first, last = dataset["step"].values[[0, -1]].tolist()

    def ends(name: str) -> str:
        one, other = (estimate_at(dataset, name, **place, step=step) for step in (first, last))
        return f"{_told(one)} at step {first}, {_told(other)} at step {last}"

    lines = []
    commit = estimate_at(dataset, "commit", **place)
    if commit.n:
        lines.append(
            f"{label}: final answers are held from step {_told(commit, 1)} on (n = {commit.n} runs of "
            f"{commit.samples} samples that end with one)."
        )
    else:
        lines.append(f"{label}: no run ends with an answer.")
    if (pairs := estimate_at(dataset, "agreement", **place, step=first)).n:
        lines.append(
            f"{label}: distinct answers of a sample's seeds {ends('distinct')}; same answer "
            f"{ends('agreement')} (n = {pairs.n} samples), of the pairs that both answer "
            f"{ends('agreement_answered')}."
        )
    is_known = estimate_at(dataset, "ends_right", **place).n > 0
    if is_known:
        runs = estimate_at(dataset, "ends_right", **place)
        lines.append(
            f"{label}: right {ends('right')} (n = {runs.n} runs of {runs.samples} samples)"
            + (
                f"; pairs of seeds that are both right {ends('agreement_right')}, were seeds independent "
                f"{ends('agreement_chance')}."
                if pairs.n
                else "."
            )
        )
    changed = estimate_at(dataset, "corrections", **place)
    text = (
        f"{label}: {_told(estimate_at(dataset, 'changes', **place))} changes and {_told(changed)} "
        f"corrections a run (held for {dataset.attrs['hold']} steps or more, then replaced); "
        f"{_told(estimate_at(dataset, 'corrected', **place))} of runs have one"
    )
    if is_known:
        kinds = {kind: estimate_at(dataset, kind, **place) for kind in CORRECTIONS}
        told = [f"{kind.replace('_', ' ')} {_told(one, 3)}" for kind, one in kinds.items() if one.value]
        text += f"; a run: {', '.join(told)}" if told else ""
        became, lost = (estimate_at(dataset, name, **place) for name in ("becomes_right", "loses_right"))
        text += (
            f"; {_told(became)} of runs are not right at first and end right, {_told(lost)} were right and "
            "do not end so"
        )
    lines.append(f"{text} (n = {changed.n} runs of {changed.samples} samples).")
    votes = {
        count: estimate_at(dataset, "right_by_votes", reading=reading, votes=count, step=last)
        for count in dataset["votes"].values.tolist()
    }
    known = [f"{count}: {_told(one)} (n = {one.n})" for count, one in votes.items() if one.n]
    if known and len(votes) > 1:
        lines.append(
            f"{label}: right at the end, by how many other seeds give the same answer there: "
            f"{', '.join(known)}."
        )
    return lines


def _settling(dataset: xarray.Dataset) -> str:
    settled = {
        metric: estimate_at(dataset, "settle", group=ALL, metric=metric)
        for metric in dataset["metric"].values.tolist()
    }
    told = ", ".join(f"{metric} {_told(one, 1)}" for metric, one in settled.items() if one.n)
    one = next(iter(settled.values()))
    words = dataset["settle"].attrs["long_name"]
    return f"{words[:1].upper()}{words[1:]}: {told} (n = {one.n} runs of {one.samples} samples)."


def _group(dataset: xarray.Dataset, group: str) -> str:
    last = dataset["step"].values[-1].item()
    apart = estimate_at(dataset, "distance", group=group, step=last)
    parts = [f"distance of seeds at step {last} {_told(apart)} (n = {apart.n} samples)"] if apart.n else []
    if "reading" in dataset:
        for reading in dataset["reading"].values.tolist():
            place = {"group": group, "reading": reading}
            label = str(dataset["reading_label"].sel(reading=reading).item())
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


def _told(one: Estimate, digits: int = 2) -> str:
    if not math.isfinite(one.low):
        return f"{one.value:.{digits}f} (no interval)"
    return f"{one.value:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"


def _table(dataset: xarray.Dataset) -> pandas.DataFrame:
    return long_table(dataset)


def _figures(dataset: xarray.Dataset) -> Mapping[str, Callable[[], Figure]]:
    from probes.convergence import plots

    made: dict[str, Any] = plots.figures(dataset)
    return made


KIND = Kind("How seeds agree by step, and when runs commit", _summary, _table, _figures)
