"""Numbers over time as a line of bars, in which little changes when a number is added."""

from __future__ import annotations

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
_SPANS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 86_400)


def sparkline(series: Sequence[tuple[float, float]], width: int) -> str:
    """Bars from 0 to the largest value; each is the mean of a span of time, blank where nothing is known.

    The spans are counted from the first value on, so bars that are complete stay as they are: a terminal is
    sent only the last one.

    Args:
        series: pairs of a time in seconds and a value, in the order of time.
        width: of the line, in columns.

    >>> sparkline([(0.0, 1.0), (1.0, 2.0), (3.0, 4.0)], 8)
    '▂▄ █'
    """
    if not series or width < 1:
        return ""
    begin = series[0][0]
    lasts = max(0.0, series[-1][0] - begin)
    span = next((span for span in _SPANS if lasts / span < width), lasts / width + 1)
    sums = [0.0] * width
    counts = [0] * width
    for when, value in series:
        place = min(width - 1, max(0, int((when - begin) / span)))
        sums[place] += value
        counts[place] += 1
    used = 1 + max(place for place, count in enumerate(counts) if count)
    means = [sums[place] / counts[place] if counts[place] else None for place in range(used)]
    most = max((mean for mean in means if mean is not None), default=0.0) or 1.0
    return "".join(" " if mean is None else _BARS[_eighth(mean / most)] for mean in means)


def _eighth(share: float) -> int:
    return min(7, max(0, round(8 * share) - 1))
