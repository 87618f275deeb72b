"""Flags that the commands on stores share, each written once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

StorePath: TypeAlias = Annotated[
    Path, typer.Argument(metavar="STORE", help="The store's folder.", show_default=False)
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Samples: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--samples",
        "--sample",
        metavar="NAMES",
        help="Only these samples, separated by commas; or give it again for more.",
        show_default=False,
    ),
]
Seeds: TypeAlias = Annotated[
    str | None, typer.Option(help="Only these seeds, such as 0-7 or 0,3.", show_default=False)
]
Variant: TypeAlias = Annotated[str | None, typer.Option(help="Only this variant.", show_default=False)]


def sample_names(given: Sequence[str] | None) -> list[str] | None:
    """The names that `Samples` selects, None if it selects none and so all.

    Raises:
        SelectionError: a name is empty.
    """
    if not given:
        return None
    from stores.errors import SelectionError

    names = [name.strip() for text in given for name in text.split(",")]
    if not all(names):
        raise SelectionError(
            f'--samples "{",".join(given)}": a name is empty; write names separated by commas'
        )
    return list(dict.fromkeys(names))
