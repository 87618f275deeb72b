"""The keys of the screen of pictures."""

from tui.keys.key import Key

SECTIONS = {"frames": "Frames"}

KEYS = (
    Key("escape", "esc", "back", "Back", "back to where the frames were opened", "frames"),
    Key("left", "left", "step_before", "", "the step before", "frames"),
    Key("right", "right", "step_after", "", "the step after", "frames"),
    Key("home", "home", "first_step", "", "first step", "frames"),
    Key("end", "end", "last_step", "", "the end: the last step, or the final video", "frames"),
    Key("up", "up", "frame_before", "", "the frame before", "frames"),
    Key("down", "down", "frame_after", "", "the frame after", "frames"),
    Key("t", "t", "strip", "Strip", "steps as a film strip; again: one of them large", "frames"),
    Key(
        "o",
        "o",
        "beside",
        "Beside",
        "beside the picture: energy of the tokens, their principal components, nothing",
        "frames",
    ),
    Key("left_square_bracket", "[", "layer_before", "", "what is beside, of the layer before", "frames"),
    Key("right_square_bracket", "]", "layer_after", "", "what is beside, of the layer after", "frames"),
    Key("D,enter", "D", "decode", "Decode", "decode by a job what is not decoded", "frames", writes=True),
    Key(
        "P", "P", "pixels", "", "pictures as pixels where the terminal shows them, or as half cells", "frames"
    ),
    Key("y", "y", "copy", "", "copy the command that decodes what is not decoded", "frames"),
    Key("r", "r", "reload", "Reload", "look again for what is decoded", "frames"),
    Key("4", "4", "jobs", "", "the job that decodes these runs, or all jobs", "frames"),
)
