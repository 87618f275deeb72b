"""What the command line prints is what it was given."""

import pytest

from cosinterp.cli.console import err, out, print_error, print_json, print_warning


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
