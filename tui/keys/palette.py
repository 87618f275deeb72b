"""The keys of the list of all commands."""

from tui.keys.key import Key

SECTIONS = {"palette": "All commands"}

KEYS = (
    Key("up", "up", "up", "", "the command above", "palette"),
    Key("down", "down", "down", "", "the command below", "palette"),
    Key("pageup", "pgup", "page_up", "", "a page above", "palette"),
    Key("pagedown", "pgdn", "page_down", "", "a page below", "palette"),
    Key("enter", "enter", None, "", "do what is marked", "palette"),
    Key("escape", "esc", "leave", "", "do nothing", "palette"),
)
