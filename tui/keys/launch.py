"""The keys of the forms."""

from tui.keys.key import Key

SECTIONS = {"launch": "Launch", "form": "A form", "value": "Filling in"}

KEYS = (
    Key("ctrl+s", "ctrl+s", "start", "Start", "start what is filled in as a job", "launch", writes=True),
    Key("c", "c", "choose", "Choose", "choose another command from a list", "launch"),
    Key("y", "y", "copy", "Copy", "copy the command line", "launch"),
    Key(
        "i",
        "i",
        "about",
        "Plan",
        "the plan and the command line as a page, and what the command says of itself",
        "launch",
    ),
    Key("r", "r", "reset", "Reset", "take back everything that is filled in", "launch"),
    Key("m", "m", "example", "Mazes", "write four mazes, and fill in a trace of them", "launch", writes=True),
    Key("up,shift+tab", "up shift+tab", "move(-1)", "", "the line before", "form"),
    Key("down,tab", "down tab", "move(1)", "", "the next line", "form"),
    Key("pageup", "pgup", "move(-8)", "", "eight lines up", "form"),
    Key("pagedown", "pgdn", "move(8)", "", "eight lines down", "form"),
    Key("home", "home", "first", "", "first line", "form"),
    Key("end", "end", "last", "", "last line", "form"),
    Key(
        "enter,space", "enter space", "enter", "", "fill it in; turn a flag round; fold out, or away", "form"
    ),
    Key("backspace,delete", "backspace", "clear", "", "take back what is filled in there", "form"),
    Key("enter", "enter", None, "", "take what is marked in the list, or what is typed, and go on", "value"),
    Key("escape", "esc", "leave", "Leave", "put the list away; again: leave the value as it was", "value"),
    Key(
        "tab", "tab", "complete", "Complete", "complete, as a shell does; if nothing is to be: go on", "value"
    ),
    Key("up", "up", "before", "", "the one before in the list; without a list: the field before", "value"),
    Key("down", "down", "after", "", "the next one in the list; without a list: the next field", "value"),
)
