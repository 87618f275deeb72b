"""The states of a job."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """How it stands with a job.

    Attributes:
        QUEUED: it waits for its turn, or is just being started.
        RUNNING: its command runs.
        CANCELLING: it was told to stop, and tidies up.
        FINISHED: the command ended well.
        FAILED: the command said what was wrong.
        CANCELLED: the user stopped it.
        KILLED: a signal from elsewhere ended it.
        OUT_OF_MEMORY: the GPU's or the machine's memory was too small.
        CRASHED: a fault of the program, or of what keeps it; also when all that is known is that it is gone.
    """

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    KILLED = "killed"
    OUT_OF_MEMORY = "out_of_memory"
    CRASHED = "crashed"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended; it may be resumed all the same."""
        return self in ENDINGS


ENDINGS = frozenset(
    (State.FINISHED, State.FAILED, State.CANCELLED, State.KILLED, State.OUT_OF_MEMORY, State.CRASHED)
)
