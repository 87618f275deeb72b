"""What every test of the app stands on: jobs, and what is remembered, of no user."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def app_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``$COSINTERP_HOME`` for each test, in this process and in those that it starts."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("COSINTERP_HOME", str(folder))
    return folder
