"""Commands that change a store, killed at each change: no run is lost, and the same command goes on."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from stores import open_store
from tests.integration.faults.contents import Contents, run_contents
from tests.integration.faults.workshop import Workshop, note, trace_of

TRACED = "traced"
OTHER = "other"


# The words, the seeds that there are in the end, and how it may end when it is given again: once its run is
# gone, rm finds nothing that it could remove.
COMMANDS = {
    "merge": (("merge", "{new}", "{sources}/other"), {2}, {0}),
    "rm": (("rm", "{store}", "--seeds", "0", "--yes"), {1}, {0, 2}),
    "reindex": (("reindex", "{store}"), {0, 1}, {0}),
}


@pytest.fixture(scope="module")
def sources(workshop: Workshop, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two stores, of the seeds 0 to 1 and 2; not to be written into."""
    path = tmp_path_factory.mktemp("sources")
    for name, seeds in ((TRACED, "0-1"), (OTHER, "2")):
        flags = ("--num-steps", 1, "--layers", 0, "--no-video", "--seeds", seeds, "--store", path / name)
        assert workshop.run(*trace_of(folder, *flags)).code == 0
    return path


@pytest.fixture
def expected(sources: Path) -> dict[str, Contents]:
    return run_contents(sources / TRACED) | run_contents(sources / OTHER)


def problems_of(store: Path) -> set[str]:
    return {problem.kind for problem in open_store(store).verify()}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_can_be_killed_at_each_change_that_it_makes_to_the_disk(
    name: str, workshop: Workshop, sources: Path, expected: dict[str, Contents], tmp_path: Path
) -> None:
    words, seeds, codes = COMMANDS[name]
    for change in itertools.count(1):
        store = tmp_path / str(change)
        if "{new}" not in words:
            shutil.copytree(sources / TRACED, store)
        command = ["store", *(word.format(store=store, new=store, sources=sources) for word in words)]
        ended = workshop.run(*command, die_before=change)
        if not ended.killed:
            break
        note(f"killed before change {change}")
        if (store / "store.json").exists():
            found = run_contents(store)
            assert found == {file: expected[file] for file in found}
            assert {entry.file for entry in open_store(store).runs()} == found.keys()
            assert problems_of(store) <= {"leftover", "catalog"}
        again = workshop.run(*command)
        assert again.code in codes, again.said
        assert {entry.seed for entry in open_store(store).runs()} == seeds
        if "catalog" in problems_of(store):
            assert name == "rm"
            assert workshop.run("store", "reindex", store).code == 0
        assert problems_of(store) <= {"leftover"}
    assert ended.code == 0, ended.said
    assert change > 3
