"""What there is to say about the job under the cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.style import Style
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.events import Resize

from cosinterp.jobs.texts import rate_text, span_text
from stores.units import size_text
from tui.jobs.following import Detail, Metrics
from tui.jobs.lines import Line as JobLine
from tui.jobs.sparkline import sparkline
from tui.jobs.text_cells import text_cells, wrapped
from tui.widgets.canvas import Canvas, Line

# What stands above the metrics and the log: how the job stands now.
_NOW = ("state", "doing", "was doing", "done", "runs on", "ran on", "memory")
_LEAST_LOG = 4
# In a lower pane the log comes before the metrics, so that it is seen without scrolling.
_HIGH = 24
_BOLD = Style(bold=True)
_QUIET = Style(dim=True)
_GAP = 2


class JobDetail(VerticalScroll):
    """A job: how it stands, what it takes over time, the end of its log, its command and its attempts.

    It changes by itself while the job lives, and only what differs is sent.
    """

    def __init__(self) -> None:
        super().__init__(id="job-detail")
        self._canvas = Canvas(id="job-told")
        self._detail: Detail | None = None
        self._error = ""

    def compose(self) -> ComposeResult:  # noqa: D102
        yield self._canvas

    def show_nothing(self) -> None:
        """No job is chosen, or it has not been read yet."""
        self._show(None, "")

    def show_detail(self, detail: Detail) -> None:
        """A job has been read, perhaps once more."""
        self._show(detail, "")

    def show_error(self, line: JobLine, message: str) -> None:
        """The job's folder cannot be read."""
        self._show(None, f"{line.seen.id}: {message}")

    def on_resize(self, event: Resize) -> None:
        """Break the lines anew."""
        self._paint()

    def _show(self, detail: Detail | None, error: str) -> None:
        other = _id_of(detail) != _id_of(self._detail)
        self._detail, self._error = detail, error
        self._paint()
        if other:
            self.scroll_home(animate=False)

    def _paint(self) -> None:
        width, height = self.scrollable_content_region.width, self.size.height
        lines: list[Line] = []
        if self._error:
            lines = [text_cells(text, _BOLD) for text in wrapped(self._error, width)]
        elif self._detail is not None:
            lines = detail_lines(self._detail, width, height)
        if self._canvas.styles.height is None or self._canvas.styles.height.value != len(lines):
            self._canvas.styles.height = len(lines)
        self._canvas.paint(lines)


def _id_of(detail: Detail | None) -> str | None:
    return None if detail is None else detail.status.id


def detail_lines(detail: Detail, width: int, height: int) -> list[Line]:
    """A job in lines of a canvas.

    Args:
        detail: what is known of it.
        width: of the canvas.
        height: that is seen of it; the log takes what is left of that, if there is enough.
    """
    now = [fact for fact in detail.facts if fact[0] in _NOW]
    rest = [fact for fact in detail.facts if fact[0] not in _NOW]
    above, metrics = list(_facts(now, width)), list(_metrics(detail.metrics, width))
    below = list(_facts(rest, width))
    log = _log(detail.log, width, max(_LEAST_LOG, height - len(above) - len(metrics) - len(below) - 1))
    if height < _HIGH:
        return [*above, *log, *metrics, *below]
    return [*above, *metrics, *log, *below]


def _facts(facts: Sequence[tuple[str, str]], width: int) -> Iterator[Line]:
    """Names, and texts beside them; an empty line ends them where there is no other end."""
    indent = max((len(name) for name, _ in facts), default=0) + _GAP
    for name, text in facts:
        # Next to a name there has to be room for more than a few letters.
        for number, part in enumerate(wrapped(text, max(10, width - indent))):
            head = name if number == 0 else ""
            yield [*text_cells(head.ljust(indent), _BOLD), *text_cells(part)]


@dataclass(frozen=True)
class _Metric:
    name: str
    series: tuple[tuple[float, float], ...]
    text: Callable[[float], str]


def _metrics(metrics: Metrics, width: int) -> Iterator[Line]:
    kinds = (
        _Metric("rate", metrics.rate, lambda value: rate_text(value, metrics.unit) or "0"),
        _Metric("host memory", metrics.host_memory, lambda value: size_text(int(value))),
        _Metric("GPU memory", metrics.gpu_memory, lambda value: size_text(int(value))),
        _Metric("GPU use", metrics.gpu_use, lambda value: f"{value:.0f} %"),
    )
    known = [kind for kind in kinds if kind.series]
    if not known:
        return
    lasts = max(kind.series[-1][0] for kind in known) - min(kind.series[0][0] for kind in known)
    yield _heading(f"over {span_text(lasts)}", width)
    names = max(len(kind.name) for kind in known) + _GAP
    for kind in known:
        values = [value for _, value in kind.series]
        told = f"{kind.text(values[-1]):>12}"
        most = f"  most {kind.text(max(values))}"
        room = width - names - len(told) - _GAP
        if room >= 30:
            told += f"{most:<20}"
            room = width - names - len(told) - _GAP
        line = text_cells(kind.name.ljust(names), _BOLD) + text_cells(told + " " * _GAP)
        yield line + text_cells(sparkline(kind.series, room))


def _log(log: Sequence[str], width: int, height: int) -> list[Line]:
    """The end of a log, in as many lines as there is room for."""
    rows: list[str] = []
    for line in reversed(log):
        rows = [*wrapped(line, width), *rows]
        if len(rows) >= height:
            break
    shown = rows[-height:] if rows else ["nothing printed yet"]
    lines = [_heading("log (l: all of it)", width), *(text_cells(row) for row in shown)]
    return [*lines, *[[] for _ in range(height + 1 - len(lines))]]


def _heading(text: str, width: int) -> Line:
    return text_cells(f"── {text} ".ljust(width, "─")[:width], _QUIET)
