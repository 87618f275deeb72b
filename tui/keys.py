"""Every key of the app, in one table: bindings, footer and help page are made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from textual.binding import Binding, BindingType


@dataclass(frozen=True)
class Key:
    """A key and what it does.

    Attributes:
        keys: as Textual names them, several divided by commas.
        shown: as the user reads them.
        action: the action's name; None for keys that a widget of Textual's handles by itself.
        label: a word or two for the footer; empty keeps the key out of it.
        help: the line of the help page.
        where: the screen or widget that binds it, one of `SECTIONS`; also the help page's section.
    """

    keys: str
    shown: str
    action: str | None
    label: str
    help: str
    where: str


SECTIONS = {
    "runs": "Runs",
    "filter": "Filter",
    "run": "One run",
    "heatmap": "Its heatmap",
    "frames": "Frames",
    "app": "Everywhere",
}

KEYS = (
    Key("up,down,pageup,pagedown", "up down pgup pgdn", None, "", "move through the runs", "runs"),
    Key("home,end", "home end", None, "", "first and last run", "runs"),
    Key("tab", "tab", None, "", "between the runs and the detail of one", "runs"),
    Key("enter", "enter", None, "", "open the run: its heatmaps, and more", "runs"),
    Key("space", "space", "mark", "", "mark the run, or take the mark away", "runs"),
    Key("f", "f", "frames", "Frames", "frames of the marked runs side by side, or of this one", "runs"),
    Key("slash", "/", "filter", "Filter", "show only some runs", "runs"),
    Key("s", "s", "sort_next", "Sort", "sort by the next column; a click on its head does too", "runs"),
    Key("S", "S", "sort_reverse", "Reverse", "turn the order round", "runs"),
    Key("r", "r", "reload", "Reload", "read the stores again", "runs"),
    Key("e", "e", "problems", "", "what could not be read, and why", "runs"),
    Key("enter", "enter", None, "", "keep the filter and go back to the runs", "filter"),
    Key("escape", "esc", "clear_filter", "Clear", "drop the filter", "filter"),
    Key("escape", "esc", "back", "Back", "back to the runs", "run"),
    Key("v", "v", "next_map", "Next", "show the next quantity", "run"),
    Key("V", "V", "previous_map", "", "show the quantity before", "run"),
    Key(
        "c",
        "c",
        "choose_map",
        "Choose",
        "choose a quantity from a list, results of the store among them",
        "run",
    ),
    Key("f", "f", "frames", "Frames", "what each step sees as the end, in pictures", "run"),
    Key("i", "i", "about", "About", "first image, prompt and facts of the run; again: put them away", "run"),
    Key("r", "r", "reload", "", "read the run again", "run"),
    Key("tab", "tab", None, "", "between the heatmap and what is beside it", "run"),
    Key("left", "left", "step_before", "", "the step before", "heatmap"),
    Key("right", "right", "step_after", "", "the step after", "heatmap"),
    Key("up,left_square_bracket", "up [", "layer_before", "", "the layer before", "heatmap"),
    Key("down,right_square_bracket", "down ]", "layer_after", "", "the layer after", "heatmap"),
    Key("home", "home", "first_step", "", "first step", "heatmap"),
    Key("end", "end", "last_step", "", "last step", "heatmap"),
    Key("pageup", "pgup", "layers_before", "", "five layers before", "heatmap"),
    Key("pagedown", "pgdn", "layers_after", "", "five layers after", "heatmap"),
    Key("d", "d", "digits", "Digits", "digits in place of colours", "heatmap"),
    Key("escape", "esc", "back", "Back", "back to where the frames were opened", "frames"),
    Key("left", "left", "step_before", "", "the step before", "frames"),
    Key("right", "right", "step_after", "", "the step after", "frames"),
    Key("home", "home", "first_step", "", "first step", "frames"),
    Key("end", "end", "last_step", "", "the end: the last step, or the final video", "frames"),
    Key("up", "up", "frame_before", "", "the frame before", "frames"),
    Key("down", "down", "frame_after", "", "the frame after", "frames"),
    Key("t", "t", "strip", "Strip", "steps as a film strip; again: one of them large", "frames"),
    Key("o", "o", "energy", "Energy", "energy of the tokens beside the picture, or none", "frames"),
    Key("left_square_bracket", "[", "layer_before", "", "energy of the layer before", "frames"),
    Key("right_square_bracket", "]", "layer_after", "", "energy of the layer after", "frames"),
    Key("y", "y", "copy", "", "copy the command that decodes what is not decoded", "frames"),
    Key("r", "r", "reload", "Reload", "look again for what is decoded", "frames"),
    Key("question_mark", "?", "help", "Help", "this page", "app"),
    Key("ctrl+p", "ctrl+p", None, "", "all commands, by name; themes too", "app"),
    Key("q", "q", "quit", "Quit", "leave", "app"),
)


def bindings(where: str) -> list[BindingType]:
    """The Textual bindings of one screen or widget."""
    return [
        Binding(key.keys, key.action, key.label or key.help, key_display=key.shown, show=bool(key.label))
        for key in KEYS
        if key.where == where and key.action is not None
    ]


def help_page(first: Sequence[str] = ()) -> Table:
    """Every key and what it does; the sections ``first`` come first, in their order."""
    page = Table.grid(padding=(0, 2))
    page.add_column(style="bold", no_wrap=True)
    page.add_column()
    for where in dict.fromkeys([*first, *SECTIONS]):
        page.add_row(SECTIONS[where], "", style="underline")
        for key in KEYS:
            if key.where == where:
                page.add_row(key.shown, key.help)
        page.add_row()
    return page
