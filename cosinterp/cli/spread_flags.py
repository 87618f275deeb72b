"""Flags on who does the work, of commands that can spread it over several devices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from cosinterp.cli.options import MACHINE, one_of

if TYPE_CHECKING:
    from cosinterp.executors.executor import Executor

LOCAL = "local"
RAY = "ray"

ExecutorName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar=f"{LOCAL}|{RAY}",
        help="Who does the work: local: one process a device of --device; ray: the GPUs of this machine, or "
        "of the cluster at --address.",
        rich_help_panel=MACHINE,
        show_default="this process; local, if --device names several",
        autocompletion=one_of(LOCAL, RAY),
    ),
]

Address: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT|ray://HOST:PORT",
        help="Of a Ray cluster, for --executor ray.",
        rich_help_panel=MACHINE,
        show_default="one is started on this machine, for this command",
        autocompletion=one_of("auto", "ray://"),
    ),
]

GpusPerTask: TypeAlias = Annotated[
    float | None,
    typer.Option(
        help="Of Ray's, that a task takes: with 0.5 two tasks share one.",
        min=0,
        rich_help_panel=MACHINE,
        show_default="1, or 0 with --device cpu",
    ),
]


@dataclass(frozen=True)
class Spread:
    """Where the work is done.

    Attributes:
        device: that plans, and does everything if there is no executor.
        executor: None: this process does the work.
        dtype: that is the default where the work is done; None: that of ``device``.
    """

    device: str | None
    executor: Executor | None
    dtype: str | None = None


@dataclass(frozen=True)
class SpreadFlags:
    """Who does the work; see `cosinterp.cli.flag_groups`."""

    executor: ExecutorName = None
    address: Address = None
    gpus_per_task: GpusPerTask = None

    def over(self, device: str | None, shared: Sequence[Path] = ()) -> Spread:
        """Spread over what ``--device`` says.

        Args:
            device: what it says.
            shared: folders that all who do the work have to see.

        Raises:
            UserError: there are no such devices, or no such executor.
        """
        from cosinterp.devices import parse_devices
        from cosinterp.errors import SelectionError

        if self.executor == RAY:
            return self._over_ray(device, shared)
        for flag, value in {"--address": self.address, "--gpus-per-task": self.gpus_per_task}.items():
            if value is not None:
                raise SelectionError(f"{flag} is for --executor {RAY}")
        if self.executor not in (None, LOCAL):
            raise SelectionError(f"--executor {self.executor}: there are {LOCAL} and {RAY}")
        devices = (None,) if device is None else parse_devices(device)
        if self.executor is None and len(devices) == 1:
            return Spread(devices[0], None)
        from cosinterp.executors.local import LocalExecutor

        return Spread(devices[0], LocalExecutor(devices, say=say))

    def _over_ray(self, device: str | None, shared: Sequence[Path]) -> Spread:
        import torch

        from cosinterp.errors import SelectionError
        from cosinterp.executors.ray_cluster import check_address
        from cosinterp.executors.ray_executor import RayExecutor

        check_address(self.address)
        if device not in (None, "cpu", "cuda"):
            raise SelectionError(
                f"--device {device}: Ray chooses among the GPUs; give cuda or cpu (CUDA_VISIBLE_DEVICES "
                "limits those of a Ray that is started here)"
            )
        executor = RayExecutor(
            self.address,
            device=device,
            gpus=self.gpus_per_task,
            shared=shared,
            say=lambda line: say(RAY, line),
        )
        if device == "cpu" or self.address is None or torch.cuda.is_available():
            return Spread(device, executor)
        # A cluster may have GPUs where this machine has none.
        return Spread("cpu", executor, "bf16" if executor.device is None else None)


def workers_of(executor: Executor | None) -> int | None:
    """How many work at once; None: that shows when they are asked for, as on a cluster."""
    from cosinterp.executors.local import LocalExecutor

    if executor is None:
        return 1
    return executor.workers if isinstance(executor, LocalExecutor) else None


def say(device: str, line: str) -> None:
    """Print what a worker prints, above the bar."""
    from rich.text import Text

    from cosinterp.cli.console import err

    err().print(Text(f"[{device}] {line}", "dim"), soft_wrap=True)


@contextmanager
def failures_told() -> Iterator[None]:
    """Where some tasks failed: say which, and how to make what is lacking.

    Raises:
        Exit: with code 2 if all of it is the user's to mend, else 1.
    """
    import sys

    from cosinterp.cli.command_line import resume_command
    from cosinterp.cli.console import err, print_error
    from cosinterp.executors.failures import TasksFailed

    try:
        yield
    except TasksFailed as error:
        print_error(str(error))
        err().print("To make what is lacking:")
        err().print(f"  {resume_command(sys.argv)}", markup=False, soft_wrap=True)
        raise typer.Exit(error.exit_code) from error
