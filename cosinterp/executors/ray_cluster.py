"""A connection to Ray: to one that is started for a command, or to a cluster that is there."""

from __future__ import annotations

import os
import secrets
import socket
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cosinterp
from cosinterp.executors import ray_worker
from cosinterp.executors.ray_errors import ClusterError
from cosinterp.executors.ray_local import sigterm_kept, started

# Variables of the driver that workers of an existing cluster need too. None that holds a secret: what Ray is
# given of them can be read in its dashboard.
_CARRIED = ("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE")
# Which Ray reads when it is imported. What it says of dead workers goes to standard output, where results are
# printed; the errors that it raises say the same.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": ".", "RAY_SCHEDULER_EVENTS": "0"}
_CLIENT = "ray://"
_FIND = "auto"
_LOOK_SECONDS = 120.0
_REACH_SECONDS = 10.0


@dataclass(frozen=True)
class Node:
    """A machine of a cluster.

    Attributes:
        id: Ray's.
        name: of the host.
        resources: what it has of each, in use or not: "CPU", "GPU", ...
    """

    id: str
    name: str
    resources: Mapping[str, float]

    def fits(self, resources: Mapping[str, float]) -> int:
        """How many tasks that need so much can be done here at once."""
        needed = {name: amount for name, amount in resources.items() if amount > 0}
        return min((int(self.resources.get(name, 0) / amount) for name, amount in needed.items()), default=1)


