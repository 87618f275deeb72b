"""What every test stands on: no network, no display, and times that do not fail a slow machine."""

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Set before any test imports the libraries that read them, once, at import.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from tests.families.page import pytest_addoption, pytest_runtest_logreport, pytest_sessionfinish

__all__ = ["pytest_addoption", "pytest_runtest_logreport", "pytest_sessionfinish"]

settings.register_profile("cosinterp", deadline=None, print_blob=True)
settings.load_profile("cosinterp")


class OneRay(LoadFileScheduling):
    """A worker a file, and one for all files of the tests that share a Ray of two nodes."""

    _TOGETHER = "tests/integration/ray"

    def _split_scope(self, nodeid: str) -> str:
        return self._TOGETHER if nodeid.startswith(self._TOGETHER) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> OneRay | None:
    """See `OneRay`."""
    return OneRay(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """Let no garbage collection go through all that was imported and collected, again and again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a GPU where there is none."""
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """No test pulls the plug, so none has to wait until what was written lies on the disk.

    Commands that tests start as processes of their own wait all the same.
    """
    with pytest.MonkeyPatch.context() as patched:
        # Of what is no open file, the error comes as it does from fsync.
        patched.setattr(os, "fsync", lambda file: os.fstat(file if isinstance(file, int) else file.fileno()))
        yield


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[int], None]:
    """Sets how many bytes of the disk are said to be free."""
    usage = shutil.disk_usage(tmp_path)

    def set_free(size: int) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=size))

    return set_free


@pytest.fixture(scope="session")
def narrow_maze_wan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a maze-wan that draws noise quickly; do not write into it."""
    from tests.tiny import maze_wan

    return maze_wan.narrow_maze_wan(tmp_path_factory.mktemp("narrow") / "maze-wan")
