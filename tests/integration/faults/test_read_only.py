"""A store on a disk that nothing can be written to."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from stores import open_store
from tests.integration.faults.mounts import READ_ONLY, private_mount
from tests.integration.faults.workshop import Workshop, trace_of


def test_a_store_on_a_read_only_mount_can_be_read_and_says_that_it_cannot_be_written(
    workshop: Workshop, folder: Path, tmp_path: Path
) -> None:
    words = trace_of(folder, "--num-steps", 2, "--store", tmp_path)
    assert workshop.run(*words, "--seeds", "0-1").code == 0
    # What a killed trace left behind has to be recognised by its lock, for reading as well.
    (tmp_path / "runs/goal/7.h5.partial").write_bytes(b"half a run")
    with private_mount(READ_ONLY, tmp_path) as mount:
        assert "2 runs" in workshop.run("store", "ls", tmp_path, inside=mount.pid).said
        info = workshop.run("store", "info", tmp_path, "--json", inside=mount.pid)
        assert json.loads(info.said)["runs"] == 2
        verified = workshop.run("store", "verify", tmp_path, "--json", inside=mount.pid)
        (problem,) = json.loads(verified.said)["problems"]
        assert (problem["file"], problem["kind"]) == ("runs/goal/7.h5.partial", "leftover")

        here, there = open_store(tmp_path), open_store(mount.seen)
        for run, step, layer, branch, tokens in here.iter("resid"):
            read = there.read("resid", step, layer, run.sample, run.seed, branch)
            np.testing.assert_array_equal(read, tokens)
        np.testing.assert_array_equal(there.array("resid"), here.array("resid"))

        for flags in (("--seeds", "0-2", "--resume"), ("--seeds", 5)):
            refused = workshop.run(*words, *flags, inside=mount.pid)
            assert refused.code == 2, refused.said
            (error,) = [line for line in refused.said.splitlines() if line.startswith("error: ")]
            assert "Read-only file system" in error
            assert str(tmp_path) in error
            assert "Traceback" not in refused.said
        reindexed = workshop.run("store", "reindex", tmp_path, inside=mount.pid)
        assert (reindexed.code, "Read-only file system" in reindexed.said) == (2, True)
