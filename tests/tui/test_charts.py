"""Charts as cells: where curves, bands and dots come to lie, what the cursor says, and how two compare."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from textual.app import App, ComposeResult

from tests.tui.driving import screen_text
from tui.charts.axis import Axis
from tui.charts.chart import Curve, Curves, Dot, Dots
from tui.charts.chart_view import ChartView
from tui.charts.comparing import compared
from tui.charts.curve_plot import CurvePlot
from tui.charts.dot_plot import DotPlot
from tui.charts.look import HOLLOW, MARKS, MOST, Look
from tui.heatmaps.heatmap import Heatmap
from tui.themes import add_themes
from tui.widgets.canvas import Canvas, Line
from tui.widgets.heatmap_view import HeatmapView

PLAIN = Look()
COLOURED = Look(tuple((20 * place, 100, 200) for place in range(MOST)), (10, 10, 10))
NAN, INF = math.nan, math.inf


def curve(name: str, values: list[float], half: float | None = None, **more: object) -> Curve:
    """Values at 0, 1, 2 ..., with intervals of half a width, of 8 runs of 4 samples each."""
    numbers = np.array(values, np.float64)
    ends = (None, None) if half is None else (numbers - half, numbers + half)
    counts = {"n": np.full(len(values), 8), "samples": np.full(len(values), 4), "counted": ("run", "runs")}
    return Curve(name, np.arange(len(values), dtype=np.float64), numbers, *ends, **(counts | more))  # type: ignore[arg-type]


def chart(*curves: Curve, **more: object) -> Curves:
    told = {"title": "a title", "measure": "share", "across": "step"} | more
    return Curves(curves=curves, **told)  # type: ignore[arg-type]


def dots(*rows: Dot, **more: object) -> Dots:
    told = {"title": "a title", "measure": "share"} | more
    return Dots(dots=rows, **told)  # type: ignore[arg-type]


def text_of(lines: list[Line]) -> list[str]:
    return ["".join(cell for cell, _ in line) for line in lines]


def drawn(plot: CurvePlot | DotPlot, width: int = 60, height: int = 20, look: Look = PLAIN) -> list[str]:
    lines = plot.draw(width, height, look).lines
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines), text_of(lines)
    return text_of(lines)


def column_of(lines: list[str], sign: str) -> list[int]:
    return [line.index(sign) for line in lines if sign in line]


# Axes


@pytest.mark.parametrize(
    ("low", "high", "most", "expected"),
    [
        (0.0, 1.0, 6, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (-0.37, 0.61, 5, ["-0.2", "0.0", "0.2", "0.4", "0.6"]),
        (0.0, 41.0, 5, ["0", "10", "20", "30", "40"]),
        (1e-6, 3e-6, 3, ["1e-06", "2e-06", "3e-06"]),
        (0.0, 3e7, 4, ["0", "1e+07", "2e+07", "3e+07"]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, most: int, expected: list[str]) -> None:
    found = Axis(low, high).ticks(most)
    assert [text for _, text in found] == expected
    assert all(low - 1e-9 <= value <= high + 1e-9 for value, _ in found)


def test_ticks_of_steps_are_whole_and_those_of_a_logarithm_equally_far_apart_in_ratio() -> None:
    assert [value for value, _ in Axis(0, 2).ticks(10, whole=True)] == [0, 1, 2]
    axis = Axis.of([np.array([1.0, 1000.0])], is_logarithmic=True, spare=0.0)
    assert [text for _, text in axis.ticks(4)] == ["1", "10", "100", "1000"]
    np.testing.assert_allclose(axis.shares(np.array([1.0, 10.0, 100.0, 1000.0])), [0, 1 / 3, 2 / 3, 1])


def test_an_axis_holds_all_that_is_finite_and_has_a_width_where_all_is_the_same() -> None:
    axis = Axis.of([np.array([0.5, NAN, INF, -INF, 1.5])])
    assert axis.low < 0.5 < 1.5 < axis.high < 2
    same = Axis.of([np.array([3.0, 3.0])])
    assert same.share(3.0) == pytest.approx(0.5)
    assert Axis.of([np.array([0.0])]).share(0.0) == pytest.approx(0.5)
    nothing = Axis.of([np.array([NAN])])
    assert (nothing.low, nothing.high) == (0, 1)


# Curves


def test_points_lie_at_their_place_and_value() -> None:
    lines = drawn(CurvePlot(chart(curve("one", [0.0, 0.5, 1.0]), limits=(0.0, 1.0))))
    body = [line for line in lines if "│" in line or "┤" in line]
    places = [(row, line.index("●")) for row, line in enumerate(body) if "●" in line]
    (top, right), (middle, between), (bottom, left) = places
    assert (top, bottom) == (0, len(body) - 1)
    assert middle == pytest.approx(len(body) / 2, abs=1)
    assert (left + right) / 2 == pytest.approx(between, abs=1)
    assert body[0].startswith("1.0┤")
    assert body[-1].startswith("0.0┤")
    assert lines[0] == "share by step"


def test_the_line_below_names_steps_and_that_of_the_cursor_stands_out() -> None:
    plot = CurvePlot(chart(curve("one", [float(one) for one in range(12)])))
    plot.move(7, 0)
    lines = plot.draw(60, 20, PLAIN).lines
    axis = lines[-2]
    assert "".join(text for text, _ in axis).split() == [str(one) for one in range(12)]
    assert "".join(text for text, style in axis if style.reverse) == "7"
    marks = [line.index(next(cell for cell in line if cell[1].reverse)) for line in lines[:-2] if any(cell[1].reverse for cell in line)]  # fmt: skip # noqa: E501
    assert len(marks) == 1


def test_a_band_is_behind_the_line_where_there_are_colours_and_its_edges_where_there_are_none() -> None:
    plot = CurvePlot(chart(curve("one", [0.5, 0.5, 0.5], half=0.3), limits=(0.0, 1.0)))
    lines = plot.draw(60, 20, COLOURED).lines
    filled = [sum(bool(style.bgcolor) for _, style in line) for line in lines]
    body = lines[1:-2]
    # From 0.2 to 0.8: six tenths of the height, as wide as the curve.
    assert sum(count > 50 for count in filled) == pytest.approx(0.6 * len(body), abs=1.5)
    plain = drawn(plot)[1:-2]
    dotted = [row for row, line in enumerate(plain) if sum("\u2800" < sign <= "\u28ff" for sign in line) > 40]
    top, middle, bottom = dotted
    assert (top + bottom) / 2 == pytest.approx(middle, abs=1)
    assert (bottom - top) / len(plain) == pytest.approx(0.6, abs=0.1)
    assert not any(
        style.color or style.bgcolor for line in plot.draw(60, 20, PLAIN).lines for _, style in line
    )


def test_an_interval_without_end_reaches_the_edge_and_what_is_not_known_has_no_point() -> None:
    one = curve("one", [0.2, NAN, 0.4, INF, 0.6, 0.8], half=0.1)
    assert one.low is not None
    assert one.high is not None
    one.low[4], one.high[4] = -INF, INF
    one.low[5] = one.high[5] = NAN
    plot = CurvePlot(chart(one))
    lines = drawn(plot)
    assert sum(line.count("●") for line in lines) - 1 == 4  # one of them in the legend
    plot.move(1, 0)
    assert plot.text == "step 1: not known"
    assert "?" in "".join(drawn(plot))
    plot.move(2, 0)
    assert plot.text == "step 3: inf [inf, inf], n = 8 runs, of 4 samples"
    plot.move(1, 0)
    assert plot.text == "step 4: 0.6 [-inf, inf], n = 8 runs, of 4 samples"
    plot.move(9, 0)
    assert plot.text == "step 5: 0.8 (no interval), n = 8 runs, of 4 samples"
    column = plot.draw(60, 20, COLOURED).lines
    # The point whose interval has no end has a bar from top to bottom.
    assert all(any(text in "│●" for text, _ in line[30:]) for line in column[1:-2])


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5], [NAN, NAN], [0.0], [-3.0, -3.0]])
@pytest.mark.parametrize("size", [(40, 8), (80, 20), (12, 4), (2, 1)])
def test_one_point_values_that_are_equal_or_not_known_fit_any_room(
    values: list[float], size: tuple[int, int]
) -> None:
    plot = CurvePlot(chart(curve("one", values, half=0.1)))
    for look in (PLAIN, COLOURED):
        assert plot.draw(*size, look).lines
    assert plot.text.startswith("step ")


def test_a_point_alone_has_its_interval_as_a_bar() -> None:
    plot = CurvePlot(chart(curve("one", [0.5], half=0.2), limits=(0.0, 1.0)))
    body = drawn(plot, 40, 24)[1:-2]
    at = next(line.index("●") for line in body if "●" in line)
    assert sum(line[at] in "│●" for line in body) / len(body) == pytest.approx(0.4, abs=0.1)


def test_of_forty_curves_as_many_are_shown_as_can_be_told_apart_and_the_others_can_be_reached() -> None:
    plot = CurvePlot(chart(*(curve(f"layer {one}", [float(one), one + 1.0]) for one in range(40))))
    assert len(plot.shown) == MOST
    assert plot.shown[0] == 0
    assert plot.shown[-1] == 39
    legend = "\n".join(drawn(plot, 120, 40))
    assert "8 of 40 curves" in legend
    assert all(mark in legend for mark in MARKS)
    seen = set(plot.shown)
    while plot.turn(1):
        seen |= set(plot.shown)
        assert plot.curve in plot.shown
    assert seen == set(range(40))
    plot.move(0, 99)
    assert plot.text.startswith("step 0, layer 39: ")


def test_a_control_is_shown_with_its_curve_broken_and_without_a_band() -> None:
    pairs = [
        one
        for number in range(9)
        for one in (
            curve(f"site {number}", [number + 1.0, number + 2.0], half=0.5),
            curve(f"control {number}", [0.0, 0.1 * number], half=0.5, is_beside=True),
        )
    ]
    plot = CurvePlot(chart(*pairs))
    shown = plot.shown
    assert len(shown) == MOST
    assert all(second == first + 1 for first, second in zip(shown[::2], shown[1::2], strict=True))
    alone = CurvePlot(chart(replace(pairs[3], is_beside=True)))
    lines = alone.draw(80, 20, COLOURED).lines
    assert not any(style.bgcolor for line in lines for _, style in line)
    row = next(line for line in text_of(lines)[1:] if sum("\u2800" < sign <= "\u28ff" for sign in line) > 5)
    assert "\u2800" not in row
    assert " " in row.strip("│┤ ●")


def test_two_probes_stay_beside_one_another_while_their_baselines_are_turned_through() -> None:
    probe = chart(
        curve("probe", [0.6, 0.9]),
        *(curve(f"baseline {one}", [0.5, 0.5], is_beside=True) for one in range(6)),
    )
    both = compared(probe, probe, ("a", "b"))
    assert isinstance(both, Curves)
    plot = CurvePlot(both)
    seen = set()
    for _ in range(3):
        names = [both.curves[index].name for index in plot.shown]
        assert len(names) <= MOST
        assert {"a: probe", "b: probe"} <= set(names)
        seen |= set(names)
        drawn(plot)
        plot.turn(1)
    assert len(seen) == 14


def test_marked_points_are_filled_and_the_others_hollow() -> None:
    one = curve("one", [0.1, 0.5, 0.9], marked=np.array([True, False, True]))
    plot = CurvePlot(chart(one, mark="p < 0.05"))
    lines = drawn(plot)
    assert sum(line.count(MARKS[0]) for line in lines[:-2]) == 2
    assert sum(line.count(HOLLOW[0]) for line in lines[:-2]) == 1
    assert "filled: p < 0.05" in lines[-1]
    assert plot.text.endswith("* p < 0.05")


def test_200_steps_in_40_columns_keep_their_extremes() -> None:
    values = np.zeros(200)
    values[117] = 1.0
    plot = CurvePlot(chart(curve("one", values.tolist()), limits=(0.0, 1.0)))
    lines = drawn(plot, 40, 12)
    at = column_of([lines[1]], next(sign for sign in lines[1] if "\u2800" < sign <= "\u28ff"))[0]
    assert (at - 4) / 35 == pytest.approx(117 / 199, abs=0.05)
    for _ in range(117):
        plot.move(1, 0)
    assert plot.text == "step 117: 1, n = 8 runs, of 4 samples"


def test_a_reference_is_a_line_with_its_name() -> None:
    lines = drawn(CurvePlot(chart(curve("one", [0.9, 0.8]), reference=0.5, reference_name="chance")))
    assert any(line.count("┄") > 50 for line in lines)
    assert lines[-1].endswith("┄ chance 0.5")


def test_the_cursor_keeps_its_place_between_curves_of_other_points_and_other_charts() -> None:
    sparse = replace(curve("sparse", [1.0, 2.0]), at=np.array([0.0, 6.0]))
    plot = CurvePlot(chart(curve("dense", [float(one) for one in range(8)]), sparse))
    plot.move(5, 0)
    plot.move(0, 1)
    assert plot.text.startswith("step 6, sparse: 2")
    plot.move(0, -1)
    other = CurvePlot(chart(curve("more", [0.0] * 9), curve("dense", [0.5] * 9)))
    other.take_place(plot)
    assert other.text.startswith("step 6, dense: 0.5")
    elsewhere = CurvePlot(chart(curve("dense", [0.5] * 9), across="layer"))
    elsewhere.take_place(plot)
    assert elsewhere.text.startswith("layer 0: 0.5")


# Dots


def test_an_interval_is_drawn_on_the_common_scale_with_what_it_is_held_against() -> None:
    plot = DotPlot(
        dots(
            Dot("a", 0.5, 0.25, 0.75, 12, 4, beside=(("random", 0.0),)),
            Dot("b", 1.0, INF * -1, INF, 12, 4),
            Dot("c", NAN),
            reference=0.0,
            limits=(0.0, 1.0),
            counted=("run", "runs"),
        )
    )
    lines = drawn(plot, 43, 8)
    first, second, third = lines[1:4]
    start = first.index("□")
    low, middle, high = (first.index(sign) for sign in "├●┤")
    assert (low - start) / (high - start) == pytest.approx(1 / 3, abs=0.1)
    assert (middle - start) / (high - start) == pytest.approx(2 / 3, abs=0.1)
    assert second.index("◄") == start
    assert "●" in second
    assert "●" not in third
    assert plot.text == "a: 0.5 [0.25, 0.75], n = 12 runs, of 4 samples, random 0"
    plot.move(0, 2)
    assert plot.text == "c: not known"
    assert lines[-1] == "□ random   ┊ 0"
    wide = drawn(plot, 100, 12)
    assert wide[1].endswith("0.5 [0.25, 0.75]")
    assert wide[3].endswith("not known") or wide[5].endswith("not known")


def test_dots_of_other_units_lie_about_their_own_reference_in_the_middle() -> None:
    plot = DotPlot(
        dots(
            Dot("share", 0.5, 0.4, 0.6, reference=0.0),
            Dot("steps", -100.0, -200.0, -50.0, reference=20.0),
            has_own_scales=True,
            reference_name="the threshold",
        )
    )
    above, below, legend = drawn(plot, 60, 4)
    assert len(set(column_of([above, below], "┊"))) == 1
    assert above.index("●") > above.index("┊")
    assert below.index("●") < below.index("┊")
    assert legend == "┊ the threshold; each row has a scale of its own"


def test_more_rows_than_there_is_room_for_scroll_with_the_cursor() -> None:
    plot = DotPlot(dots(*(Dot(f"row {one}", float(one), group=f"group {one // 20}") for one in range(40))))
    assert any(line.startswith("> row 0") for line in drawn(plot, 60, 10))
    plot.move(0, 30)
    lines = drawn(plot, 60, 10)
    assert any(line.startswith("> row 30") for line in lines)
    assert plot.text.startswith("group 1, row 30: 30")
    plot.turn(-1)
    assert plot.text.startswith("group 1, row 25: 25")


def test_a_rounding_error_is_not_shown_as_a_number() -> None:
    assert dots(Dot("same", 3.7e-17, -0.25, 0.25)).dot_text(0) == "same: 0 [-0.25, 0.25]"


# Two of them


def test_curves_of_the_same_axes_are_laid_over_one_another() -> None:
    first = chart(curve("probe", [0.5, 0.6]), curve("control", [0.5, 0.5]), note="n = 8", reference=0.5)
    second = chart(curve("probe", [0.7, 0.8]), note="n = 9", reference=0.5)
    both = compared(first, second, ("small", "large"))
    assert isinstance(both, Curves)
    assert [one.name for one in both.curves] == ["small: probe", "large: probe", "small: control"]
    np.testing.assert_array_equal(both.curves[1].values, [0.7, 0.8])
    assert both.note == "small: n = 8; large: n = 9"
    assert both.reference == 0.5
    assert compared(first, replace(second, across="layer"), ("a", "b")) is None
    assert compared(first, replace(second, measure="R²"), ("a", "b")) is None
    third = compared(first, replace(second, reference=0.1), ("a", "b"))
    assert isinstance(third, Curves)
    assert third.reference is None


def test_dots_are_put_beside_their_counterparts() -> None:
    both = compared(dots(Dot("a", 1.0), Dot("b", 2.0)), dots(Dot("b", 3.0), Dot("c", 4.0)), ("x", "y"))
    assert isinstance(both, Dots)
    assert [(one.name, one.value) for one in both.dots] == [
        ("x: a", 1.0),
        ("x: b", 2.0),
        ("y: b", 3.0),
        ("y: c", 4.0),
    ]
    assert compared(dots(Dot("a", 1.0)), dots(Dot("a", 1.0), measure="R²"), ("x", "y")) is None


def test_of_two_maps_there_is_the_difference_where_both_have_cells_and_nothing_is_marked() -> None:
    first = Heatmap("A", ("0", "1"), ("0", "1"), np.array([[1.0, 2.0], [3.0, NAN]]), measure="CKA")
    marked = np.ones((2, 2), bool)
    second = Heatmap(
        "B", ("1", "2"), ("0", "1"), np.array([[5.0, 7.0], [0.0, 0.0]]), marked=marked, measure="CKA"
    )
    both = compared(first, second, ("small", "large"))
    assert isinstance(both, Heatmap)
    assert (both.columns, both.rows) == (("1",), ("0", "1"))
    np.testing.assert_array_equal(both.values, [[2.0, NAN]])
    assert (both.marked, both.low, both.centre) == (None, None, 0.0)
    assert both.title == "CKA: large less small"
    assert both.note.startswith("differences of means, of which no interval is known")
    again = compared(first, replace(second, title="A"), ("small", "large"))
    assert again is not None
    assert again.title == "A: large less small"
    assert compared(first, replace(second, measure="energy"), ("a", "b")) is None
    assert compared(first, replace(second, row_name="head"), ("a", "b")) is None
    assert compared(first, replace(second, columns=("8", "9")), ("a", "b")) is None
    assert compared(first, chart(curve("one", [1.0])), ("a", "b")) is None


# On the screen


class Shown(App[None]):
    """A chart or a map, alone."""

    def __init__(self, content: Curves | Dots | Heatmap) -> None:
        super().__init__()
        self.content = content
        self.moves = 0

    def compose(self) -> ComposeResult:
        yield HeatmapView() if isinstance(self.content, Heatmap) else ChartView()

    def on_mount(self) -> None:
        add_themes(self)
        self.theme = "dark"
        if isinstance(self.content, Heatmap):
            self.query_one(HeatmapView).show(self.content)
        else:
            self.query_one(ChartView).show(self.content)
        self.screen.focus_next()

    def on_chart_view_moved(self) -> None:
        self.moves += 1


def drawing_of(view: ChartView) -> list[Line]:
    """The cells that its canvases hold."""
    return [line for canvas in view.query(Canvas) for line in canvas._lines]


async def test_keys_and_clicks_move_the_cursor_and_say_so() -> None:
    content = chart(curve("one", [0.0, 0.5, 1.0], half=0.1), curve("two", [1.0, 0.5, 0.0]))
    app = Shown(content)
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.query_one(ChartView)
        await pilot.pause()
        assert app.moves == 1
        await pilot.press("right", "down")
        assert view.text == "step 1, two: 0.5, n = 8 runs, of 4 samples"
        await pilot.press("end")
        assert view.text.startswith("step 2, two: 0")
        await pilot.press("left_square_bracket", "home")
        assert view.text.startswith("step 0, one: 0")
        await pilot.press("left")
        moves = app.moves
        await pilot.press("left")
        assert app.moves == moves
        await pilot.click(ChartView, offset=(79, 1))
        assert view.text.startswith("step 2, one: 1")
        await pilot.resize_terminal(40, 12)
        await pilot.pause()
        shown = "\n".join(screen_text(pilot))
        assert "● one" in shown
        before = {cell[1].color for line in drawing_of(view) for cell in line if cell[0] == "●"}
        app.theme = "light"
        await pilot.pause()
        after = {cell[1].color for line in drawing_of(view) for cell in line if cell[0] == "●"}
        assert before.isdisjoint(after)
        view.show(dots(Dot("a", 1.0), Dot("b", 2.0)))
        await pilot.press("down")
        assert view.text == "b: 2 (no interval)"


async def test_without_colour_a_chart_is_signs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Shown(chart(curve("one", [0.0, 0.5], half=0.1), curve("two", [1.0, 0.5], half=0.1)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        cells = [style for line in drawing_of(app.query_one(ChartView)) for _, style in line]
        assert not any(style.color or style.bgcolor for style in cells)
        shown = "\n".join(screen_text(pilot))
        assert "● one   ■ two" in shown


async def test_a_map_stands_beside_its_control_in_the_same_colours_where_there_is_room() -> None:
    values = np.arange(12.0).reshape(4, 3)
    labels = ("0", "1", "2", "3"), ("0", "1", "2")
    control = Heatmap("control", *labels, np.full((4, 3), 11.0))
    app = Shown(Heatmap("patch", *labels, values, beside=control, beside_name="control random"))
    async with app.run_test(size=(80, 24)) as pilot:
        view = app.query_one(HeatmapView)
        await pilot.pause()
        assert "control random" in screen_text(pilot)[0]
        own, beside = (pieces[3].render_line(0) for pieces in (view._pieces, view._pieces_beside))
        last = view._pieces[3].render_line(2 * view._cell[1])
        assert beside._segments[0].style == last._segments[0].style != own._segments[0].style
        await pilot.press("right")
        marked = [
            row
            for row in range(view._cell[1])
            for pieces in (view._pieces, view._pieces_beside)
            if "[" in pieces[1].render_line(row).text
        ]
        assert len(marked) == 2
        assert view.heatmap is not None
        assert view.heatmap.cell_text(1, 0) == "step 1, layer 0: 3, control random 11"
        await pilot.resize_terminal(16, 12)
        await pilot.pause()
        assert "control" not in screen_text(pilot)[0]
