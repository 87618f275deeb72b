"""Words that are parsed and no more than parsed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cosinterp.rehearsal import check_words

ROOT = Path(__file__).parents[3]
TRACE = ("trace", "--model", "m", "--store", "s")


@pytest.mark.parametrize(
    "words",
    [
        TRACE,
        (*TRACE, "--reduce", "norm", "--reduce", "mean", "--detach", "--job-name", "x"),
        (*TRACE, "--no-video", "--seeds=0-7"),
        ("store", "verify", "runs"),
        ("experiment", "noise", "--model", "m", "--dataset", "d", "--store", "s", "--set", "count=3"),
    ],
)
def test_words_that_can_be_parsed(words: tuple[str, ...]) -> None:
    answer = check_words(words)
    assert (answer.ok, answer.message, answer.flag, answer.plan) == (True, "", None, None)


@pytest.mark.parametrize(
    ("words", "said", "flag"),
    [
        ((*TRACE, "--stpes", "3"), "No such option: --stpes", "--stpes"),
        ((*TRACE, "--batch", "many"), "'--batch'", "--batch"),
        ((*TRACE, "--batch", "0"), "greater than or equal to 1", "--batch"),
        ((*TRACE, "--seeds"), "requires an argument", "--seeds"),
        (("trace", "--store", "s"), "Missing option '--model'", "--model"),
        (("ablate", "s", "--kind", "nothing"), "'zero', 'mean', 'resample', 'skip'", "--kind"),
        (("patch", "--donor", "a", "--recipient", "b"), "Missing argument 'STORE'", "STORE"),
        ((*TRACE, "beyond"), "unexpected extra argument", None),
        (("trace", "--help"), "No such option: --help", "--help"),
        (("tarce",), 'there is no command "tarce"', None),
        (("store", "lss"), 'there is no command "store lss"; there is ls, info', None),
        ((), 'there is no command ""', None),
    ],
)
def test_words_that_cannot(words: tuple[str, ...], said: str, flag: str | None) -> None:
    answer = check_words(words)
    assert not answer.ok
    assert said in answer.message
    assert answer.flag == flag


def test_nothing_of_it_prints_or_loads_a_model_library() -> None:
    words = repr([list(TRACE), [*TRACE, "--help"], ["trace"], ["ablate", "s", "--kind", "x"]])
    code = (
        f"import sys\nfrom cosinterp.rehearsal import Rehearsal, check_words\nRehearsal()\n"
        f"for words in {words}: check_words(words)\n"
        "assert not {'torch', 'diffusers', 'transformers', 'nnsight', 'textual'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
