"""Which flag a message is about."""

from __future__ import annotations

import pytest

from cosinterp.rehearsal.naming import flag_meant

KNOWN = (
    *("--model", "--store", "--dataset", "--prompt", "--prompt-file", "--device", "--dtype", "--chunk"),
    *("--layers", "--steps", "--save-steps", "--seeds", "--resume", "--force", "--name", "--sites", "--plot"),
    *("--no-base", "--record", "--host-memory", "--batch"),
)


@pytest.mark.parametrize(
    ("message", "given", "flag"),
    [
        ("--chunk many: auto, or how many seeds", {"--seeds": ("0-3",)}, "--chunk"),
        ('layers "99": there is no layer 99; this model has layers 0-8', {"--layers": ("99",)}, "--layers"),
        ('seeds "x": write numbers and ranges', {}, "--seeds"),
        # A trace has no --steps, and says of --save-steps what is wrong with steps.
        ('steps "7": there is no step 7', {"--save-steps": ("7",), "--batch": ("1",)}, "--steps"),
        ('unknown dtype "fp8"; use bf16, fp16, fp32', {"--dtype": ("fp8",), "--seeds": ("0",)}, "--dtype"),
        ("runs/x/results/patch.nc exists; use --resume, or another --name", {"--name": ("patch",)}, "--name"),
        ("nothing to generate from: give --dataset, --prompt or --prompt-file", {}, "--dataset"),
        ("mazes: no such folder", {"--dataset": ("mazes",), "--store": ("runs/mazes",)}, "--dataset"),
        ("runs/x already has 3 of these 8 runs; use --resume to skip them", {"--seeds": ("0",)}, "--resume"),
        ("runs: this folder holds no store", {"STORE": ("runs",)}, "STORE"),
        ("runs has no sample 'green'; it has red", {"STORE": ("runs",), "--sample": ("green",)}, "--sample"),
        ("say which: --name NAME; runs has red", {"STORE": ("runs",)}, "--name"),
        ("neither red nor green", {"--seeds": ("red",), "--model": ("green",)}, None),
        ("out of luck", {"--seeds": ("0",)}, None),
    ],
)
def test_the_flag_of_a_message(message: str, given: dict[str, tuple[str, ...]], flag: str | None) -> None:
    assert flag_meant(message, given, KNOWN) == flag


def test_a_name_that_no_flag_has_is_told_by_the_value() -> None:
    known = tuple(flag for flag in KNOWN if flag != "--steps")
    given = {"--save-steps": ("7",), "--batch": ("1",)}
    assert flag_meant('steps "7": there is no step 7', given, known) == "--save-steps"


def test_a_flag_that_the_command_does_not_have_is_none_of_the_form() -> None:
    assert flag_meant("use `hf auth login --token`", {}, KNOWN) is None
