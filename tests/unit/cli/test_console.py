"""What the command line prints is what it was given."""

import io

import pytest
from rich.console import Console

from cosinterp.cli.console import err, out, print_error, print_json, print_sentence, print_warning


@pytest.fixture(autouse=True)
def fresh_consoles():
    for console in (out, err):
        console.cache_clear()
    yield
    for console in (out, err):
        console.cache_clear()


def test_names_of_pictures_between_colons_stay(capsys):
    print_error("runs/:x:/a")
    print_warning("runs/:smile:/b")
    print_json({"path": "runs/:x:/c"})
    out().print("runs/:x:/d")
    printed = capsys.readouterr()
    assert printed.err == "error: runs/:x:/a\nwarning: runs/:smile:/b\n"
    assert printed.out == '{\n  "path": "runs/:x:/c"\n}\nruns/:x:/d\n'


@pytest.mark.parametrize(
    ("is_terminal", "printed"),
    [
        (True, "  held from\n    step 2.2\n    [1.7, 2.7]\n    on\n"),
        (False, "  held from step 2.2 [1.7, 2.7] on\n"),
    ],
)
def test_sentences_are_broken_between_words_on_terminals_alone(is_terminal, printed):
    console = Console(file=io.StringIO(), width=14, force_terminal=is_terminal, color_system=None)
    print_sentence(console, "held from step 2.2 [1.7, 2.7] on")
    assert console.file.getvalue() == printed
