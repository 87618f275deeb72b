"""Where the tests of faults get their commands from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.faults.workshop import Workshop


@pytest.fixture(scope="session")
def folder(tiny_folder: Callable[[str], Path]) -> Path:
    """The folder of the model that is traced."""
    return tiny_folder("wan2.1-t2v")


@pytest.fixture(scope="session")
def workshop(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    """Starts commands at once; see `Workshop`."""
    opened = Workshop([folder], tmp_path_factory.mktemp("commands"))
    yield opened
    opened.close()
