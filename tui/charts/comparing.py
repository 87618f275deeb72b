"""Two charts or maps of one shape, held against one another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tui.charts.chart import Chart, Curves, Dots
from tui.heatmaps.heatmap import Heatmap


def compared(
    first: Chart | Heatmap, second: Chart | Heatmap, names: tuple[str, str]
) -> Chart | Heatmap | None:
    """Curves or dots of both on one axis, or the second map less the first; None: they do not compare.

    They do if they show the same measure over the same axes. Of a difference of maps no interval is known,
    as the two may or may not share their samples; so nothing is marked in it.

    Args:
        first, second: two charts, or two maps.
        names: what tells them apart, such as the names of their results.
    """
    if isinstance(first, Heatmap) and isinstance(second, Heatmap):
        return _difference(first, second, names)
    if isinstance(first, Curves) and isinstance(second, Curves):
        return _curves(first, second, names)
    if isinstance(first, Dots) and isinstance(second, Dots):
        return _dots(first, second, names)
    return None


def _curves(first: Curves, second: Curves, names: tuple[str, str]) -> Curves | None:
    scales = (first.is_logarithmic, first.is_across_logarithmic)
    if (first.across, first.measure) != (second.across, second.measure):
        return None
    if scales != (second.is_logarithmic, second.is_across_logarithmic):
        return None
    if any(second.places.get(at, name) != name for at, name in first.places.items()):
        return None
    curves = [
        replace(curve, name=f"{name}: {curve.name}")
        for name, chart in zip(names, (first, second), strict=True)
        for curve in chart.curves
    ]
    # Beside their counterparts, curves are compared more easily than one chart after the other.
    order = {curve.name: place for place, curve in enumerate(first.curves)}
    curves.sort(key=lambda one: order.get(one.name.partition(": ")[2], len(order)))
    return replace(
        first,
        title=_title(first.title, second.title, names),
        curves=tuple(curves),
        places={**first.places, **second.places},
        **_of_both(first, second, names),
    )


def _dots(first: Dots, second: Dots, names: tuple[str, str]) -> Dots | None:
    if (first.measure, first.has_own_scales) != (second.measure, second.has_own_scales):
        return None
    pairs = (
        [replace(dot, name=f"{name}: {dot.name}") for dot in chart.dots]
        for name, chart in zip(names, (first, second), strict=True)
    )
    order = {(dot.group, dot.name): place for place, dot in enumerate(first.dots)}
    joined = [dot for chart in pairs for dot in chart]
    joined.sort(key=lambda one: order.get((one.group, one.name.partition(": ")[2]), len(order)))
    return replace(
        first,
        title=_title(first.title, second.title, names),
        dots=tuple(joined),
        counted=first.counted if first.counted == second.counted else None,
        **_of_both(first, second, names),
    )


def _of_both(first: Chart, second: Chart, names: tuple[str, str]) -> dict[str, object]:
    """What two charts have in common, as `replace` takes it."""
    is_same = (first.reference, first.reference_name) == (second.reference, second.reference_name)
    limits = None
    if first.limits is not None and second.limits is not None:
        ends = (*first.limits, *second.limits)
        limits = min(ends), max(ends)
    return {
        "note": "; ".join(_notes(first.note, second.note, names)),
        "reference": first.reference if is_same else None,
        "reference_name": first.reference_name if is_same else "",
        "limits": limits,
        "mark": first.mark
        if first.mark == second.mark
        else "; ".join(filter(None, (first.mark, second.mark))),
    }


def _difference(first: Heatmap, second: Heatmap, names: tuple[str, str]) -> Heatmap | None:
    axes = (first.column_name, first.row_name)
    if not first.measure or first.measure != second.measure:
        return None
    if axes != (second.column_name, second.row_name):
        return None
    columns = [label for label in first.columns if label in second.columns]
    rows = [label for label in first.rows if label in second.rows]
    if not columns or not rows:
        return None
    ours, theirs = (
        one.values[
            np.ix_([one.columns.index(label) for label in columns], [one.rows.index(label) for label in rows])
        ]
        for one in (first, second)
    )
    what = first.title if first.title == second.title else first.measure
    return Heatmap(
        title=f"{what}: {names[1]} less {names[0]}",
        columns=tuple(columns),
        rows=tuple(rows),
        values=theirs - ours,
        centre=0.0,
        note="; ".join(
            ("differences of means, of which no interval is known", *_notes(first.note, second.note, names))
        ),
        column_name=first.column_name,
        row_name=first.row_name,
    )


def _title(first: str, second: str, names: tuple[str, str]) -> str:
    return first if first == second else f"{names[0]}: {first}; {names[1]}: {second}"


def _notes(first: str, second: str, names: tuple[str, str]) -> Iterator[str]:
    if first == second:
        yield from [first] if first else []
        return
    yield from (f"{name}: {note}" for name, note in zip(names, (first, second), strict=True) if note)
