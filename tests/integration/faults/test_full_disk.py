"""A disk that fills up in mid-run: a clear error, and nothing lost that was finished."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores import open_store
from tests.integration.faults.contents import run_contents
from tests.integration.faults.mounts import SMALL_DISK, private_mount
from tests.integration.faults.workshop import Ended, Workshop, trace_of

WRITING = [(), ("--batch", 2, "--writers", 3)]


def fill(disk: Path) -> Path:
    """Take all the room that there is on a disk with one file, which is returned."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError:
            return filler


def check_refusal(ended: Ended, store: Path, reason: str) -> None:
    """Check that a command ended with one line that says why, and which file of the store it was."""
    assert ended.code == 2, ended.said
    errors = ended.said[ended.said.index("error: ") :].splitlines()
    assert len(errors) == 1, ended.said
    assert reason in errors[0]
    assert str(store) in errors[0]


@pytest.mark.parametrize("flags", WRITING)
def test_a_disk_that_fills_up_in_mid_run_spares_what_is_finished(
    flags: tuple[object, ...], workshop: Workshop, folder: Path, tmp_path: Path
) -> None:
    words = trace_of(folder, "--num-steps", 3, "--seeds", "0-7", *flags)
    assert workshop.run(*words, "--store", tmp_path / "uninterrupted").code == 0
    expected = run_contents(tmp_path / "uninterrupted")
    disk = tmp_path / "disk"
    disk.mkdir()
    with private_mount(SMALL_DISK, disk) as mount:
        store = disk / "store"
        command = workshop.start(*words, "--store", store, inside=mount.pid)
        command.wait_to_say("2/8")
        filler = fill(mount.seen)
        check_refusal(command.end(), store, "No space left on device")
        finished = run_contents(mount.seen / "store")
        assert 2 <= len(finished) < len(expected)
        assert finished == {file: expected[file] for file in finished}
        assert list((mount.seen / "store").rglob("*.partial*")) == []
        assert {problem.kind for problem in open_store(mount.seen / "store").verify()} <= {"catalog"}

        refused = workshop.run(*words, "--store", store, "--resume", inside=mount.pid)
        check_refusal(refused, disk, "no space")
        assert run_contents(mount.seen / "store") == finished

        filler.unlink()
        resumed = workshop.run(*words, "--store", store, "--resume", inside=mount.pid)
        assert resumed.code == 0, resumed.said
        assert run_contents(mount.seen / "store") == expected
        assert open_store(mount.seen / "store").verify() == []


@pytest.mark.parametrize("flags", WRITING)
def test_a_file_that_the_disk_refuses_anywhere_in_it_spares_what_is_finished(
    flags: tuple[object, ...], workshop: Workshop, folder: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    words = trace_of(folder, "--num-steps", 2, *flags, "--store", store, "--resume")
    assert workshop.run(*words, "--seeds", "0-1").code == 0
    finished = run_contents(store)
    whole = (store / "runs/goal/0.h5").stat().st_size
    for size in range(whole // 8, whole, whole // 4):
        refused = workshop.run(*words, "--seeds", "0-3", largest_file=size)
        check_refusal(refused, store / "runs/goal", "File too large")
        assert run_contents(store) == finished
        assert list(store.rglob("*.partial*")) == []
        assert open_store(store).verify() == []
    assert workshop.run(*words, "--seeds", "0-3").code == 0
    assert len(run_contents(store)) == 4
    assert open_store(store).verify() == []
