"""Tasks done by Ray: by the GPUs of this machine, or by those of a cluster."""

from __future__ import annotations

import atexit
import os
import pickle
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Generic

from cosinterp.errors import UserError
from cosinterp.executors import ray_worker
from cosinterp.executors.executor import (
    MOST_TRIES,
    Failed,
    Finished,
    Happened,
    Task,
    Told,
    Value,
    Work,
    WorkerError,
)
from cosinterp.executors.ray_cluster import RayCluster, ray_cluster

Say = Callable[[str], object]

_PAUSE = 0.2
# What is begun beside what runs, so that no worker waits for the next task, and nobody else gets its GPU.
_AHEAD = 2
_RECOUNT = 5.0
_STOPPING = 10.0


def unsaid(line: str) -> None:
    """Say nothing."""


class RayExecutor:
    """Has tasks done by Ray.

    It connects when it is first needed, and disconnects at the end of a run; as a context manager, when it is
    left. What it starts, it ends; a cluster that is there is left as it was.

    Args:
        address: as in `ray_cluster`.
        device: "cpu", or "cuda": one GPU for each task, which Ray chooses; None: "cuda" if there are GPUs.
        gpus: of Ray's, that a task takes, whatever it computes on; half a one lets two tasks share it.
            Default: 1 with "cuda", else 0.
        cpus: that a task takes.
        shared: folders that every node has to see, such as the store.
        say: told in a line what Ray is about, such as that a worker was lost.

    Raises:
        ClusterError: on first need: Ray is missing or does not answer, or a node cannot do the work.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        device: str | None = None,
        gpus: float | None = None,
        cpus: float = 1,
        shared: Sequence[str | Path] = (),
        say: Say = unsaid,
    ) -> None:
        self._address = address
        self._device = device
        self._gpus = gpus
        self._cpus = cpus
        self._shared = [Path(folder).absolute() for folder in shared]
        self._say = say
        self._is_entered = False
        self._stack = ExitStack()
        self._cluster: RayCluster | None = None

    @property
    def workers(self) -> int:
        """How many tasks are done at once, by the nodes that are there now; at least 1."""
        return max(1, self.connect().fits(self.resources))

    def run(self, work: Work[Task, Value], tasks: Sequence[Task]) -> Generator[Happened[Task, Value]]:
        """See `cosinterp.executors.executor.Executor.run`."""
        with self.connected() as cluster:
            fanout = _Running(cluster, self.resources, self.device, work, tasks, self._say)
            try:
                yield from fanout.happenings()
            finally:
                fanout.stop()

    def close(self) -> None:
        """Disconnect."""
        atexit.unregister(self.close)
        self._cluster = None
        self._stack.close()

    def __enter__(self) -> RayExecutor:
        self._is_entered = True
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_entered = False
        self.close()

    def connect(self) -> RayCluster:
        """The cluster.

        Raises:
            ClusterError: Ray is missing or does not answer.
        """
        if self._cluster is None:
            gpus = self._device != "cpu" or bool(self._gpus)
            # Of a program that connects, and fails before it has anything to run.
            atexit.register(self.close)
            self._say("starting Ray" if self._address is None else f"connecting to Ray at {self._address}")
            self._cluster = self._stack.enter_context(ray_cluster(self._address, gpus=gpus))
        return self._cluster

    @contextmanager
    def connected(self) -> Iterator[RayCluster]:
        """The cluster, whose nodes can do our work, for the block; for longer, if this is entered itself.

        Raises:
            ClusterError: Ray is missing or does not answer, there is no node for a task, or one cannot do it.
        """
        try:
            cluster = self.connect()
            cluster.check(self._shared, self.resources)
            yield cluster
        finally:
            if not self._is_entered:
                self.close()

    @property
    def device(self) -> str | None:
        """Of a task: "cpu", or None: the GPU that Ray chooses."""
        return None if self._on_gpu() else "cpu"

    @property
    def resources(self) -> Mapping[str, float]:
        """That a task takes."""
        gpus = (1 if self._on_gpu() else 0) if self._gpus is None else self._gpus
        return {"CPU": self._cpus, "GPU": gpus}

    def _on_gpu(self) -> bool:
        if self._device is None:
            return any(node.resources.get("GPU") for node in self.connect().nodes())
        return self._device != "cpu"


class _Running(Generic[Task, Value]):
    """The tasks of one work, as they are done."""

    def __init__(
        self,
        cluster: RayCluster,
        resources: Mapping[str, float],
        device: str | None,
        work: Work[Task, Value],
        tasks: Sequence[Task],
        say: Say,
    ) -> None:
        self._say = say
        self._cluster, self._ray = cluster, cluster.ray
        self._resources = resources
        self._tasks = tasks
        post = self._ray.remote(ray_worker.Post)
        self._post = post.options(num_cpus=0, scheduling_strategy=cluster.beside_driver()).remote()
        self._do = self._ray.remote(ray_worker.do).options(
            num_cpus=resources["CPU"],
            num_gpus=resources["GPU"],
            # We begin lost tasks again ourselves, and say so.
            max_retries=0,
        )
        self._fanout = ray_worker.Fanout(secrets.token_hex(8), [self._ray.put(work)], os.getcwd(), device)
        self._waiting = deque(range(len(tasks)))
        self._running: dict[Any, int] = {}
        self._tries = Counter[int]()
        self._most = 0
        self._counted = -_RECOUNT

    def happenings(self) -> Iterator[Happened[Task, Value]]:
        """Have all tasks done."""
        while self._waiting or self._running:
            self._begin()
            done, _ = self._ray.wait(list(self._running), timeout=_PAUSE)
            # After the wait: what a task told before it ended has come by then.
            yield from self._messages()
            for reference in done:
                yield from self._ended(reference)

    def stop(self) -> None:
        """End what is running, and wait until it has ended: by an interrupt, then by force."""
        for force in (False, True):
            for reference in self._running:
                self._ray.cancel(reference, force=force)
            if self._running:
                left = list(self._running)
                _, left = self._ray.wait(left, num_returns=len(left), timeout=_STOPPING)
                self._running = dict.fromkeys(left, -1)
        self._ray.kill(self._post)

    def _begin(self) -> None:
        if time.monotonic() - self._counted > _RECOUNT:
            # Nodes come and go.
            self._most = _AHEAD * max(1, self._cluster.fits(self._resources))
            self._counted = time.monotonic()
        while self._waiting and len(self._running) < self._most:
            number = self._waiting.popleft()
            is_again = self._tries[number] > 0
            self._tries[number] += 1
            reference = self._do.remote(self._fanout, number, is_again, self._tasks[number], self._post)
            self._running[reference] = number

    def _messages(self) -> Iterator[Told[Task]]:
        from ray.exceptions import RayError

        try:
            messages = self._ray.get(self._post.take.remote())
        except RayError as error:
            raise WorkerError(f"the connection to {self._cluster.name} is lost: {error}") from error
        for number, message in messages:
            yield Told(self._tasks[number], pickle.loads(message))

    def _ended(self, reference: Any) -> Iterator[Happened[Task, Value]]:
        from ray.exceptions import RayError, RayTaskError

        number = self._running.pop(reference)
        task = self._tasks[number]
        try:
            outcome: ray_worker.Outcome = self._ray.get(reference)
        except RayTaskError as error:
            # Neither the work's fault, which comes as an outcome, nor that of a machine.
            raise WorkerError(str(error)) from error
        except RayError as error:
            reason = _reason(error)
            if self._tries[number] < MOST_TRIES:
                self._say(f"{task}: its worker was lost, and it is begun again: {reason}")
                self._waiting.appendleft(number)
                return
            yield Failed(task, f"its worker was lost {MOST_TRIES} times; the last time: {reason}", False)
        else:
            if not outcome.is_opened:
                raise (UserError if outcome.is_users else WorkerError)(outcome.error)
            if outcome.error is None:
                yield Finished(task, outcome.value)
            else:
                yield Failed(task, outcome.error, outcome.is_users)


def _reason(error: Exception) -> str:
    """What Ray says of a lost worker, without the logs to look at, which are gone with a Ray of our own."""
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return first.partition(" Check ")[0]
