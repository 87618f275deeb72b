"""A Ray that is started for one command, on this machine, and gone with it.

What it listens on is bound to the loopback address. Ray binds its servers to the address of its node, and
takes the loopback address for one only where it expects no cluster: that is what `_LOOPBACK` says, and
`started` makes sure that it was heeded.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from cosinterp.executors import ray_watcher
from cosinterp.executors.ray_errors import ClusterError
from stores.interrupts import interrupts_deferred

LOOPBACK = "127.0.0.1"
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_NICENESS = "RAY_worker_niceness"
# Ray has its workers give way to everything else: beside busy processors a model would take far longer to
# load than in the process that asks for it.
NICENESS = {_NICENESS: os.environ.get(_NICENESS, "0")}
# Nothing big passes through it; Ray asks for at least 75 MiB.
_OBJECT_STORE = 80 * 1024**2
# The path of a Unix socket has at most 104 characters (macOS), and Ray's own part of it has some 70.
_LONGEST_FOLDER = 30
_PATIENCE = 20.0
_SET_BY_RAY = "RAY_AUTH_MODE"


@contextmanager
def started(options: Mapping[str, Any], *, gpus: bool) -> Iterator[Any]:
    """Start a Ray and connect to it; ``ray``, the module. All of it is gone afterwards.

    Args:
        options: of ``ray.init``.
        gpus: whether it may use the GPUs that this process sees.

    Raises:
        ClusterError: it does not start, or would listen on the network.
    """
    with (
        _private_folder() as folder,
        _environment({**_LOOPBACK, **NICENESS, **_token(), ray_watcher.OWNER: folder}),
        _watched(folder),
    ):
        import ray
        from ray._private import ray_constants

        # Read from the environment when Ray was imported, which may have been before us.
        cluster_expected = ray_constants.ENABLE_RAY_CLUSTER
        ray_constants.ENABLE_RAY_CLUSTER = False
        try:
            _start(ray, folder, options, gpus)
            _check_loopback(ray)
            yield ray
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = cluster_expected
            ray.shutdown()


def _start(ray: Any, folder: str, options: Mapping[str, Any], gpus: bool) -> None:
    try:
        # Ctrl-C amid it is lost where Python forks for a server, or leaves a half of Ray that is slow to end.
        with sigterm_kept(), interrupts_deferred():
            ray.init(
                address="local",
                num_gpus=None if gpus else 0,
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE,
                # Ray opens its folder to everybody; the one around it stays ours.
                _temp_dir=str(Path(folder) / "ray"),
                _node_ip_address=LOOPBACK,
                **options,
            )
    except Exception as error:
        # Ray has no narrower one for servers that do not come up.
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ClusterError(f"Ray does not start on this machine: {reason}") from error


@contextmanager
def sigterm_kept() -> Iterator[None]:
    """Give SIGTERM back to who had it: ``ray.init`` takes it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if handler is None else handler)


def _check_loopback(ray: Any) -> None:
    addresses = {node["NodeManagerAddress"] for node in ray.nodes()}
    if addresses != {LOOPBACK}:
        raise ClusterError(
            f"Ray {ray.__version__} listens on {', '.join(sorted(addresses))} instead of {LOOPBACK} alone; "
            "start a Ray of your own and give --address"
        )


@contextmanager
def _private_folder() -> Iterator[str]:
    """A new folder that only we may enter; the watcher removes it."""
    base = tempfile.gettempdir()
    yield tempfile.mkdtemp(prefix="cosinterp-", dir=base if len(base) <= _LONGEST_FOLDER else "/tmp")


@contextmanager
def _watched(folder: str) -> Iterator[None]:
    """Have another process clean up after this block, or after this process if it ends within."""
    watcher = subprocess.Popen(
        [sys.executable, "-I", ray_watcher.__file__, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        # Signals to our group are not for it, and it must not count as a part of that Ray.
        start_new_session=True,
        env={name: value for name, value in os.environ.items() if name != ray_watcher.OWNER},
    )
    try:
        yield
    finally:
        assert watcher.stdin is not None
        watcher.stdin.close()
        watcher.wait(_PATIENCE)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for as long as the block runs."""
    before = {name: os.environ.get(name) for name in (*variables, _SET_BY_RAY)}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@cache
def _token() -> dict[str, str]:
    """What other users of this machine lack to talk to our Ray. One a process: Ray remembers the first."""
    # Ray decides when it is imported whether there are tokens; later it turns them on itself, since 2.59.
    mode = {} if "ray" in sys.modules or _SET_BY_RAY in os.environ else {_SET_BY_RAY: "token"}
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        return mode
    return {**mode, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