@dataclass(frozen=True)
class RayCluster:
    """A Ray that this process is connected to.

    Attributes:
        ray: the module.
        address: as asked for; None: a Ray of our own.
    """

    ray: Any
    address: str | None

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return "the Ray of this machine" if self.address is None else f"the Ray at {self.address}"

    def nodes(self) -> list[Node]:
        """The nodes that are alive."""
        return [
            Node(node["NodeID"], node["NodeManagerHostname"], node["Resources"])
            for node in self.ray.nodes()
            if node["Alive"]
        ]

    def fits(self, resources: Mapping[str, float]) -> int:
        """How many tasks that need so much can be done at once."""
        return sum(node.fits(resources) for node in self.nodes())

    def on_node(self, node: str) -> Any:
        """What has Ray do a task, or keep an actor, on this node (its id) and on no other."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node, soft=False)

    def beside_driver(self) -> Any:
        """As `on_node`: the node that is lost only together with the driver."""
        return self.on_node(self.ray.get_runtime_context().get_node_id())

    def check(self, shared: Sequence[Path], resources: Mapping[str, float]) -> None:
        """Make sure that there are nodes for tasks that need so much, and that each of them can do our work.

        Args:
            shared: folders that each node has to see as we do, by the same path.
            resources: of a task.

        Raises:
            ClusterError: there is no such node, or one sees other folders or has another cosinterp.
        """
        nodes = [node for node in self.nodes() if node.fits(resources)]
        if not nodes:
            needed = ", ".join(f"{amount:g} {name}" for name, amount in resources.items() if amount > 0)
            raise ClusterError(f"no node of {self.name} has what a task takes: {needed}")
        look = self.ray.remote(ray_worker.look)
        with ExitStack() as marks:
            folders = [(str(folder), marks.enter_context(_mark(folder))) for folder in shared]
            looks = [
                look.options(num_cpus=0, scheduling_strategy=self.on_node(node.id)).remote(
                    os.getcwd(), folders
                )
                for node in nodes
            ]
            for node, reference in zip(nodes, looks, strict=True):
                self._check_node(node, reference)

    def _check_node(self, node: Node, reference: Any) -> None:
        from ray import exceptions

        try:
            seen = self.ray.get(reference, timeout=_LOOK_SECONDS)
        except exceptions.GetTimeoutError as error:
            raise ClusterError(
                f"node {node.name} of {self.name} has not started a worker in {_LOOK_SECONDS:.0f} s"
            ) from error
        except exceptions.RayTaskError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ClusterError(f"node {node.name} of {self.name} cannot run cosinterp: {reason}") from error
        except exceptions.RuntimeEnvSetupError as error:
            raise ClusterError(f"node {node.name} of {self.name}: {_first_line(error)}") from error
        except exceptions.RayError:
            # Lost in this moment: then it does no task either.
            return
        if seen.version != cosinterp.__version__:
            raise ClusterError(
                f"node {node.name} of {self.name} has cosinterp {seen.version}; here it is "
                f"{cosinterp.__version__}"
            )
        if seen.missing is not None:
            raise ClusterError(
                f"node {node.name} of {self.name} does not see {seen.missing} as this machine does: "
                "use a folder on a file system that all nodes share"
            )


@contextmanager
def ray_cluster(address: str | None = None, *, gpus: bool = True) -> Iterator[RayCluster]:
    """Connect to Ray.

    A connection that this process has already is taken as it is, and left.

    Args:
        address: of a cluster, which is left as it was: "auto" (the one of this machine, or of
            ``RAY_ADDRESS``), "HOST:PORT" or "ray://HOST:PORT"; None: one is started here, and ended.
        gpus: whether a Ray that is started here may use GPUs.

    Raises:
        ClusterError: Ray is not installed, or does not answer.
    """
    check_address(address)
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    options = {
        "configure_logging": True,
        "logging_level": "error",
        "log_to_driver": False,
        "runtime_env": {"env_vars": _worker_variables(local=address is None)},
    }
    if address is None:
        with started(options, gpus=gpus) as ray:
            yield RayCluster(ray, None)
        return
    import ray

    if ray.is_initialized():
        yield RayCluster(ray, address)
        return
    with _connected(ray, address, options):
        yield RayCluster(ray, address)


@contextmanager
def _connected(ray: Any, address: str, options: Mapping[str, Any]) -> Iterator[None]:
    try:
        with sigterm_kept():
            ray.init(address=address, **options)
    except (ConnectionError, TimeoutError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ClusterError(f"--address {address}: {_first_line(error)}") from error
    try:
        yield
    finally:
        ray.shutdown()


def check_address(asked: str | None) -> None:
    """Refuse what cannot be reached; Ray would try for minutes.

    Raises:
        ClusterError: Ray is not installed, it is no address (see `ray_cluster`), or nothing answers there.
    """
    if find_spec("ray") is None:
        raise ClusterError("Ray is not installed: pip install 'cosinterp[ray]'")
    if asked is None:
        return
    address = os.environ.get("RAY_ADDRESS", asked) if asked == _FIND else asked
    if address == _FIND:
        return
    if address.startswith(_CLIENT) and find_spec("grpc") is None:
        raise ClusterError(f"--address {asked} takes Ray's client: pip install 'ray[client]'")
    host, _, port = address.removeprefix(_CLIENT).partition("?")[0].rpartition(":")
    if not host or not port.isdecimal():
        raise ClusterError(f"--address {asked}: give auto, HOST:PORT or ray://HOST:PORT")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS):
            pass
    except (OSError, OverflowError) as error:
        raise ClusterError(f"--address {asked}: nothing answers there ({error})") from error


def _worker_variables(*, local: bool) -> dict[str, str]:
    """The environment variables of workers, beside those that their node has."""
    variables = {
        # A worker that is given another GPU later cannot see it if it saw only its first.
        "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1",
    }
    if not local:
        variables.update({name: os.environ[name] for name in _CARRIED if name in os.environ})
    source = Path(cosinterp.__file__).parents[1]
    # What is installed on the nodes is theirs to find; a checkout is not, but lies where it does here.
    if source not in (Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("platlib"))):
        paths = [str(source), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        variables["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    return variables


@contextmanager
def _mark(folder: Path) -> Iterator[str | None]:
    """A new file in a folder, by which it is known again; its name, or None where we may not write."""
    mark = folder / f".seen-{secrets.token_hex(8)}"
    try:
        mark.touch()
    except OSError:
        yield None
        return
    try:
        yield mark.name
    finally:
        with suppress(FileNotFoundError):
            mark.unlink()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
