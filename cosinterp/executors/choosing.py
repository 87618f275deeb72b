"""What ``devices`` says in Python: who does the work, and what model is planned with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cosinterp.devices import parse_devices
from cosinterp.executors.local import LocalExecutor
from cosinterp.models.model import Model

if TYPE_CHECKING:
    from cosinterp.executors.executor import Executor
    from cosinterp.models.loading import Prepared


def executor_of(devices: str | Executor) -> Executor:
    """The executor that devices mean; an executor is taken as it is.

    Raises:
        DeviceError: there are no such devices.
    """
    return LocalExecutor(parse_devices(devices)) if isinstance(devices, str) else devices


def prepared_of(model: Model | Prepared | str | Path, devices: str | Executor | None) -> Prepared:
    """A model before its weights are read, as far as it is not loaded already.

    Raises:
        ModelError: it cannot be found, or is not understood.
        DeviceError: there are no such devices.
    """
    from cosinterp.models.loading import Prepared, prepare

    if isinstance(model, Model):
        return Prepared(model)
    if isinstance(model, Prepared):
        return model
    # Planning is for devices of the kind that do the work.
    return prepare(model, device=parse_devices(devices)[0] if isinstance(devices, str) else None)
