"""The keys of the table of runs."""

from tui.keys.key import Key

SECTIONS = {"runs": "Runs", "first": "No runs yet", "filter": "Filter"}

KEYS = (
    Key("up,down,pageup,pagedown", "up down pgup pgdn", None, "", "move through the runs", "runs"),
    Key("home,end", "home end", None, "", "first and last run", "runs"),
    Key("tab", "tab", None, "", "between the runs and the detail of one", "runs"),
    Key("enter", "enter", None, "", "open the run: its heatmaps, and more", "runs"),
    Key("space", "space", "mark", "", "mark the run, or take the mark away", "runs"),
    Key("f", "f", "frames", "Frames", "frames of the marked runs side by side, or of this one", "runs"),
    Key("R", "R", "results", "", "the results of the run's store", "runs"),
    Key("D", "D", "decode", "", "decode these by a job, to see what each step sees", "runs", writes=True),
    Key("L", "L", "launch", "", "a form filled in to make more runs like this one", "runs"),
    Key("P", "P", "pixels", "", "pictures as pixels where the terminal shows them, or as half cells", "runs"),
    Key("slash", "/", "filter", "Filter", "show only some runs", "runs"),
    Key("s", "s", "sort_next", "Sort", "sort by the next column; a click on its head does too", "runs"),
    Key("S", "S", "sort_reverse", "Reverse", "turn the order round", "runs"),
    Key("r", "r", "reload", "Reload", "read the stores again", "runs"),
    Key("e", "e", "problems", "", "what could not be read, and why", "runs"),
    Key(
        "enter",
        "enter",
        "make",
        "Make one",
        "make a first store, with the bundled model",
        "first",
        writes=True,
    ),
    Key("y", "y", "copy", "Copy", "copy the command that makes a first store", "first"),
    Key("enter", "enter", None, "", "keep the filter and go back to the runs", "filter"),
    Key("escape", "esc", "clear_filter", "Clear", "drop the filter", "filter"),
)
