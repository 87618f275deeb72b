"""The keys of the table of jobs and of a job's log."""

from tui.keys.key import Key

SECTIONS = {"jobs": "Jobs", "log": "A job's log", "store": "A store that a job led to"}

KEYS = (
    Key("enter", "enter", None, "", "what a finished job made, result or store; of others the log", "jobs"),
    Key("l", "l", "log", "Log", "all that it printed", "jobs"),
    Key("x", "x", "cancel", "Cancel", "cancel the job; again: be quick about it", "jobs", writes=True),
    Key(
        "u",
        "u",
        "resume",
        "Resume",
        "have a job that did not finish go on where it stopped",
        "jobs",
        writes=True,
    ),
    Key("t", "t", "restart", "", "start its command anew, as a new job", "jobs", writes=True),
    Key(
        "m",
        "m",
        "modify",
        "Modify",
        "fill in the form of its command, to change it and start that",
        "jobs",
        writes=True,
    ),
    Key(
        "D",
        "D",
        "remove",
        "Remove",
        "remove what is kept of the marked jobs, or of this one",
        "jobs",
        writes=True,
    ),
    Key("space", "space", "mark", "", "mark the job, or take the mark away", "jobs"),
    Key("y", "y", "copy", "Copy", "copy its command", "jobs"),
    Key("slash", "/", "filter", "Filter", "show only some jobs: words, state=running,queued", "jobs"),
    Key("s", "s", "sort_next", "Sort", "sort by the next column; jobs that live stay first", "jobs"),
    Key("S", "S", "sort_reverse", "", "turn the order round", "jobs"),
    Key("r", "r", "reload", "", "look at all jobs anew", "jobs"),
    Key("tab", "tab", None, "", "between the jobs and the detail of one", "jobs"),
    Key("escape", "esc", "back", "Back", "back to the runs that the app was opened with", "store"),
    Key("escape", "esc", "back", "Back", "back to the jobs", "log"),
    Key("up", "up", "line_up", "", "a line up", "log"),
    Key("down", "down", "line_down", "", "a line down", "log"),
    Key("pageup", "pgup", "page_up", "", "a page up", "log"),
    Key("pagedown,space", "pgdn space", "page_down", "", "a page down", "log"),
    Key("home", "home", "top", "Top", "the beginning", "log"),
    Key("end", "end", "bottom", "End", "the end", "log"),
    Key("f", "f", "follow", "Follow", "follow what it prints, or no longer", "log"),
    Key("slash", "/", "search", "Search", "look for words: upwards from the end, else downwards", "log"),
    Key("n", "n", "further", "Next", "the next place, in the same direction", "log"),
    Key("N", "N", "other_way", "", "the next place, in the other direction", "log"),
    Key("y", "y", "copy", "Copy", "copy the path of the log", "log"),
)
