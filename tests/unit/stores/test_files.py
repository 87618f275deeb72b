"""The room for files, and how much of it there is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stores import StoreError
from stores.files import check_space, free_space


def test_the_space_is_that_of_the_nearest_folder(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    assert free_space(tmp_path / "here" / "a" / "b")[0] == tmp_path / "here"


def test_what_fits_exactly_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    check_space(tmp_path, 1000, "this")
    with pytest.raises(StoreError, match=r"no space: this needs 1,001 bytes .* has 1,000 free"):
        check_space(tmp_path, 1001, "this")
