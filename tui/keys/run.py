"""The keys of one run and of heatmaps."""

from tui.keys.key import Key

SECTIONS = {"run": "One run", "heatmap": "Its heatmap"}

KEYS = (
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
    Key("R", "R", "results", "", "the results of the run's store", "run"),
    Key("i", "i", "about", "About", "first image, prompt and facts of the run; again: put them away", "run"),
    Key("P", "P", "pixels", "", "pictures as pixels where the terminal shows them, or as half cells", "run"),
    Key("r", "r", "reload", "", "read the run again", "run"),
    Key("tab", "tab", None, "", "between the heatmap and what is beside it", "run"),
    Key("left", "left", "column_before", "", "the step before", "heatmap"),
    Key("right", "right", "column_after", "", "the step after", "heatmap"),
    Key("up,left_square_bracket", "up [", "row_before", "", "the layer before", "heatmap"),
    Key("down,right_square_bracket", "down ]", "row_after", "", "the layer after", "heatmap"),
    Key("home", "home", "first_column", "", "first step", "heatmap"),
    Key("end", "end", "last_column", "", "last step", "heatmap"),
    Key("pageup", "pgup", "rows_before", "", "five layers before", "heatmap"),
    Key("pagedown", "pgdn", "rows_after", "", "five layers after", "heatmap"),
    Key("d", "d", "digits", "Digits", "digits in place of colours", "heatmap"),
)
