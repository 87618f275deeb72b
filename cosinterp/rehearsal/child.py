"""The process that rehearses, seen by the one that asks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from cosinterp.jobs.own_code import own_environment
from cosinterp.rehearsal.answer import Answer
from cosinterp.rehearsal.messages import answer_of

OFFLINE = {"HF_HUB_OFFLINE": "1"}
# Whether there are GPUs is asked of their driver, which takes none of their memory, and no time.
_BY_DRIVER = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
_SAID = 4096
_COLOURS = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM")
# One thread each: what is planned is no arithmetic, and a fork keeps none but the thread that forks.
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Child:
    """A process ``python -m cosinterp.rehearsal``, and a thread that listens to it.

    It has a session of its own, so that no Ctrl-C of the terminal reaches it. It ends when its standard input
    does, which is when this process ends, however that comes.

    Args:
        changed: notified whenever anything below changes; held by whoever calls anything below.
        command: that starts it.
    """

    def __init__(self, changed: threading.Condition, command: Sequence[str]) -> None:
        self._changed = changed
        self._answers: dict[int, Answer] = {}
        # Python may have to say why it ends; nobody reads it meanwhile, so it must not be a pipe.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        self.is_ready = False
        self.has_ended = False
        self.end = ""
        self.last_words = ""
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(),
            start_new_session=True,
        )
        threading.Thread(target=self._listen, name="rehearsal", daemon=True).start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def send(self, question: dict[str, Any]) -> None:
        """Ask it; if it is gone, that is noticed elsewhere."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            os.write(self._process.stdin.fileno(), json.dumps(question).encode() + b"\n")

    def answers(self, number: int) -> bool:
        """Whether it has answered a question."""
        return number in self._answers

    def take(self, number: int) -> Answer | None:
        """Its answer to a question; None: there is none."""
        answer = self._answers.get(number)
        self._answers.clear()
        return answer

    def kill(self) -> None:
        """End it, and all that it has started."""
        if not self.has_ended:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            with self._changed:
                self.is_ready = True
                if "number" in said:
                    self._answers = {said["number"]: answer_of(said)}
                self._changed.notify_all()
        code = self._process.wait()
        with self._changed:
            self._errors.seek(-min(_SAID, self._errors.seek(0, os.SEEK_END)), os.SEEK_END)
            self.last_words = self._errors.read().decode(errors="replace")
            self.end = f"signal {-code}" if code < 0 else f"exit code {code}"
            self.has_ended = True
            self._errors.close()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()
            self._changed.notify_all()


def is_offline() -> bool:
    """Whether we are told to leave the network alone ourselves."""
    return any(os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE") for name in OFFLINE)


def _environment() -> dict[str, str]:
    """Ours, but nothing is fetched to say what a command would do, and nothing coloured."""
    kept = {name: value for name, value in own_environment().items() if name not in _COLOURS}
    return {**kept, **OFFLINE, **_BY_DRIVER, **dict.fromkeys(_THREADS, "1")}
