"""The keys that mean the same on every screen."""

from tui.keys.key import Key

SECTIONS = {"app": "Everywhere"}

KEYS = (
    Key("1", "1", "go('runs')", "", "go to the runs", "app"),
    Key("2", "2", "go('results')", "", "go to the results", "app"),
    Key("3", "3", "go('launch')", "", "launch a job", "app"),
    Key("4", "4", "go('jobs')", "", "go to the jobs", "app"),
    Key("g", "g", "gpus", "", "what the GPUs do, and which jobs hold them; again: put it away", "app"),
    Key("question_mark", "?", "help", "Help", "all keys, on this page", "app"),
    Key("ctrl+p", "ctrl+p", None, "", "all commands, by name; themes too", "app"),
    Key("ctrl+z", "ctrl+z", "suspend_process", "", "back to the shell, where fg comes back here", "app"),
    Key("q", "q", "quit", "Quit", "leave", "app"),
)
