"""A program that loads everything once and then runs the ``cosinterp`` command in forked children.

    python -m tests.integration.faults.forking MODEL...

Importing torch takes seconds, so a hundred commands that each imported it could not be tested. The models in
the folders MODEL are loaded at the start, and ``--model`` with one of them takes the loaded one. Standard
input has one request a line, in JSON: ``words`` of the command, ``log`` (the file that all its output goes
to) and ``faults`` (see `FAULTS`). Standard output answers with the child's ``pid``, and, when it ends, with
its ``pid`` and its ``status``. A child ends as any program does: its threads are waited for.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import resource
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import torch

# Loaded here, so that no child has to.
import cosinterp.cli.trace
import cosinterp.cli.trace_plan
import cosinterp.cli.trace_progress
import cosinterp.models.traced
import cosinterp.tracing  # noqa: F401
from cosinterp.cli import main
from cosinterp.models import loading

# What a command does to the disk beside filling files, whose single writes are too many to fail one by one.
_CHANGES = ("open", "ftruncate", "fsync", "rename", "replace", "link", "unlink", "remove", "mkdir", "write")
_WRITES = ("pwrite", "pwritev")


def die_before(number: int) -> None:
    """Kill this process, as SIGKILL does, before it changes the disk for the ``number``-th time."""
    changes = itertools.count(1)

    def watched(change: Callable[..., Any]) -> Callable[..., Any]:
        def act(*arguments: Any, **options: Any) -> Any:
            if next(changes) >= number:
                os.kill(os.getpid(), signal.SIGKILL)
            return change(*arguments, **options)

        return act

    for name in _CHANGES:
        setattr(os, name, watched(getattr(os, name)))


def slow_disk(seconds: float) -> None:
    """Let every write into a file take ``seconds`` longer."""

    def slowed(write: Callable[..., int]) -> Callable[..., int]:
        def act(*arguments: Any) -> int:
            time.sleep(seconds)
            return write(*arguments)

        return act

    for name in _WRITES:
        setattr(os, name, slowed(getattr(os, name)))


def largest_file(size: int) -> None:
    """Have the disk refuse whatever would make a file longer than ``size`` bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def inside(pid: int) -> None:
    """See the mounts that the process ``pid`` sees; see `private_mount`."""
    library = ctypes.CDLL(None, use_errno=True)
    namespaces = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in ("user", "mnt")]
    for namespace in namespaces:
        if library.setns(namespace, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")


FAULTS: dict[str, Callable[[Any], None]] = {
    fault.__name__: fault for fault in (die_before, slow_disk, largest_file, inside)
}


def serve() -> dict[str, Any] | None:
    """Fork a child for each request; returns the request in the child, and None at the end of all."""
    # Told by a pipe: a signal that comes just before a read begins does not interrupt it.
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select([sys.stdin, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _report_ended()
        # The next request is written once the last one is answered, so no line waits in a buffer.
        if sys.stdin in ready:
            line = sys.stdin.readline()
            if not line:
                return None
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                os.close(woken)
                os.close(waking)
                return json.loads(line)
            _say(pid=pid)


def become_command(words: list[str], log: str, faults: dict[str, Any]) -> None:
    """Make this child look as if a terminal had started the command, apart from its faults."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # A test run in the background inherits that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for stream, source in enumerate((os.open(os.devnull, os.O_RDONLY), output, output)):
        os.dup2(source, stream)
    sys.argv = ["cosinterp", *words]
    for name, value in faults.items():
        FAULTS[name](value)


def run_command() -> NoReturn:
    """Run the command and end as the interpreter would, but without the second that it takes to tidy up."""
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - what the interpreter does with what nobody catches
        traceback.print_exc()
        code = 1
    # Ctrl-C that comes too late for the command must not find this program instead.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def keep_loaded(folders: list[str]) -> None:
    """Load the models in ``folders`` now, and let every child find them loaded."""
    prepare = loading.prepare
    kept = {folder: loading.Prepared(prepare(folder, device="cpu").load()) for folder in folders}

    def kept_or_prepared(model: str, **options: Any) -> Any:
        return kept[model] if model in kept else prepare(model, **options)

    loading.prepare = kept_or_prepared


def _report_ended() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say(pid=pid, status=status)


def _say(**answer: int) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    keep_loaded(sys.argv[1:])
    _say(pid=os.getpid())
    request = serve()
    if request is not None:
        become_command(**request)
        run_command()
