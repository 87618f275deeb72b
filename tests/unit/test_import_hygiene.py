"""What loads what, proved in fresh interpreters: the contracts that only hold at run time.

import-linter reads the imports that are written down. A late import inside a function, or one that a library
does on its own, shows only in ``sys.modules``.
"""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import cosinterp as ci

ROOT = Path(__file__).parents[2]
MODEL = {"torch", "diffusers", "transformers", "nnsight", "accelerate", "peft"}
DATA = {"numpy", "h5py", "pandas", "xarray", "scipy", "sklearn", "matplotlib", "imageio", "PIL"}
TERMINAL_APP = {"textual"}
COMMAND_LINE = {"typer", "rich"}


def loaded_by(code: str) -> set[str]:
    """The top-level names in ``sys.modules`` of a fresh interpreter that has run ``code``."""
    report = "\nimport sys\nprint('\\n' + ' '.join({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + report],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def modules_of(package: str) -> list[str]:
    found = pkgutil.walk_packages([str(ROOT / package.replace(".", "/"))], prefix=f"{package}.")
    return [package, *(module.name for module in found)]


def import_all(package: str) -> str:
    return "\n".join(f"import {module}" for module in modules_of(package))


def import_commands() -> str:
    """Code that imports what shell completion and ``--help`` of each command import."""
    from cosinterp.cli import COMMANDS
    from cosinterp.cli.lazy import Group

    commands = [c for entry in COMMANDS for c in (entry.entries if isinstance(entry, Group) else [entry])]
    return "\n".join(f"import {command.target.partition(':')[0]}" for command in commands)


HELP = """
import sys, typer
from cosinterp.cli import app
sys.argv = ["cosinterp", "--help"]
try:
    app()
except SystemExit as end:
    assert end.code == 0, end.code
sys.stdout.flush()
"""

LOADS_NONE_OF = [
    ("import cosinterp", MODEL | DATA | TERMINAL_APP | COMMAND_LINE),
    (HELP, MODEL | DATA | TERMINAL_APP),
    (import_commands(), MODEL | DATA | TERMINAL_APP),
    ("import tui.app", MODEL | DATA),
    (import_all("tui"), MODEL | {"scipy", "sklearn", "matplotlib"}),
    (
        "import stores, stores.errors, stores.selection, stores.units",
        MODEL | DATA | TERMINAL_APP | COMMAND_LINE,
    ),
    (import_all("stores"), MODEL | TERMINAL_APP | COMMAND_LINE),
    ("import probes", (MODEL | TERMINAL_APP) - {"torch"} | {"matplotlib"}),
    (import_all("probes"), MODEL - {"torch"} | TERMINAL_APP),
]
NAMES = [
    "cosinterp",
    "help",
    "every command",
    "tui.app",
    "all of tui",
    "stores",
    "all of stores",
    "probes",
    "all of probes",
]


@pytest.mark.parametrize(("code", "forbidden"), LOADS_NONE_OF, ids=NAMES)
def test_loads_none_of(code: str, forbidden: set[str]) -> None:
    assert loaded_by(code) & forbidden == set()


def test_the_check_sees_what_is_loaded() -> None:
    assert {"h5py", "numpy"} <= loaded_by("def late():\n    import h5py\nlate()")


def test_every_public_name_is_there() -> None:
    import cosinterp

    missing = [name for name in cosinterp.__all__ if not hasattr(cosinterp, name)]
    assert missing == []
    assert set(cosinterp.__all__) <= set(dir(cosinterp))


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    import cosinterp

    with pytest.raises(AttributeError, match="module 'cosinterp' has no attribute 'lode'"):
        _ = cosinterp.lode


def test_no_public_name_is_that_of_a_module_inside() -> None:
    """Python puts a module into its package once anything imports it, over the name that was there."""
    inside = {module.name for module in pkgutil.iter_modules([str(ROOT / "cosinterp")])}
    assert inside.isdisjoint(ci.__all__)
