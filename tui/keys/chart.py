"""The keys of charts of results."""

from tui.keys.key import Key

SECTIONS = {"chart": "A chart"}

KEYS = (
    Key("left", "left", "before", "", "the point before", "chart"),
    Key("right", "right", "after", "", "the point after", "chart"),
    Key("up,left_square_bracket", "up [", "above", "", "the curve, or row, before", "chart"),
    Key("down,right_square_bracket", "down ]", "below", "", "the curve, or row, after", "chart"),
    Key("home", "home", "first", "", "first point", "chart"),
    Key("end", "end", "last", "", "last point", "chart"),
    Key("pageup", "pgup", "turn_back", "", "other curves, where not all are shown; five rows back", "chart"),
    Key("pagedown", "pgdn", "turn_on", "", "other curves, where not all are shown; five rows on", "chart"),
)
