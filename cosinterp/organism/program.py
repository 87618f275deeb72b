"""Frame of the programs that are run with ``python -m``."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from cosinterp.errors import UserError


def run_program(main: Callable[..., None]) -> None:
    """Run ``main`` with its flags from the command line; a user's mistake is one line and exit code 2."""
    try:
        typer.run(main)
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
