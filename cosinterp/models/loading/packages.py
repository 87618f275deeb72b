"""What a pipeline needs to run that is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cosinterp.errors import ModelError

if TYPE_CHECKING:
    from cosinterp.models.anatomy import Anatomy


def check_packages(anatomy: Anatomy, name: str) -> None:
    """Refuse a model that does not run with what is installed, before its weights are read.

    Raises:
        ModelError: names the packages.
    """
    missing = anatomy.missing_packages
    if missing:
        raise ModelError(
            f"{name}: it does not run without {' and '.join(missing)}, not installed here: "
            f"pip install {' '.join(missing)}"
        )
