"""The folder of jobs: unwritable, without locks, full, open to others."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from cosinterp.doctor import jobs, video
from cosinterp.jobs import listing
from cosinterp.jobs.state import State
from tests.unit.doctor.asked import asked


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of jobs that is not there yet."""
    monkeypatch.setenv("COSINTERP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_home_that_is_to_be_made_is_fine_and_left_alone(home: Path) -> None:
    found = asked(jobs.folder)
    assert (found["job folders"].state, found["job folders"].value) == ("ok", f"{home / 'jobs'}: 0 jobs")
    assert "privacy" not in found
    assert not home.exists()


def test_jobs_and_slots_are_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "jobs").mkdir(parents=True)
    (home / "jobs").chmod(0o700)
    states = [State.RUNNING, State.FINISHED, State.QUEUED]
    there = [SimpleNamespace(state=lambda state=state: state) for state in states]
    monkeypatch.setattr(listing, "jobs", lambda: there)
    monkeypatch.setenv("COSINTERP_JOBS_PER_GPU", "3")
    found = asked(jobs.folder)
    assert found["job folders"].value.endswith(": 3 jobs, 2 under way")
    assert found["slots"].value == "3 for each GPU, 4 without"
    assert "privacy" not in found


def test_slots_that_are_no_number_are_a_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COSINTERP_JOBS_PER_GPU", "many")
    found = asked(jobs.folder)["slots"]
    assert (found.state, found.is_lacking) == ("lack", False)
    assert "COSINTERP_JOBS_PER_GPU=many" in found.value


def test_a_folder_that_others_may_read_is_noted(home: Path) -> None:
    (home / "jobs").mkdir(parents=True)
    (home / "jobs").chmod(0o755)
    home.chmod(0o755)
    assert asked(jobs.folder)["privacy"].advice == f"chmod 700 {home / 'jobs'}"
    home.chmod(0o700)
    assert "privacy" not in asked(jobs.folder)


def test_a_home_that_takes_no_files_is_a_need(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    found = asked(jobs.folder)["job folders"]
    assert found.is_lacking
    assert "Permission denied" in found.value
    assert "COSINTERP_HOME" in found.advice


def test_a_home_that_cannot_be_looked_into_is_a_need(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(jobs, "free_space", refuse)
    found = asked(jobs.folder)
    assert found.keys() == {"job folders"}
    assert found["job folders"].is_lacking


@pytest.mark.parametrize("answer", [False, OSError(errno.ENOLCK, "No locks available")])
def test_a_home_without_locks_is_a_need(monkeypatch: pytest.MonkeyPatch, answer: bool | OSError) -> None:
    def lock(_: Path) -> bool:
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(jobs, "lock_is_refused", lock)
    found = asked(jobs.folder)["job folders"]
    assert found.is_lacking
    assert found.value.endswith("no file locks")


def test_a_home_on_a_full_disk_is_noted(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(jobs, "free_space", lambda path: (home.parent, 10**6))
    assert asked(jobs.folder)["job folders"].state == "note"


def test_a_missing_ffmpeg_is_a_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    import imageio_ffmpeg

    assert asked(video.ffmpeg)["ffmpeg"].state == "ok"

    def none() -> str:
        raise RuntimeError("No ffmpeg exe could be found.")

    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_version", none)
    found = asked(video.ffmpeg)["ffmpeg"]
    assert (found.state, found.is_lacking) == ("lack", False)
