"""One Ray of two nodes for all tests that need a cluster."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from cosinterp.executors.ray_local import LOOPBACK, NICENESS
from cosinterp.executors.ray_watcher import OWNER, processes_of

# A GPU that is none: Ray counts it, and tasks are told to compute on the processor.
NODE = {
    "num_cpus": 2,
    "num_gpus": 1,
    "object_store_memory": 80 * 2**20,
    "node_ip_address": LOOPBACK,
    "include_dashboard": False,
}
_ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    # A lost node is known after eight seconds instead of a quarter of a minute. One that has to wait for a
    # busy processor is not lost.
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_failure_threshold": "16",
}


class TwoNodes:
    """A `ray.cluster_utils.Cluster` whose second node can be lost, and comes back for the next test.

    ``address``: HOST:PORT. ``folder``: of its sockets and logs, by which `processes_of` knows its processes.
    """

    def __init__(self, cluster: Any, folder: str) -> None:
        self._cluster = cluster
        self.folder = folder
        self._add()
        self.address: str = cluster.address
        self._second: Any = None

    def complete(self) -> None:
        """Have two nodes."""
        if self._second is None:
            self._second = self._add()

    def _add(self) -> Any:
        # Tests that have nothing to do with this cluster run before it ends.
        with pytest.MonkeyPatch.context() as patch:
            ours = {**_ENVIRONMENT, **NICENESS, "RAY_TMPDIR": self.folder, OWNER: self.folder}
            for name, value in ours.items():
                patch.setenv(name, value)
            return self._cluster.add_node(**NODE)

    def lose_one(self) -> None:
        """Kill all processes of the second node, as if its power were cut."""
        lost, self._second = self._second, None
        (raylet,) = lost.all_processes["raylet"]
        workers = psutil.Process(raylet.process.pid).children(recursive=True)
        self._cluster.remove_node(lost, allow_graceful=False)
        # Without a raylet they would end by themselves, but later.
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()

    def end(self) -> None:
        """Kill all processes."""
        self._cluster.shutdown()


@pytest.fixture(scope="session")
def two_nodes() -> Iterator[TwoNodes]:
    """The cluster; see `cluster`."""
    # Paths of sockets are limited, and those of pytest are long.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    # If another test has imported Ray before.
    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    started = TwoNodes(Cluster(), folder)
    try:
        yield started
    finally:
        started.end()
        ray_constants.ENABLE_RAY_CLUSTER = before
        _, left = psutil.wait_procs(processes_of(folder), timeout=20)
        shutil.rmtree(folder, ignore_errors=True)
        assert not left


@pytest.fixture
def cluster(two_nodes: TwoNodes) -> TwoNodes:
    """A cluster of two nodes, each with one fake GPU and two processors."""
    two_nodes.complete()
    return two_nodes
