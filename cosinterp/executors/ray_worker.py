"""What runs in the workers of a Ray.

A worker is a process that Ray keeps between tasks. It opens a work once and keeps it for all tasks of that
work that it is given; only a task on another GPU, or of another work, has it opened anew. Nothing here loads
torch: that is for the work to do.
"""

from __future__ import annotations

import gc
import os
import pickle
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any

import cosinterp
from cosinterp.executors.executor import Later, entered
from cosinterp.mendable import told
from stores.errors import ClaimedError

# Until the lost worker, which had the task before, has noticed that it is lost.
_CLAIM_SECONDS = 60.0
_CLAIM_PAUSE = 1.0
_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Fanout:
    """What all tasks of one work have in common.

    Attributes:
        key: unlike that of any other.
        work: a reference to the work, in a list, so that Ray does not fetch it for each task.
        directory: in which relative paths of the work begin.
        device: what the work is opened on; None: the GPU that Ray chooses for the task.
    """

    key: str
    work: Sequence[Any]
    directory: str
    device: str | None


@dataclass(frozen=True)
class Outcome:
    """What became of a task: its value, or what is wrong (see `cosinterp.executors.executor.Failed`).

    Attributes:
        value: None, if there is an error.
        error: None, if there is none.
        is_users: whether the error is the user's to mend.
        is_opened: whether the work could be opened.
    """

    value: Any = None
    error: str | None = None
    is_users: bool = False
    is_opened: bool = True


@dataclass(frozen=True)
class Seen:
    """What a node sees: its cosinterp's version, and which folder is missing there, if one is."""

    version: str
    missing: str | None


class Post:
    """Messages on their way to the driver; an actor, so that they are there whoever sent them is lost."""

    def __init__(self) -> None:
        self._messages: list[tuple[int, bytes]] = []

    def tell(self, number: int, message: bytes) -> None:
        """Take in a pickled message of a task."""
        self._messages.append((number, message))

    def take(self) -> list[tuple[int, bytes]]:
        """Hand out what has come since it was last asked for: (number of the task, message)."""
        taken, self._messages = self._messages, []
        return taken


def look(directory: str, folders: Sequence[tuple[str, str | None]]) -> Seen:
    """What is missing here of a directory, and of folders that have a file of this name in them."""
    missing = next(
        (folder for folder, mark in folders if not os.path.exists(os.path.join(folder, mark or ""))),
        None if os.path.isdir(directory) else directory,
    )
    return Seen(cosinterp.__version__, missing)


def do(fanout: Fanout, number: int, is_again: bool, task: Any, post: Any) -> Outcome:
    """Do a task of a work, which is opened for it if that has not been done yet.

    A value that comes later is waited for: Ray would not know of a worker that died meanwhile that it still
    had something to do.

    Args:
        fanout: of the task.
        number: of the task.
        is_again: whether a worker that had it was lost.
        task: what the work is to do.
        post: the actor that takes its messages.
    """
    import ray

    try:
        opened = _opened.of(fanout)
    except Exception as error:  # noqa: BLE001 - told to the driver
        wrong = _wrong(error)
        return replace(wrong, error=f"node {socket.gethostname()}: {wrong.error}", is_opened=False)
    sent: list[Any] = []

    def tell(message: object) -> None:
        sent[:] = [post.tell.remote(number, pickle.dumps(message))]

    deadline = time.monotonic() + (_CLAIM_SECONDS if is_again else 0.0)
    while True:
        try:
            value = opened(task, tell)
            outcome = Outcome(value.wait() if isinstance(value, Later) else value)
        except ClaimedError as error:
            if time.monotonic() < deadline:
                time.sleep(_CLAIM_PAUSE)
                continue
            outcome = _wrong(error)
        except Exception as error:  # noqa: BLE001 - told to the driver
            outcome = _wrong(error)
            if not outcome.is_users:
                # Who knows what state it is in.
                _opened.close(error)
        except BaseException as error:
            _opened.close(error)
            raise
        # A driver that hears of the end has then heard of all before.
        ray.get(sent)
        return outcome


class _Opened:
    """The work that is open in this process."""

    def __init__(self) -> None:
        self._key: tuple[str, str | None] | None = None
        self._call: Callable[..., Any] | None = None
        self._stack = ExitStack()

    def of(self, fanout: Fanout) -> Callable[..., Any]:
        """The work of a fan-out, on this task's device."""
        import ray

        device = gpu() if fanout.device is None else fanout.device
        key = (fanout.key, device)
        if self._call is not None and key == self._key:
            return self._call
        self.close(None)
        os.chdir(fanout.directory)
        if device is not None and device.startswith("cuda"):
            import torch

            # Or pinned memory would be had from the first GPU, which is another worker's.
            torch.cuda.set_device(device)
        work: Any = ray.get(fanout.work[0])
        call = self._stack.enter_context(entered(work.open(device)))
        self._key, self._call = key, call
        return call

    def close(self, error: BaseException | None) -> None:
        """Leave the work, by this error if it is one that ends it."""
        stack, self._stack = self._stack, ExitStack()
        self._key = self._call = None
        with suppress(KeyboardInterrupt):
            stack.__exit__(None if error is None else type(error), error, None)
        del stack
        # Two models would not fit; nor would another worker's, on a GPU that this one has left.
        gc.collect()
        if "torch" in sys.modules:
            sys.modules["torch"].cuda.empty_cache()


_opened = _Opened()


def gpu() -> str:
    """The first GPU of this task, or of this actor, as torch calls it."""
    import ray

    given = str(ray.get_runtime_context().get_accelerator_ids()["GPU"][0])
    visible = [word.strip() for word in os.environ.get(_VISIBLE, "").split(",")]
    # torch counts what is visible, and Ray names it as the variable does.
    return f"cuda:{visible.index(given) if given in visible else given}"


def _wrong(error: Exception) -> Outcome:
    text, is_users = told(error)
    return Outcome(error=text, is_users=is_users)
