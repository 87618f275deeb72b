"""Packages that are missing, too old, too new, or only for extras."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from cosinterp.doctor import packages
from tests.unit.doctor.asked import asked

PROJECT = """
[project]
dependencies = ["torch>=2.6", "nnsight>=0.8.1,<0.9", "scipy>=1.15", "tomli; python_version < '3'"]

[project.optional-dependencies]
ray = ["ray>=2.52"]
zarr = ["zarr>=3"]
"""
GOOD = {"torch": "2.9.0+cu128", "nnsight": "0.8.1", "scipy": "1.17.1", "ray": "2.60.0", "zarr": "3.1.6"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """The versions that are installed, to be changed; what is needed is `PROJECT`."""
    versions = dict(GOOD)

    def version(name: str) -> str:
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    (tmp_path / "pyproject.toml").write_text(PROJECT)
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr(packages, "__file__", str(tmp_path / "cosinterp" / "doctor" / "packages.py"))
    return versions


def test_what_is_there_is_told_and_what_is_usual_counted(installed: dict[str, str]) -> None:
    found = asked(packages.packages)
    assert {name: (one.state, one.value) for name, one in found.items()} == {
        "torch": ("ok", "2.9.0+cu128"),
        "nnsight": ("ok", "0.8.1"),
        "other packages": ("ok", "1, all in versions that are known to work"),
        "extra ray": ("ok", "ray 2.60.0"),
        "extra zarr": ("ok", "zarr 3.1.6"),
    }


def test_a_missing_package_is_needed(installed: dict[str, str]) -> None:
    del installed["scipy"]
    found = asked(packages.packages)["scipy"]
    assert (found.state, found.value, found.is_lacking) == ("lack", "not installed", True)
    assert found.advice.startswith('pip install "scipy>=1.15"')


@pytest.mark.parametrize("version", ["0.8.0", "0.9.0", "1.0"])
def test_a_version_that_is_not_known_to_work_is_a_lack(installed: dict[str, str], version: str) -> None:
    installed["nnsight"] = version
    found = asked(packages.packages)["nnsight"]
    assert (found.state, found.value, found.is_lacking) == ("lack", version, True)
    assert "<0.9" in found.advice
    assert ">=0.8.1" in found.advice


def test_an_extra_is_no_need(installed: dict[str, str]) -> None:
    del installed["ray"]
    installed["zarr"] = "2.18"
    found = asked(packages.packages)
    assert (found["extra ray"].state, found["extra ray"].value) == ("note", "ray (not installed)")
    assert 'pip install "cosinterp[ray]"' in found["extra ray"].advice
    assert (found["extra zarr"].state, found["extra zarr"].is_lacking) == ("lack", False)


def test_without_the_source_the_installed_requirements_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packages, "__file__", str(tmp_path / "a" / "b" / "packages.py"))
    wanted = ["numpy>=999", 'zarr>=3; extra == "zarr"']
    monkeypatch.setattr(metadata, "requires", lambda name: wanted if name == "cosinterp" else None)
    found = asked(packages.packages)
    assert found["numpy"].is_lacking
    assert found["extra zarr"].state == "ok"


def test_this_environment_has_what_the_project_asks_for() -> None:
    assert [one for one in asked(packages.packages).values() if one.is_lacking] == []


def test_an_old_python_is_a_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    found = asked(packages.python)["Python"]
    assert found.is_lacking
    assert "3.11" in found.meaning


def test_hdf5_is_told_by_its_own_version() -> None:
    import h5py

    assert asked(packages.hdf5)["HDF5"].value == h5py.version.hdf5_version
