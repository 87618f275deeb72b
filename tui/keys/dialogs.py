"""The keys of what is asked over a screen."""

from tui.keys.key import Key

SECTIONS = {"question": "A question", "line": "A line to fill in"}

KEYS = (
    Key("y", "y", "answer(True)", "Yes", "yes", "question"),
    Key("n,escape,q", "n esc", "answer(False)", "No", "no", "question"),
    Key("enter", "enter", None, "", "the answer that is marked; the arrows mark one", "question"),
    Key("enter", "enter", None, "", "take the text", "line"),
    Key("escape", "esc", "leave", "Leave", "leave it without a text", "line"),
)
